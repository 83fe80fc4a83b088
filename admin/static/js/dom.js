// Making elements. What comes from outside only ever becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== undefined && value !== null && value !== false && (value !== "" || name === "value")) {
      node.setAttribute(name, value);
    }
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
}

/** An element. An attribute `onclick` and its like is a listener; children may be lists. */
export const element = (tag, attributes = {}, ...children) =>
  filled(document.createElement(tag), attributes, children);

export const drawn = (tag, attributes = {}, ...children) =>
  filled(document.createElementNS(SVG, tag), attributes, children);

/** A name such as `sensor.living_room` that breaks between its words, if it must. */
export const words = (name) => name.split(/(?<=[._])/).map((word, index) => (index ? [element("wbr"), word] : word));

export const byId = (id) => document.getElementById(id);

/** Replace what a node holds. */
export function fill(node, ...children) {
  node.replaceChildren();
  append(node, children);
}

let named = 0;

/** A part of a page with a heading; `tools` stand beside the heading. */
export function section(title, ...children) {
  const id = `title-${(named += 1)}`;
  return element(
    "section",
    { class: "card", "aria-labelledby": id },
    element("h2", { id }, title),
    ...children,
  );
}

/** Something that may be wider than a phone: it scrolls by itself, also by keyboard. */
export const scroller = (label, ...children) =>
  element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, ...children);

/**
 * A table. A column is {name, value: row => text or node, number: whether it is one}.
 */
export function table(caption, columns, rows, empty) {
  const kind = (column) => [column.number && "number", column.class].filter(Boolean).join(" ");
  const cell = (column, row) =>
    element("td", { class: kind(column) }, column.value(row) ?? "–");
  const head = columns.map((column) =>
    element("th", { scope: "col", class: kind(column) }, column.name),
  );
  const body = rows.map((row) => element("tr", {}, ...columns.map((column) => cell(column, row))));
  if (!body.length) {
    body.push(element("tr", {}, element("td", { colspan: columns.length, class: "empty" }, empty)));
  }
  return scroller(
    caption,
    element(
      "table",
      {},
      element("caption", {}, caption),
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...body),
    ),
  );
}

/** JSON as text that can be read, or the text itself. */
export const pretty = (value) =>
  element("pre", { tabindex: 0, role: "region", "aria-label": "JSON" }, typeof value === "string" ? value : JSON.stringify(value, null, 2));

/** A command line with a button that copies it. */
export function command(text) {
  const copy = element("button", { type: "button", class: "small" }, "Copy");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "Select it";
    }
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  });
  return element("div", { class: "command" }, element("code", {}, text), copy);
}

const SIGN = { good: "●", warn: "▲", bad: "✕", none: "○" };

/** A state: colour, sign and word. */
export const badge = (how, text) =>
  element("span", { class: `badge ${how}` }, element("span", { "aria-hidden": "true" }, SIGN[how]), ` ${text}`);

/** A control with its label. */
export function field(label, control, hint) {
  return element("label", { class: "field" }, element("span", {}, label), control, hint && element("small", {}, hint));
}

/** A choice out of a few; `options` are [value, text]. */
export const choice = (attributes, options, chosen) =>
  element(
    "select",
    attributes,
    ...options.map(([value, text]) => element("option", { value, selected: value === chosen }, text)),
  );

export const button = (text, onclick, attributes = {}) =>
  element("button", { type: "button", onclick, ...attributes }, text);
