// What is not yet set up: a list of steps instead of errors.

import { element } from "./dom.js";

/** The steps: {done, name, text, line}. */
export function steps({ health, ledger }) {
  const { home_assistant: home, redis, influxdb: sink } = health.dependencies;
  const alive = (stage) => health.services[stage]?.workers.length > 0;
  return [
    { done: redis.status === "up", name: "Redis", text: redis.error ?? "The bus answers.", line: "REDIS_URL=redis://127.0.0.1:6379/0" },
    { done: alive("ingest"), name: "Ingest runs", text: "Captures what Home Assistant says.", line: "docker compose up -d ingest" },
    { done: home.status === "up", name: "Home Assistant", text: home.error ?? "A long-lived access token: your profile in Home Assistant, tab Security.", line: "HA_WEBSOCKET_URL=http://homeassistant.local:8123\nHA_ACCESS_TOKEN=paste-your-token-here" },
    { done: alive("enrich"), name: "Enrich runs", text: "Adds what is known beside a state.", line: "docker compose up -d enrich" },
    { done: alive("store"), name: "Store runs", text: "Writes to the sink.", line: "docker compose up -d store" },
    { done: sink.status === "up", name: "The sink", text: sink.error ?? "InfluxDB, or a file with STORE_SINK=sqlite.", line: "INFLUXDB_URL=http://127.0.0.1:8086\nINFLUXDB_TOKEN=paste-your-token-here" },
    { done: (ledger?.stored ?? 0) > 0, name: "The first event", text: "Comes to rest as soon as something changes at home.", line: "habus send -e sensor.hand_made -s 21.5" },
  ];
}

/** Whether habus was never complete: nothing has ever been stored. */
export const isMissing = (seen) =>
  !seen.ledger?.stored && steps(seen).some((step) => !step.done);

export function setupCard(seen) {
  const found = steps(seen);
  const next = found.findIndex((step) => !step.done);
  const item = (step, index) =>
    element(
      "li",
      {},
      element("h3", { class: step.done ? "good" : "" }, step.done ? "✓ " : `${index + 1}. `, step.name, element("span", { class: "sr" }, step.done ? ", done" : ", to do")),
      element("p", { class: "muted" }, step.text),
      index === next && element("pre", { tabindex: 0, role: "region", "aria-label": "What to write" }, step.line),
    );
  return element(
    "section",
    { class: "card", "aria-labelledby": "setup-title" },
    element("h2", { id: "setup-title" }, "Setting up"),
    element("p", { class: "muted" }, `${found.filter((step) => step.done).length} of ${found.length} steps are done; habus doctor says more.`),
    element("ul", { class: "cards" }, found.map(item)),
  );
}
