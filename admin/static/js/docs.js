// The description of the API, drawn from its OpenAPI document.

import { byId, element, table } from "./dom.js";

const resolve = (api, schema) =>
  schema?.$ref ? api.components.schemas[schema.$ref.split("/").at(-1)] : schema;

/** An example of a schema: its own, or made of those of its properties. */
function example(api, given, depth = 0) {
  const schema = resolve(api, given) ?? {};
  if (schema.examples?.length) return schema.examples[0];
  if ("default" in schema) return schema.default;
  if ("const" in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return example(api, schema.anyOf[0], depth);
  if (depth > 6) return null;
  if (schema.type === "array") return [example(api, schema.items, depth + 1)];
  if (schema.properties) {
    return Object.fromEntries(
      Object.entries(schema.properties).map(([name, one]) => [name, example(api, one, depth + 1)]),
    );
  }
  return { string: "", integer: 0, number: 0, boolean: true, object: {} }[schema.type] ?? null;
}

const code = (value) => element("pre", {}, typeof value === "string" ? value : JSON.stringify(value, null, 2));

function curl(method, path, operation, body) {
  const words = ["curl"];
  if (method !== "get") words.push(`-X ${method.toUpperCase()}`);
  if (!(operation.security && !operation.security.length)) words.push('-H "Authorization: Bearer $TOKEN"');
  if (body) words.push(`-H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`);
  return `${words.join(" ")} ${location.origin}${path}`;
}

function section(api, method, path, operation) {
  const body = operation.requestBody?.content["application/json"]?.schema;
  const sent = body && example(api, body);
  const [status, answer] = Object.entries(operation.responses)[0];
  const shape = answer.content?.["application/json"]?.schema;
  const parameters = operation.parameters ?? [];
  const columns = [
    { name: "Parameter", value: (one) => one.name },
    { name: "In", value: (one) => one.in },
    { name: "Default", value: (one) => one.schema.default ?? (one.required ? "required" : "–") },
    { name: "Meaning", value: (one) => one.description },
  ];
  return element(
    "section",
    {},
    element("h3", { id: operation.operationId }, `${method.toUpperCase()} ${path}`),
    element("p", {}, operation.description ?? operation.summary ?? ""),
    ...(parameters.length
      ? [element("div", { class: "scroll" }, table("Parameters", columns, parameters, ""))]
      : []),
    code(curl(method, path, operation, sent)),
    ...(shape ? [element("p", { class: "quiet" }, `Answer ${status}, for example`), code(example(api, shape))] : []),
  );
}

const answer = await fetch("openapi.json");
if (answer.ok) {
  const api = await answer.json();
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => section(api, method, path, operation)),
  );
  byId("main").replaceChildren(element("section", {}, code(api.info.description.trim().replaceAll(/[*`]/g, ""))), ...operations);
  byId("state").textContent = `version ${api.info.version}, ${operations.length} operations`;
} else {
  byId("state").textContent = "Log in at the dashboard first.";
}
