// Preview: what would become of an event, without writing it.

import { send } from "../api.js";
import { badge, button, element, field, fill, section } from "../dom.js";
import { outcomeView } from "../outcome.js";

const example = () => ({
  event_type: "state_changed",
  time_fired: new Date().toISOString(),
  data: {
    entity_id: "sensor.kitchen_temperature",
    old_state: null,
    new_state: {
      entity_id: "sensor.kitchen_temperature",
      state: "21.4",
      attributes: { unit_of_measurement: "°C", device_class: "temperature", friendly_name: "Kitchen" },
      last_updated: new Date().toISOString(),
    },
  },
});

export function show(place) {
  const text = element("textarea", { spellcheck: "false", "data-filter": true }, JSON.stringify(example(), null, 2));
  const found = element("div", { role: "status" });

  async function attempt() {
    let event;
    try {
      event = JSON.parse(text.value);
    } catch (error) {
      fill(found, element("p", {}, badge("bad", `This is no JSON: ${error.message}`)));
      return;
    }
    try {
      fill(found, outcomeView(await send("POST", "enrich/preview", event)));
    } catch (error) {
      fill(found, element("p", {}, badge("bad", error.status === 404 || error.status === 405 ? "This habus cannot do that." : error.message)));
    }
  }

  fill(
    place,
    element("div", { class: "head" }, element("h1", {}, "Preview"), element("p", {}, "Nothing is written.")),
    section(
      "An event as Home Assistant would fire it",
      field("Event", text, "JSON, as POST /api/v1/events takes it"),
      element("p", { class: "row" }, button("What would become of it?", attempt, { class: "primary" }), button("Example", () => (text.value = JSON.stringify(example(), null, 2)))),
      found,
    ),
  );
}
