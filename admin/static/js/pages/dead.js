// Dead letters: by cause and one by one; put back, deleted, exported.

import { address, ask, askIfThere, query } from "../api.js";
import { purgeMany, replayMany } from "../bulk.js";
import { badge, button, choice, element, field, fill, section, table, words } from "../dom.js";
import { ago, number, plural } from "../format.js";

const WAIT_MS = 300;
const PAGE = 50;
const FILTERS = ["stage", "reason", "entity_id", "text", "fingerprint", "start_time", "end_time"];
const STAGES = [["", "all"], ["ingest", "ingest"], ["enrich", "enrich"], ["store", "store"]];

const toLocal = (time) => (time ? new Date(new Date(time) - new Date().getTimezoneOffset() * 60e3).toISOString().slice(0, 16) : "");
const toTime = (local) => (local ? new Date(local).toISOString() : "");

function groupCard(group, choose) {
  return element(
    "li",
    {},
    element("h3", {}, `${number(group.count)} × ${group.reason}`),
    element("p", {}, badge("warn", group.stage), element("span", { class: "muted" }, ` last ${ago(group.last_at)}, first ${ago(group.first_at)}`)),
    element("p", {}, group.error || "–"),
    group.hint && element("p", { class: "muted" }, group.hint),
    element("p", { class: "row" }, button("Show these", () => choose(group), { class: "small" }), group.example && element("a", { class: "button little", href: `#/letter/${group.example.id ?? group.example}` }, "An example")),
  );
}

export async function show(place, { search, context }) {
  const values = Object.fromEntries(FILTERS.map((name) => [name, search.get(name) ?? ""]));
  const selected = new Set();
  let letters = [];
  let next = null;
  let matching = null;
  let timer;

  const input = (name, attributes = {}) => element("input", { name, value: values[name], ...attributes });
  const controls = {
    stage: choice({ name: "stage" }, STAGES, values.stage),
    reason: input("reason", { placeholder: "point_rejected" }),
    entity_id: input("entity_id", { placeholder: "sensor.kitchen" }),
    text: input("text", { type: "search", "data-filter": true, placeholder: "in event or error" }),
    fingerprint: input("fingerprint", { placeholder: "same cause" }),
    start_time: element("input", { name: "start_time", type: "datetime-local", value: toLocal(values.start_time) }),
    end_time: element("input", { name: "end_time", type: "datetime-local", value: toLocal(values.end_time) }),
  };
  const parts = Object.fromEntries(["groups", "actions", "list", "more"].map((name) => [name, element("div")]));
  const total = element("p", { role: "status" });

  const wanted = () => {
    const found = Object.fromEntries(Object.entries(controls).map(([name, control]) => [name, control.value.trim()]));
    for (const name of ["start_time", "end_time"]) found[name] = toTime(found[name]);
    return Object.fromEntries(Object.entries(found).filter(([, value]) => value));
  };

  function columns() {
    const box = (letter) => {
      const check = element("input", { type: "checkbox", "aria-label": `Select ${letter.event?.entity_id || letter.id}`, checked: selected.has(letter.id) });
      check.addEventListener("change", () => {
        if (check.checked) selected.add(letter.id);
        else selected.delete(letter.id);
        drawActions();
      });
      return check;
    };
    const what = (letter) => element("a", { href: `#/letter/${letter.id}` }, words(letter.event?.entity_id || letter.event?.type || letter.id));
    return [
      ...(context.readOnly ? [] : [{ name: "Select", value: box }]),
      { name: "Event", value: what, class: "wide" },
      { name: "Reason", value: (one) => one.reason, class: "desk" },
      { name: "Error", value: (one) => one.error.slice(0, 200), class: "wide" },
      { name: "Stage", value: (one) => one.stage, class: "desk" },
      { name: "Buried", value: (one) => ago(one.at), class: "nowrap" },
      { name: "Replays", value: (one) => number(one.replays ?? Number(one.event?.replays ?? 0)), number: true, class: "desk" },
    ];
  }

  function drawActions() {
    const filter = wanted();
    const ids = [...selected];
    const link = element("a", { class: "button", href: address(`dead-letters/export${query(filter)}`), download: "dead-letters.ndjson" }, "Export");
    if (context.readOnly) return fill(parts.actions, element("p", { class: "row space" }, link));
    const done = () => {
      selected.clear();
      load();
    };
    const bulk = (text, deed, ids_, attributes) => button(text, async () => (await deed(filter, ids_)) && done(), attributes);
    return fill(
      parts.actions,
      element(
        "div",
        { class: "row space" },
        bulk(ids.length ? `Replay ${ids.length} selected` : "Replay selected", replayMany, ids, { class: "primary", disabled: !ids.length }),
        bulk("Delete selected", purgeMany, ids, { class: "danger", disabled: !ids.length }),
        bulk("Replay all that match", replayMany, null, { disabled: !letters.length }),
        bulk("Delete all that match", purgeMany, null, { class: "danger", disabled: !letters.length }),
        link,
      ),
    );
  }

  function draw() {
    const caption = matching === null ? `${plural(letters.length, "letter")} shown` : `${number(letters.length)} of ${plural(matching, "letter")}`;
    fill(parts.list, table(caption, columns(), letters, "No dead letter matches: all is well."));
    fill(parts.more, next && button("Show more", () => load(next)));
    drawActions();
  }

  async function load(cursor) {
    // Who has gone to another page by now wants to stay there.
    if (!location.hash.startsWith("#/dead")) return;
    const filter = wanted();
    history.replaceState(null, "", `#/dead${query(filter)}`);
    try {
      const page = await ask(`dead-letters${query({ ...filter, cursor: typeof cursor === "string" ? cursor : "", limit: PAGE })}`);
      letters = typeof cursor === "string" ? [...letters, ...page.dead_letters] : page.dead_letters;
      next = page.next_cursor;
      matching = page.matching ?? null;
      fill(total, page.total === undefined ? "" : `${plural(page.total, "letter")} in all.`);
      draw();
    } catch (error) {
      fill(parts.list, element("p", {}, badge("bad", error.message)));
    }
  }

  async function loadGroups() {
    try {
      const found = await askIfThere("dead-letters/groups");
      const choose = (group) => {
        controls.fingerprint.value = group.fingerprint;
        load();
      };
      fill(parts.groups, found?.groups?.length && section("By cause", element("ul", { class: "cards" }, found.groups.slice(0, 12).map((group) => groupCard(group, choose)))));
    } catch {
      fill(parts.groups);
    }
  }

  for (const control of Object.values(controls)) {
    control.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(load, WAIT_MS);
    });
  }
  const clear = button("Clear", () => {
    for (const control of Object.values(controls)) control.value = "";
    load();
  });
  const labels = { stage: "Stage", reason: "Reason", entity_id: "Entity", text: "Text", fingerprint: "Fingerprint", start_time: "From", end_time: "Until" };
  fill(
    place,
    element("div", { class: "head" }, element("h1", {}, "Dead letters"), total, element("p", {}, element("a", { href: "#/jobs" }, "Replays and audit"))),
    parts.groups,
    section(
      "Letters",
      element("div", { class: "filters" }, Object.entries(controls).map(([name, control]) => field(labels[name], control)), element("div", {}, clear)),
      parts.actions,
      element("div", { class: "space" }, parts.list),
      parts.more,
    ),
  );
  await Promise.all([load(), loadGroups()]);
  return () => clearTimeout(timer);
}
