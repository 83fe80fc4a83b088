// Making elements. What comes from outside only ever becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== "") node.setAttribute(name, value);
  }
  node.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return node;
}

export const element = (tag, attributes = {}, ...children) =>
  filled(document.createElement(tag), attributes, children);

export const drawn = (tag, attributes = {}, ...children) =>
  filled(document.createElementNS(SVG, tag), attributes, children);

export const byId = (id) => document.getElementById(id);

/** Replace what an element holds. */
export function fill(id, ...children) {
  byId(id).replaceChildren(...children);
}

/**
 * A table. A column is {name, value: row => text or node, number: whether it is one}.
 */
export function table(caption, columns, rows, empty) {
  const cell = (column, row) =>
    element("td", { class: column.number ? "number" : "" }, column.value(row) ?? "–");
  const head = columns.map((column) =>
    element("th", { scope: "col", class: column.number ? "number" : "" }, column.name),
  );
  const body = rows.map((row) => element("tr", {}, ...columns.map((column) => cell(column, row))));
  if (!body.length) body.push(element("tr", {}, element("td", { colspan: columns.length }, empty)));
  return element(
    "table",
    {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...body),
  );
}
