// More: the pages that a phone has no place for below.

import { button, element, fill, section } from "../dom.js";

const PAGES = [
  ["streams", "Streams", "Length, groups, consumers, pending, in Redis's words."],
  ["workers", "Workers", "Who is alive, since when, and what went wrong last."],
  ["preview", "Preview", "What would become of an event, without writing it."],
  ["settings", "Settings", "What is set, and where it came from."],
  ["jobs", "Replays", "Jobs that put many dead letters back."],
];

export function show(place) {
  const item = ([page, title, text]) =>
    element("li", {}, element("h3", {}, element("a", { href: `#/${page}` }, title)), element("p", { class: "muted" }, text));
  fill(
    place,
    element("div", { class: "head" }, element("h1", {}, "More")),
    section("Pages", element("ul", { class: "cards" }, PAGES.map(item))),
    element("p", { class: "row" }, element("a", { class: "button", href: "docs" }, "The REST API"), button("Log out", () => document.getElementById("logout").click())),
  );
}
