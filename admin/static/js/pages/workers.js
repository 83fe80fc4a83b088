// Workers: who is alive, since when, and what went wrong last.

import { ask } from "../api.js";
import { badge, element, fill, section } from "../dom.js";
import { ago, moment, number } from "../format.js";
import { again } from "../poll.js";

const EVERY_MS = 3000;
const LATE_MS = 15000;
const HOW = { healthy: "good", degraded: "warn", unhealthy: "bad" };

function facts(worker) {
  const pairs = [
    ["Host", `${worker.host}, process ${worker.pid}`],
    ["Version", worker.version],
    ["Started", `${moment(worker.started)} (${ago(worker.started)})`],
    ["Heartbeat", ago(worker.beat)],
    ["Progress", worker.progress ? ago(worker.progress) : "none yet"],
    ...Object.entries(worker.counters).map(([name, value]) => [name, number(value)]),
  ];
  return element("dl", { class: "facts" }, pairs.map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function card(worker) {
  const isLate = Date.now() - Date.parse(worker.beat) > LATE_MS;
  const dependencies = Object.entries(worker.dependencies).map(([name, said]) =>
    element("p", {}, badge(said === "up" ? "good" : "bad", name), said === "up" ? "" : ` ${said}`),
  );
  return element(
    "li",
    {},
    element("h3", {}, worker.name, " ", isLate && badge("warn", "late")),
    facts(worker),
    dependencies,
    worker.last_error && element("p", { class: "bad" }, `Last error: ${worker.last_error}`),
  );
}

export function show(place) {
  const body = element("div");
  fill(place, element("div", { class: "head" }, element("h1", {}, "Workers"), element("p", {}, "By their heartbeats.")), body);
  return again(async () => {
    try {
      const { services } = await ask("health");
      fill(
        body,
        Object.entries(services).map(([stage, service]) =>
          section(
            stage,
            element("p", {}, badge(HOW[service.status], service.status)),
            service.workers.length
              ? element("ul", { class: "cards" }, service.workers.map(card))
              : element("p", { class: "muted" }, "No worker says anything."),
          ),
        ),
      );
    } catch (error) {
      fill(body, element("p", {}, badge("bad", error.message)));
    }
  }, EVERY_MS);
}
