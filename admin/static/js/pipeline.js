// The pipeline as a picture: a list that is drawn as boxes and arrows.

import { spark } from "./chart.js";
import { badge, element } from "./dom.js";
import { number, rate, seconds } from "./format.js";
import { series } from "./history.js";

const HOW = { healthy: "good", up: "good", degraded: "warn", unknown: "none", unhealthy: "bad", down: "bad" };
const WARN_S = 10;
const BAD_S = 60;

/** What to think of so many seconds behind. */
export const howLate = (late) => (late > BAD_S ? "bad" : late > WARN_S ? "warn" : "good");

const waiting = (group) => group.pending + (group.lag ?? 0);

/** What waits in a stream, how old the oldest is, and whether the number is a guess. */
export function backlog(stream) {
  const groups = stream?.groups ?? [];
  return {
    waiting: groups.reduce((sum, group) => sum + waiting(group), 0),
    isGuess: groups.some((group) => group.lag === null),
    late: Math.max(0, ...groups.map((group) => group.lag_s)),
  };
}

function outside(health, key, name, facts) {
  const { status } = health.dependencies[key] ?? { status: "unknown" };
  return { name, how: HOW[status], state: status, facts };
}

function stage(health, stats, name, word) {
  const { status, workers } = health.services[name] ?? { status: "unhealthy", workers: [] };
  return {
    name,
    how: HOW[status],
    state: status,
    facts: [[rate(stats?.stages[name]?.per_second), word], [number(workers.length), workers.length === 1 ? "worker" : "workers"]],
    line: [series(name), `Events a second through ${name} lately`],
  };
}

function stream(streams, names) {
  const found = names.map((name) => streams?.streams.find((one) => one.name === name)).filter(Boolean);
  const all = found.map(backlog);
  const late = Math.max(0, ...all.map((one) => one.late));
  const sum = all.reduce((total, one) => total + one.waiting, 0);
  const guess = all.some((one) => one.isGuess) ? "≈ " : "";
  return {
    name: found[0]?.key ?? names[0],
    isStream: true,
    how: found.length ? howLate(late) : "none",
    state: late > WARN_S ? "behind" : found.length ? "flowing" : "unknown",
    facts: [[guess + number(found.length ? sum : null), "waiting"], [seconds(found.length ? late : null), "lag"]],
    line: [series(`${names[0]}.waiting`), `Events waiting in ${names[0]} lately`],
  };
}

/** What each box says, in the order in which an event meets them. */
export function boxes({ health, ledger, streams, stats }) {
  return [
    outside(health, "home_assistant", "Home Assistant", [[number(ledger?.captured), "captured"]]),
    stage(health, stats, "ingest", "captured"),
    stream(streams, ["raw", "inbox"]),
    stage(health, stats, "enrich", "enriched"),
    stream(streams, ["enriched"]),
    stage(health, stats, "store", "stored"),
    outside(health, "influxdb", "Sink", [[number(ledger?.stored), "stored"]]),
    {
      name: "ha:dead",
      isStream: true,
      isBranch: true,
      how: ledger ? (ledger.dead ? "warn" : "good") : "none",
      state: ledger ? (ledger.dead ? "look at them" : "empty") : "unknown",
      facts: [[number(ledger?.dead), "dead letters"], [number(ledger?.replayed), "replayed"], [number(ledger?.purged), "purged"]],
    },
  ];
}

function drawnBox(box) {
  const fact = ([value, word]) => element("span", { class: "fact" }, element("b", {}, value), ` ${word}`);
  const classes = [box.how, box.isStream && "stream", box.isBranch && "branch"].filter(Boolean).join(" ");
  return element(
    "li",
    { class: classes },
    element("div", {}, element("span", { class: "name" }, box.name), badge(box.how, box.state)),
    element("div", {}, box.facts.map(fact)),
    box.line && spark(...box.line),
  );
}

export const pipeline = (seen) =>
  element("ol", { class: "pipeline", "aria-label": "The pipeline, from Home Assistant to the sink" }, boxes(seen).map(drawnBox));
