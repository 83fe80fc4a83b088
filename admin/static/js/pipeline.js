// The pipeline as a picture: wide on a desk, tall on a phone.

import { drawn, fill } from "./dom.js";
import { number, rate, seconds } from "./format.js";

const BOX = { width: 126, height: 62 };
const WIDE = { step: 154, across: true };
const TALL = { step: 94, across: false };
const narrow = matchMedia("(max-width: 40rem)");

const CLASS = { healthy: "good", up: "good", degraded: "warn", unknown: "", unhealthy: "bad", down: "bad" };
const SIGN = { good: "●", warn: "▲", bad: "✕", "": "○" };

/** What each box says: its name, two lines, and how it is. */
export function boxes({ health, ledger, streams, stats }) {
  const stream = (name) => {
    const found = streams?.streams.find((one) => one.name === name);
    const groups = found?.groups ?? [];
    const waiting = groups.reduce((sum, group) => sum + group.pending + (group.lag ?? 0), 0);
    const late = Math.max(0, ...groups.map((group) => group.lag_s));
    return {
      name: found?.key ?? name,
      lines: [`${number(waiting)} waiting`, `lag ${seconds(late)}`],
      how: late > 60 ? "bad" : late > 10 ? "warn" : "good",
    };
  };
  const outside = (key, name) => {
    const { status } = health.dependencies[key];
    return { name, lines: [status], how: CLASS[status] };
  };
  const stage = (name) => {
    const { status, workers } = health.services[name];
    const lines = [status, `${workers.length} alive, ${rate(stats?.stages[name]?.per_second)}`];
    return { name, lines, how: CLASS[status], worker: true };
  };
  return [
    outside("home_assistant", "Home Assistant"),
    stage("ingest"),
    stream("raw"),
    stage("enrich"),
    stream("enriched"),
    stage("store"),
    outside("influxdb", "InfluxDB"),
    {
      name: "ha:dead",
      lines: [`${number(ledger?.dead)} dead letters`],
      how: ledger?.dead ? "warn" : "good",
      below: true,
    },
  ];
}

function place(index, box, layout) {
  const along = box.below ? 5 : index;
  const aside = box.below ? 100 : 0;
  return layout.across
    ? { x: along * layout.step, y: aside }
    : { x: box.below ? BOX.width + 40 : 0, y: along * layout.step };
}

function picture(box, { x, y }) {
  const centre = x + BOX.width / 2;
  const lines = box.lines.map((text, line) =>
    drawn("text", { x: centre, y: y + 39 + 14 * line, class: "small" }, line ? text : `${SIGN[box.how]} ${text}`),
  );
  return drawn(
    "g",
    { class: `${box.how} ${box.worker ? "worker" : ""}` },
    drawn("rect", { x, y, width: BOX.width, height: BOX.height, rx: box.worker ? 6 : 14 }),
    drawn("text", { x: centre, y: y + 20, class: "name" }, box.name),
    ...lines,
  );
}

function arrow(from, to, layout, below) {
  const path = layout.across !== Boolean(below)
    ? `M${from.x + BOX.width},${from.y + BOX.height / 2} H${to.x - 5}`
    : `M${from.x + BOX.width / 2},${from.y + BOX.height} V${to.y - 5}`;
  return drawn("path", { d: path, "marker-end": "url(#tip)" });
}

export function showPipeline(seen) {
  const layout = narrow.matches ? TALL : WIDE;
  const all = boxes(seen);
  const places = all.map((box, index) => place(index, box, layout));
  const tip = drawn(
    "marker",
    { id: "tip", viewBox: "0 0 8 8", refX: 4, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" },
    drawn("path", { d: "M0,0 L8,4 L0,8 Z" }),
  );
  const arrows = all.slice(0, -1).flatMap((_, index) =>
    index + 1 < all.length - 1 ? [arrow(places[index], places[index + 1], layout, false)] : [],
  );
  arrows.push(arrow(places[5], places.at(-1), layout, true));
  const label = all.map((box) => `${box.name}: ${box.lines.join(", ")}`).join("; ");
  const size = layout.across
    ? `-4 -4 ${6 * layout.step + BOX.width + 8} ${100 + BOX.height + 8}`
    : `-4 -4 ${2 * BOX.width + 48} ${6 * layout.step + BOX.height + 8}`;
  fill(
    "pipeline",
    drawn(
      "svg",
      { viewBox: size, class: layout.across ? "wide" : "tall", role: "img", "aria-label": label },
      drawn("defs", {}, tip),
      ...arrows,
      ...all.map((box, index) => picture(box, places[index])),
    ),
  );
}
