// What a person should look at: the cause, and what to do.

import { element, fill } from "./dom.js";
import { number, seconds } from "./format.js";

const LATE_S = 60;

const REMEDY = {
  home_assistant: "What is missed meanwhile is fetched from its history.",
  redis: "Events wait in the spool of ingest.",
  influxdb: "Nothing is lost: events wait in Redis.",
};

/** Every problem as a sentence. */
export function problems({ health, ledger, streams }) {
  const found = [];
  for (const [stage, service] of Object.entries(health.services)) {
    if (service.status === "unhealthy") found.push(`No worker of stage ${stage} is alive: start it.`);
  }
  for (const [name, dependency] of Object.entries(health.dependencies)) {
    if (dependency.status === "down") {
      found.push(`${name} is down: ${dependency.error ?? "no reason known"}. ${REMEDY[name] ?? ""}`);
    }
  }
  for (const stream of streams?.streams ?? []) {
    for (const group of stream.groups) {
      if (group.lag_s > LATE_S) {
        found.push(`${group.name} is ${seconds(group.lag_s)} behind on ${stream.key}.`);
      }
    }
  }
  if (ledger?.dead) found.push(`${number(ledger.dead)} dead letters: habus dead list shows why.`);
  if (ledger?.unaccounted) found.push(`${number(ledger.unaccounted)} events are unaccounted for.`);
  if (ledger?.gaps.length) found.push(`${number(ledger.gaps.length)} gaps are not yet filled.`);
  return found;
}

export function showAttention(seen) {
  const found = problems(seen);
  const items = found.map((text) => element("li", { class: "warn" }, `⚠ ${text}`));
  fill("attention", ...(items.length ? items : [element("li", { class: "good" }, "✓ All clear.")]));
}
