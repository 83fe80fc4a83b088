// Workers: who is alive, since when, and what went wrong last.

import { ask } from "../api.js";
import { badge, element, fill } from "../dom.js";
import { ago, number } from "../format.js";
import { again } from "../poll.js";

const EVERY_MS = 3000;
const LATE_MS = 15000;
const HOW = { healthy: "good", degraded: "warn", unhealthy: "bad" };

function facts(worker) {
  const pairs = [
    ["Host", `${worker.host}, process ${worker.pid}`],
    ["Version", worker.version],
    ["Started", ago(worker.started)],
    ["Heartbeat", ago(worker.beat)],
    ["Progress", worker.progress ? ago(worker.progress) : "none yet"],
    ...Object.entries(worker.counters).map(([name, value]) => [name, number(value)]),
  ];
  return element("dl", { class: "facts" }, pairs.map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function card(stage, worker) {
  const isLate = Date.now() - Date.parse(worker.beat) > LATE_MS;
  const dependencies = Object.entries(worker.dependencies).map(([name, said]) =>
    element("p", {}, badge(said === "up" ? "good" : "bad", name.replace("_", " ")), said === "up" ? "" : ` ${said}`),
  );
  return element(
    "li",
    {},
    element("h2", {}, `${stage} · ${worker.name} `, badge(isLate ? "warn" : "good", isLate ? "late" : "alive")),
    facts(worker),
    element("div", { class: "space" }, dependencies),
    worker.last_error && element("p", { class: "bad" }, `Last error: ${worker.last_error}`),
  );
}

const absent = (stage, service) =>
  element("li", {}, element("h2", {}, `${stage} `, badge(HOW[service.status], service.status)), element("p", { class: "muted" }, "No worker says anything."));

export function show(place) {
  const body = element("div");
  fill(place, element("div", { class: "head" }, element("h1", {}, "Workers"), element("p", {}, "By their heartbeats.")), body);
  return again(async () => {
    try {
      const { services } = await ask("health");
      const cards = Object.entries(services).map(([stage, service]) =>
        service.workers.length ? service.workers.map((worker) => card(stage, worker)) : absent(stage, service),
      );
      fill(body, element("ul", { class: "cards" }, cards));
    } catch (error) {
      fill(body, element("p", {}, badge("bad", error.message)));
    }
  }, EVERY_MS);
}
