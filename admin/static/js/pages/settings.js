// Settings: what is set, and where it came from.

import { askIfThere } from "../api.js";
import { badge, command, element, fill, section, table, words } from "../dom.js";

const shown = (one) => one.value || "–";

const COLUMNS = [
  { name: "Setting", value: (one) => element("code", {}, words(one.name)), class: "words" },
  { name: "Value", value: shown, class: "wide mono" },
  { name: "From", value: (one) => one.origin, class: "nowrap" },
  { name: "Meaning", value: (one) => one.description, class: "wide desk" },
];

export async function show(place) {
  const head = element("div", { class: "head" }, element("h1", {}, "Settings"), element("p", {}, "Of this admin; environment variables, .env, or files."));
  try {
    const config = await askIfThere("config");
    fill(
      place,
      head,
      config
        ? section("Effective settings", table("Secrets are never shown", COLUMNS, config.settings, "None."))
        : section("Effective settings", element("p", { class: "muted" }, "This habus does not tell them.")),
      section("Check them", command("habus doctor"), element("p", {}, element("a", { href: "docs" }, "The REST API"), " has every route with an example.")),
    );
  } catch (error) {
    fill(place, head, badge("bad", error.message));
  }
}
