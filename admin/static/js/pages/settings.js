// Settings: what is set, and where it came from.

import { askIfThere } from "../api.js";
import { badge, command, element, fill, section, table } from "../dom.js";

const shown = (one) => (one.secret ? element("span", { class: "muted" }, one.value || "not set") : [one.value].flat().join(", ") || "–");

const COLUMNS = [
  { name: "Setting", value: (one) => element("code", {}, one.name), class: "nowrap" },
  { name: "Value", value: shown, class: "wide mono" },
  { name: "From", value: (one) => one.origin ?? one.source, class: "nowrap" },
  { name: "Meaning", value: (one) => one.description ?? one.meaning, class: "wide" },
];

/** The settings as a list, whichever shape habus gives them. */
function listed(config) {
  const settings = config.settings ?? config;
  if (Array.isArray(settings)) return settings;
  return Object.entries(settings).map(([name, one]) => (one && typeof one === "object" ? { name, ...one } : { name, value: one }));
}

export async function show(place) {
  const head = element("div", { class: "head" }, element("h1", {}, "Settings"), element("p", {}, "Of this admin; environment variables, .env, or files."));
  try {
    const config = await askIfThere("config");
    fill(
      place,
      head,
      config
        ? section("Effective settings", table("Secrets are never shown", COLUMNS, listed(config), "None."))
        : section("Effective settings", element("p", { class: "muted" }, "This habus does not tell them.")),
      section("Check them", command("habus doctor"), element("p", {}, element("a", { href: "docs" }, "The REST API"), " has every route with an example.")),
    );
  } catch (error) {
    fill(place, head, badge("bad", error.message));
  }
}
