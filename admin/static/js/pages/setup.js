// The setup checklist as a page of its own.

import { ask } from "../api.js";
import { badge, element, fill } from "../dom.js";
import { again } from "../poll.js";
import { setupCard } from "../setup.js";

const EVERY_MS = 3000;

export function show(place) {
  const body = element("div");
  fill(place, element("div", { class: "head" }, element("h1", {}, "Setup")), body);
  return again(async () => {
    try {
      const [health, ledger] = await Promise.all([ask("health"), ask("ledger").catch(() => null)]);
      fill(body, setupCard({ health, ledger }));
    } catch (error) {
      fill(body, badge("bad", error.message));
    }
  }, EVERY_MS);
}
