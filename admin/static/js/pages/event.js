// One event: its way through the pipeline.

import { ask } from "../api.js";
import { badge, command, element, fill, pretty, section } from "../dom.js";
import { moment, seconds } from "../format.js";

const TITLES = { home: "Home Assistant", raw: "Captured", inbox: "Handed in", enriched: "Enriched", dead: "Dead letter", sink: "Stored" };

function stationView(station) {
  return element(
    "li",
    {},
    element("h3", {}, TITLES[station.stream], element("span", { class: "muted" }, ` ${station.key}`), station.state && [" ", badge(station.state === "settled" ? "good" : "warn", station.state)]),
    element("p", { class: "muted" }, moment(station.at), station.after_s !== null && `, ${seconds(station.after_s)} after Home Assistant's time`),
    command(station.command),
    element("details", {}, element("summary", {}, "Fields and data"), pretty(station.fields), pretty(station.data)),
  );
}

export async function show(place, { rest: [stream = "", id = ""] }) {
  try {
    const way = await ask(`events/way/${encodeURIComponent(stream)}/${encodeURIComponent(id)}`);
    const title = way.entity_id || way.type || id;
    const home = element("li", { class: way.time ? "" : "missing" }, element("h3", {}, TITLES.home), element("p", { class: "muted" }, moment(way.time)));
    const isStored = way.stations.some((one) => one.stream === "enriched" && one.state === "settled");
    const letter = way.stations.find((one) => one.stream === "dead");
    fill(
      place,
      element("div", { class: "head" }, element("h1", {}, title), element("p", {}, `Event ${way.id}`)),
      section(
        "Its way",
        element("ol", { class: "way" }, home, way.stations.map(stationView), isStored && element("li", {}, element("h3", {}, TITLES.sink), way.entity_id && element("p", {}, element("a", { href: `#/entity/${encodeURIComponent(way.entity_id)}` }, "Its history")))),
        letter && element("p", {}, element("a", { href: `#/letter/${letter.entry_id}` }, "Look after the dead letter")),
        way.missing.length > 0 && element("p", { class: "muted" }, `Not found on ${way.missing.join(", ")}: not there yet, trimmed, or too far away.`),
      ),
      way.line_protocol && section("As line protocol", pretty(way.line_protocol)),
    );
  } catch (error) {
    fill(place, element("div", { class: "head" }, element("h1", {}, "Event"), element("p", {}, element("a", { href: "#/live" }, "Live events"))), section("Not here", element("p", {}, badge("warn", error.message))));
  }
}
