// The description of the API, drawn from its OpenAPI document.

import { byId, command, element, fill, pretty, section, table } from "./dom.js";

const DEEPEST = 6;

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
  if (depth > DEEPEST) return null;
  if (schema.type === "array") return [example(api, schema.items, depth + 1)];
  if (schema.properties) {
    return Object.fromEntries(Object.entries(schema.properties).map(([name, one]) => [name, example(api, one, depth + 1)]));
  }
  return { string: "", integer: 0, number: 0, boolean: true, object: {} }[schema.type] ?? null;
}

/** What stands between `backticks` is code, between **stars** important. */
const inline = (text) =>
  text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (part.startsWith("`")) return element("code", {}, part.slice(1, -1));
    return part.startsWith("**") ? element("strong", {}, part.slice(2, -2)) : part;
  });

/** Paragraphs, and lists whose lines begin with a dash. */
const prose = (text) =>
  text.trim().split(/\n\s*\n/).map((block) =>
    block.startsWith("- ")
      ? element("ul", {}, block.slice(2).split(/\n- /).map((item) => element("li", {}, inline(item))))
      : element("p", {}, inline(block)),
  );

function curl(api, method, path, operation) {
  const body = operation.requestBody?.content["application/json"]?.schema;
  const named = path.replace(/{(\w+)}/g, (_, name) => {
    const found = operation.parameters.find((one) => one.name === name);
    return encodeURIComponent(example(api, found.schema));
  });
  const words = ["curl"];
  if (method !== "get") words.push(`-X ${method.toUpperCase()}`);
  if (operation.security?.length !== 0) words.push('-H "Authorization: Bearer $ADMIN_TOKEN"');
  if (body) words.push(`-H 'Content-Type: application/json' -d '${JSON.stringify(example(api, body))}'`);
  return `${words.join(" ")} '${new URL(`.${named}`, document.baseURI)}'`;
}

const PARAMETERS = [
  { name: "Parameter", value: (one) => element("code", {}, one.name) },
  { name: "In", value: (one) => one.in },
  { name: "Default", value: (one) => String(one.schema.default ?? (one.required ? "required" : "–")) },
  { name: "Meaning", value: (one) => one.description && inline(one.description), class: "wide" },
];

function operationView(api, { method, path, operation }) {
  const [status, answer] = Object.entries(operation.responses)[0];
  const shape = answer.content?.["application/json"]?.schema;
  const { parameters = [] } = operation;
  return element(
    "article",
    { id: operation.operationId, class: "operation" },
    element("h3", {}, element("span", { class: "badge none" }, method.toUpperCase()), " ", element("code", {}, path)),
    prose(operation.description ?? operation.summary ?? ""),
    parameters.length > 0 && table(`Parameters of ${operation.operationId}`, PARAMETERS, parameters, ""),
    command(curl(api, method, path, operation)),
    shape && element("details", {}, element("summary", {}, `Answer ${status}, for example`), pretty(example(api, shape))),
  );
}

function contents(operations) {
  const item = ({ method, path, operation }) =>
    element("li", {}, element("a", { href: `#${operation.operationId}` }, `${method.toUpperCase()} ${path}`));
  return section("Contents", element("ul", { class: "contents" }, operations.map(item)));
}

function draw(api) {
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  );
  const ofTag = (tag) => operations.filter(({ operation }) => operation.tags.includes(tag.name));
  fill(
    byId("main"),
    element("h1", {}, "REST API"),
    prose(api.info.description),
    contents(operations),
    api.tags.map((tag) => section(tag.name, element("p", { class: "muted" }, tag.description), ofTag(tag).map((one) => operationView(api, one)))),
  );
  byId("state").textContent = `version ${api.info.version}, ${operations.length} operations`;
}

const answer = await fetch("openapi.json");
if (answer.ok) {
  draw(await answer.json());
  // Now what the address names is there.
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
} else byId("state").textContent = "Log in at the dashboard first.";
