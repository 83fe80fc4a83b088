// Overview: does it flow, what needs attention, where is every event.

import { ask } from "../api.js";
import { attentionList } from "../attention.js";
import { chart, legend } from "../chart.js";
import { badge, element, fill, section, table } from "../dom.js";
import { moment, number, plural, seconds } from "../format.js";
import { begin, remember, seen as past, series } from "../history.js";
import { backlog, pipeline } from "../pipeline.js";
import { again } from "../poll.js";
import { isMissing, setupCard } from "../setup.js";

const EVERY_MS = 2000;
const STAGES = ["ingest", "enrich", "store"];
const QUESTIONS = { ledger: "ledger", streams: "streams", stats: "events/stats" };

const MEANING = {
  captured: "came",
  stored: "written to the sink",
  in_flight: "on their way",
  dead: "dead letters now",
  filtered: "left out by your rules",
  duplicates: "came twice",
  purged: "deleted by a person",
  lost: "deleted by others",
  redelivered: "handed out again",
};

async function look() {
  const [health, ...answers] = await Promise.all([
    ask("health"),
    ...Object.values(QUESTIONS).map((path) => ask(path).catch(() => null)),
  ]);
  const seen = { health };
  Object.keys(QUESTIONS).forEach((name, index) => (seen[name] = answers[index]));
  const now = Object.fromEntries(STAGES.map((stage) => [stage, seen.stats?.stages[stage]?.per_second ?? null]));
  for (const stream of seen.streams?.streams ?? []) now[`${stream.name}.waiting`] = backlog(stream).waiting;
  remember(Date.now(), now);
  return seen;
}

function ledgerCard({ ledger, streams }) {
  if (!ledger) return element("p", { class: "muted" }, "Redis does not answer, so nobody can tell.");
  const one = (name, value, how = "", note = MEANING[name]) =>
    element("div", { class: how }, element("dt", {}, name.replace("_", " ")), element("dd", {}, value, element("small", {}, note)));
  const known = Object.keys(MEANING).filter((name) => ledger[name] !== undefined);
  const balance = ledger.unaccounted === 0 ? ["✓ 0", "good"] : [ledger.unaccounted === null ? "n/a" : `✕ ${number(ledger.unaccounted)}`, "bad"];
  const hours = streams?.hours_left ?? null;
  return element(
    "dl",
    { class: "numbers" },
    known.map((name) => one(name, number(ledger[name]), name === "captured" ? "key" : "")),
    one("unaccounted", balance[0], balance[1], "must be 0"),
    one("buffer", hours === null ? "n/a" : `${number(hours)} h`, "", hours === null ? "no limit, or too early" : "if nothing drains"),
  );
}

function gapTable(ledger) {
  const gaps = ledger?.gaps ?? [];
  const columns = [
    { name: "From", value: (gap) => moment(gap.from), class: "nowrap" },
    { name: "Until", value: (gap) => moment(gap.to), class: "nowrap" },
    { name: "Length", value: (gap) => seconds(gap.seconds), number: true },
    { name: "Why", value: (gap) => gap.reason, class: "wide" },
    { name: "Whose", value: (gap) => (Array.isArray(gap.entities) ? plural(gap.entities.length, "entity", "entities") : "everybody's") },
    { name: "From history", value: (gap) => number(gap.recovered ?? 0), number: true },
  ];
  return section("Gaps", table("Times of which events stay missing", columns, gaps, "None."));
}

async function recall() {
  try {
    const { times, per_second: rates } = await ask("events/rates");
    begin(times.map((time) => Date.parse(time)), rates);
  } catch {
    // Then the charts begin now.
  }
}

export async function show(place) {
  await recall();
  const parts = Object.fromEntries(["state", "attention", "pipeline", "ledger", "gaps"].map((name) => [name, element("div")]));
  const drawing = element("div", { class: "chart" });
  const summary = element("p", { class: "muted" });
  fill(
    place,
    element("div", { class: "head" }, element("h1", {}, "Overview"), parts.state),
    parts.attention,
    section("Pipeline", parts.pipeline),
    section("Ledger", parts.ledger),
    section("Events a second", legend(["captured", "enriched", "stored"]), drawing, summary),
    parts.gaps,
  );
  const plot = chart(drawing, STAGES.map((stage, index) => ({ label: stage, color: `series-${index + 1}` })), { height: 200, fromZero: true, least: 60 });
  let drawn = "";

  function paint(seen) {
    const { health, ledger } = seen;
    fill(parts.state, element("p", {}, `habus ${health.version}, up for ${seconds(health.uptime)}`));
    // Until all is set up, the steps say what is missing, and nothing of it is an error.
    const top = isMissing(seen) ? setupCard(seen) : attentionList(seen);
    // What did not change stays, so that a screen reader is not disturbed.
    if (top.textContent !== drawn) {
      drawn = top.textContent;
      fill(parts.attention, top);
    }
    fill(parts.pipeline, pipeline(seen));
    fill(parts.ledger, ledgerCard(seen));
    fill(parts.gaps, ledger?.gaps?.length ? gapTable(ledger) : []);
    plot.set([past.times.map((time) => time / 1000), ...STAGES.map(series)]);
    const last = STAGES.map((stage) => `${stage} ${number(seen.stats?.stages[stage]?.per_second)}`).join(", ");
    fill(summary, `Now, a second: ${last}. The chart holds the last ${seconds((past.times.at(-1) - past.times[0]) / 1000)}.`);
  }

  const stop = again(async () => {
    try {
      paint(await look());
    } catch (error) {
      fill(parts.state, badge("bad", `habus does not answer: ${error.message}`));
    }
  }, EVERY_MS);
  return () => {
    stop();
    plot.end();
  };
}
