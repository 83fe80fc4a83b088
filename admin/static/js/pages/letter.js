// One dead letter: what it was, why it fell, what would become of it now; put it back or edit it.

import { ask, send } from "../api.js";
import { attempt, confirmed, notice } from "../dialog.js";
import { badge, button, command, element, field, fill, pretty, section, table } from "../dom.js";
import { ago, moment, number, plural } from "../format.js";
import { outcomeView } from "../outcome.js";

const HISTORY = [
  { name: "When", value: (one) => moment(one.at), class: "nowrap" },
  { name: "Who", value: (one) => [one.who, one.via].filter(Boolean).join(" by ") },
  { name: "What", value: (one) => one.action },
  { name: "Replaced data", value: (one) => one.original && element("details", {}, element("summary", {}, "Original"), pretty(one.original)) },
];

function facts(letter) {
  const pairs = [
    ["Reason", letter.reason],
    ["Stage", letter.stage],
    ["Buried", `${moment(letter.at)} (${ago(letter.at)})`],
    ["Event time", moment(letter.event.time)],
    ["From", `${letter.origin} ${letter.origin_id}`],
    ["Deliveries", number(letter.deliveries)],
    ["Worker", letter.worker],
    ["Replays", number(letter.replays ?? Number(letter.event.replays ?? 0))],
  ];
  const same = element("a", { href: `#/dead?fingerprint=${encodeURIComponent(letter.fingerprint)}` }, letter.fingerprint);
  return element("dl", { class: "facts" }, pairs.map(([name, value]) => [element("dt", {}, name), element("dd", {}, value || "–")]), element("dt", {}, "Same cause"), element("dd", {}, same));
}

export async function show(place, { rest: [id = ""], context }) {
  let letter;
  try {
    letter = await ask(`dead-letters/${encodeURIComponent(id)}`);
  } catch (error) {
    fill(place, element("div", { class: "head" }, element("h1", {}, "Dead letter"), element("p", {}, element("a", { href: "#/dead" }, "All dead letters"))), section("Not here", element("p", {}, badge("warn", error.message))));
    return;
  }
  const path = `dead-letters/${letter.id}`;
  const original = JSON.stringify(letter.event.data, null, 2);
  const text = element("textarea", { spellcheck: "false", readonly: context.readOnly }, original);
  const tried = element("div", { role: "status" });
  const changed = element("p", { class: "muted", role: "status" }, "As it was.");

  /** The body of a request: the edited data, nothing where nothing was edited; undefined when it is no JSON. */
  function edited() {
    if (text.value === original) return {};
    try {
      return { data: JSON.parse(text.value) };
    } catch (error) {
      notice(`The data is no JSON: ${error.message}`, "bad");
      return undefined;
    }
  }

  function compare() {
    if (text.value === original) return fill(changed, "As it was.");
    const before = new Set(original.split("\n"));
    const after = text.value.split("\n");
    const added = after.filter((line) => !before.has(line)).length;
    const kept = new Set(after);
    const gone = original.split("\n").filter((line) => !kept.has(line)).length;
    return fill(changed, `Edited: ${plural(added, "line")} new, ${number(gone)} gone. The original is kept in the audit.`);
  }

  async function dryRun() {
    const body = edited();
    if (!body) return;
    const outcome = await attempt(() => send("POST", `${path}/dry-run`, body));
    if (outcome) fill(tried, outcomeView(outcome));
  }

  async function replay() {
    const body = edited();
    if (!body) return;
    const found = await attempt(() => send("POST", `${path}/replay`, letter.expired ? { ...body, force: true } : body));
    if (!found) return;
    notice(`Back on ${found.stream} as ${found.stream_id}.`);
    location.hash = "#/dead";
  }

  async function remove() {
    const wish = await confirmed("Delete this letter for good?", "It cannot be brought back.", { deed: "Delete", danger: true });
    if (!wish || !(await attempt(() => send("DELETE", path)))) return;
    notice("The letter is deleted.");
    location.hash = "#/dead";
  }

  text.addEventListener("input", compare);
  const entity = letter.event.entity_id;
  fill(
    place,
    element("div", { class: "head" }, element("h1", {}, entity || letter.event.type || letter.id), element("p", {}, element("a", { href: "#/dead" }, "All dead letters"))),
    element(
      "div",
      { class: "columns" },
      section("Why it fell", element("p", {}, badge("warn", letter.reason), letter.expired && [" ", badge("bad", "expired: outside the sink's retention")]), element("p", {}, element("strong", {}, letter.error)), letter.hint && element("p", { class: "muted" }, letter.hint), Object.keys(letter.detail ?? {}).length > 0 && element("details", {}, element("summary", {}, "Detail"), pretty(letter.detail))),
      section("What it is", facts(letter), command(`redis-cli XRANGE ha:dead ${letter.id} ${letter.id}`)),
    ),
    section(
      context.readOnly ? "Its data" : "Replay, as it is or edited",
      field("Data", text),
      changed,
      element(
        "div",
        { class: "row" },
        !context.readOnly && button("Replay", replay, { class: "primary" }),
        button("What would become of it now?", dryRun),
        !context.readOnly && button("As it was", () => {
          text.value = original;
          compare();
        }),
        !context.readOnly && button("Delete", remove, { class: "danger end" }),
      ),
      tried,
    ),
    letter.history?.length ? section("Earlier replays", table("Of the same event, newest first", HISTORY, letter.history, "")) : null,
  );
}
