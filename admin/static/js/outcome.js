// What would become of an event, as habus tells it.

import { badge, element, pretty } from "./dom.js";

export function outcomeView(outcome) {
  const isStored = outcome.outcome === "stored";
  return element(
    "div",
    { class: "space" },
    element("p", {}, badge(isStored ? "good" : "bad", isStored ? "It would be stored." : `It would fall at ${outcome.stage}: ${outcome.reason}`)),
    outcome.error && element("p", { class: "bad" }, outcome.error),
    outcome.hint && element("p", { class: "muted" }, outcome.hint),
    outcome.line_protocol && [element("h3", {}, "Line protocol"), pretty(outcome.line_protocol)],
    outcome.event && [element("h3", {}, "Enriched"), pretty(outcome.event)],
    outcome.detail && Object.keys(outcome.detail).length > 0 && [element("h3", {}, "Detail"), pretty(outcome.detail)],
  );
}
