// One entity: its history as a chart, as a table, as CSV.

import { ask, query } from "../api.js";
import { chart } from "../chart.js";
import { csv } from "../csv.js";
import { badge, button, choice, element, field, fill, section, table } from "../dom.js";
import { moment, number, plural } from "../format.js";

const HOURS = [["1", "1 hour"], ["24", "24 hours"], ["168", "7 days"], ["720", "30 days"]];
const SHOWN = 100;
const PAGE = 1000;
const PAGES = 10;

const COLUMNS = [
  { name: "Time", value: (one) => moment(one.time), class: "nowrap" },
  { name: "State", value: (one) => one.state, class: "wide" },
  { name: "Value", value: (one) => one.value, number: true },
  { name: "Unit", value: (one) => one.unit },
  { name: "Available", value: (one) => (one.available === undefined ? null : one.available ? "yes" : "no") },
];

/** The points of a time, oldest first; page by page, as each page begins where the last one ended. */
async function pointsOf(entity, start, end) {
  const found = [];
  let from = start.toISOString();
  for (let page = 0; page < PAGES; page += 1) {
    const path = `entities/${encodeURIComponent(entity)}/history`;
    const { points } = await ask(path + query({ start_time: from, end_time: end.toISOString(), limit: PAGE }));
    const last = found.at(-1)?.time ?? "";
    found.push(...points.filter((one) => one.time > last));
    if (points.length < PAGE) break;
    from = points.at(-1).time;
  }
  return found;
}

function facts(known) {
  const names = { friendly_name: "Name", area: "Area", floor: "Floor", device: "Device", integration: "Integration", unit: "Unit" };
  const pairs = Object.entries(names).filter(([name]) => known[name]);
  if (known.labels?.length) pairs.push(["labels", "Labels"]);
  return element("dl", { class: "facts" }, pairs.map(([name, title]) => [element("dt", {}, title), element("dd", {}, [known[name]].flat().join(", "))]));
}

function summary(points) {
  const values = points.map((one) => one.value).filter((value) => typeof value === "number");
  if (!points.length) return "Nothing is stored of this time.";
  if (!values.length) return `${plural(points.length, "point")}, none of them a number.`;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const show = (value) => Number(value.toPrecision(6));
  return `${plural(points.length, "point")}: lowest ${show(Math.min(...values))}, highest ${show(Math.max(...values))}, mean ${show(mean)}, last ${show(values.at(-1))}.`;
}

function download(name, text) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export async function show(place, { rest: [entity = ""], search }) {
  const hours = choice({ name: "hours" }, HOURS, search.get("hours") ?? "24");
  const drawing = element("div", { class: "chart" });
  const told = element("p", { class: "muted" });
  const about = element("div");
  const rows = element("div");
  let points = [];
  const plot = chart(drawing, [{ label: "value", color: "series-3", stepped: true }]);

  async function load() {
    const end = new Date();
    const start = new Date(end - Number(hours.value) * 3600e3);
    try {
      points = await pointsOf(entity, start, end);
      drawing.hidden = !points.some((one) => typeof one.value === "number");
      plot.set([points.map((one) => Date.parse(one.time) / 1000), points.map((one) => one.value ?? null)]);
      fill(told, summary(points), points.length >= PAGES * PAGE ? " There are more; choose a shorter time." : "");
      const shown = points.slice(-SHOWN).reverse();
      const caption = shown.length < points.length ? `The newest ${SHOWN} of ${number(points.length)}` : "Newest first";
      fill(rows, table(caption, COLUMNS, shown, "None."));
    } catch (error) {
      fill(told, badge("bad", error.message));
    }
  }

  hours.addEventListener("change", load);
  fill(
    place,
    element("div", { class: "head" }, element("h1", {}, entity), element("p", {}, element("a", { href: "#/entities" }, "All entities"))),
    about,
    section(
      "History",
      element("div", { class: "row" }, field("Time", hours), button("Download CSV", () => download(`${entity.replace(/[^\w.-]/g, "_")}.csv`, csv(points))), element("a", { class: "button", href: `#/live?filter=${encodeURIComponent(entity)}` }, "Watch it live")),
      drawing,
      told,
    ),
    section("Points", rows),
  );
  await load();
  ask(`entities${query({ text: entity, limit: 200 })}`).then(({ entities }) => {
    const known = entities.find((one) => one.entity_id === entity);
    if (known) fill(about, section("Known", facts(known)));
  }, () => {});
  return () => plot.end();
}
