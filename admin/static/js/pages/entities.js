// Entities: what is known about each.

import { ask, query } from "../api.js";
import { badge, button, element, field, fill, section, table, words } from "../dom.js";
import { ago } from "../format.js";

const WAIT_MS = 250;

const state = (one) =>
  one.available === false ? badge("warn", one.state ?? "gone") : one.state === null ? null : `${one.state}${one.unit ? ` ${one.unit}` : ""}`;

const COLUMNS = [
  { name: "Entity", value: (one) => element("a", { href: `#/entity/${encodeURIComponent(one.entity_id)}` }, words(one.entity_id)), class: "wide" },
  { name: "State", value: state, class: "brief" },
  { name: "Name", value: (one) => one.friendly_name, class: "desk" },
  { name: "Area", value: (one) => one.area, class: "desk" },
  { name: "Device", value: (one) => one.device, class: "desk" },
  { name: "Integration", value: (one) => one.integration, class: "desk" },
  { name: "Last seen", value: (one) => one.last_seen && ago(one.last_seen), class: "nowrap" },
];

export async function show(place, { search }) {
  const text = element("input", { type: "search", "data-filter": true, placeholder: "id, name, area or device", value: search.get("text") ?? "" });
  const body = element("div", { class: "space" });
  const more = element("p");
  let rows = [];
  let timer;

  async function load(cursor) {
    try {
      const page = await ask(`entities${query({ text: text.value.trim(), cursor, limit: 100 })}`);
      rows = cursor ? [...rows, ...page.entities] : page.entities;
      fill(body, table(`${rows.length}${page.next_cursor ? " and more" : ""} entities`, COLUMNS, rows, "Nothing is known of such an entity."));
      fill(more, page.next_cursor && button("Show more", () => load(page.next_cursor)));
    } catch (error) {
      fill(body, badge("bad", error.message));
    }
  }

  text.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(load, WAIT_MS);
  });
  fill(
    place,
    element("div", { class: "head" }, element("h1", {}, "Entities"), element("p", {}, "From Home Assistant's registries and the newest events.")),
    section("What is known", field("Filter", text), body, more),
  );
  await load();
  return () => clearTimeout(timer);
}
