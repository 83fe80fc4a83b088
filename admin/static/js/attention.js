// What a person should look at: the cause, and what to do.

import { element } from "./dom.js";
import { number, plural, seconds } from "./format.js";

const LATE_S = 60;
const SHORT_H = 6;

const NAMES = { home_assistant: "Home Assistant", redis: "Redis", influxdb: "The sink" };
const REMEDY = {
  home_assistant: "Ingest goes on trying. Check that it runs, and HA_WEBSOCKET_URL and HA_ACCESS_TOKEN; what is missed meanwhile is fetched from its history.",
  redis: "Events wait in the spool on the disk and flow in order when it is back. Check that it runs, and REDIS_URL.",
  influxdb: "Nothing is lost: events wait in Redis. Check that it runs, and INFLUXDB_URL and INFLUXDB_TOKEN.",
};

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** Every problem: {how, cause, remedy, link: [address, text]}. */
export function problems({ health, ledger, streams }) {
  const found = [];
  const add = (how, cause, remedy, link) => found.push({ how, cause, remedy, link });
  for (const [stage, service] of Object.entries(health.services)) {
    if (service.status === "unhealthy") {
      add("bad", `No worker of stage ${stage} is alive.`, `Start it: docker compose up -d ${stage}, or python -m ${stage}.`, ["#/workers", "Workers"]);
    }
  }
  for (const [name, dependency] of Object.entries(health.dependencies)) {
    if (dependency.status === "down") {
      add("bad", `${NAMES[name] ?? name} is down: ${dependency.error ?? "no reason known"}`, REMEDY[name] ?? "");
    }
  }
  for (const stream of streams?.streams ?? []) {
    for (const group of stream.groups) {
      if (group.lag_s > LATE_S) {
        add("warn", `${group.name} is ${seconds(group.lag_s)} behind on ${stream.key}.`, "Events wait, none is lost. When this grows, more come than go: look at the worker's last error.", ["#/workers", "Workers"]);
      }
    }
  }
  if (ledger?.unaccounted) {
    add("bad", `${plural(ledger.unaccounted, "event is", "events are")} unaccounted for.`, "This must not be: compare the counters below, and keep the logs.");
  }
  if (ledger?.lost) {
    add("warn", `${plural(ledger.lost, "event was", "events were")} lost.`, "Somebody else deleted entries from a stream before they were settled; nobody but habus should write or trim these keys.");
  }
  if (ledger?.dead) {
    add("warn", `${plural(ledger.dead, "event lies", "events lie")} among the dead letters.`, "Each has its cause; mend it, then replay.", ["#/dead", "Dead letters"]);
  }
  const gaps = ledger?.gaps ?? [];
  if (gaps.length) {
    add("warn", `${plural(gaps.length, "time has", "times have")} events that stay missing.`, "Home Assistant's history could not give them; they are listed under Gaps, and marked in the sink.");
  }
  for (const warning of health.warnings ?? []) {
    const [cause, ...advice] = warning.split("; ");
    add("warn", sentence(cause), advice.length ? sentence(advice.join("; ")) : "");
  }
  const hours = streams?.hours_left ?? null;
  if (hours !== null && hours < SHORT_H) {
    add("bad", `The buffer is full in ${number(hours)} hours.`, "Free memory or disk, or bring back what events wait for.");
  }
  return found;
}

const SIGN = { bad: "✕", warn: "▲" };

/** The list that stands on top of the overview. */
export function attentionList(seen) {
  const found = problems(seen);
  const item = ({ how, cause, remedy, link }) =>
    element(
      "li",
      { class: how },
      element("span", { class: `sign ${how}`, "aria-hidden": "true" }, SIGN[how]),
      element(
        "div",
        {},
        element("p", {}, element("strong", {}, cause)),
        remedy && element("p", {}, remedy, " ", link && element("a", { href: link[0] }, link[1])),
      ),
    );
  const clear = element(
    "li",
    { class: "good" },
    element("span", { class: "sign good", "aria-hidden": "true" }, "✓"),
    element("div", {}, element("p", {}, element("strong", {}, "All clear"), " – every event is accounted for.")),
  );
  return element("ul", { class: "attention", "aria-label": "What needs attention" }, found.length ? found.map(item) : clear);
}
