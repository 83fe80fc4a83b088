// Replays of many letters, and who did what.

import { askIfThere, send } from "../api.js";
import { attempt } from "../dialog.js";
import { badge, button, element, fill, section, table } from "../dom.js";
import { ago, moment, number, plural } from "../format.js";
import { again } from "../poll.js";

const EVERY_MS = 1500;
const HOW = { running: "warn", done: "good", cancelled: "none", failed: "bad" };

const AUDIT = [
  { name: "When", value: (one) => moment(one.at), class: "nowrap" },
  { name: "Who", value: (one) => [one.who, one.address].filter(Boolean).join(", ") },
  { name: "What", value: (one) => one.action, class: "nowrap" },
  { name: "Letters", value: (one) => number(one.count), number: true },
  { name: "Which", value: (one) => element("code", {}, typeof one.what === "string" ? one.what : JSON.stringify(one.what)), class: "wide" },
];

function jobCard(job, { readOnly, cancel, isNamed }) {
  const done = job.total - job.left;
  const which = Object.entries(job.filter ?? {}).map(([name, value]) => `${name}=${value}`).join(", ");
  return element(
    "li",
    { class: isNamed ? "named" : "" },
    element("h3", {}, plural(job.total, "letter"), " ", badge(HOW[job.state] ?? "none", job.state)),
    element("p", { class: "muted" }, `${moment(job.created_at)}, ${job.by_ids ? "selected ones" : which || "all"}`),
    element("progress", { max: job.total || 1, value: job.state === "done" ? job.total || 1 : done, "aria-label": `${done} of ${job.total} letters` }),
    element("p", {}, `${number(job.replayed)} replayed, ${number(job.left)} left`, job.gone ? `, ${number(job.gone)} were gone` : "", job.expired ? `, ${number(job.expired)} expired` : ""),
    job.error && element("p", { class: "bad" }, job.error),
    job.state === "running" && !readOnly && button("Cancel", () => cancel(job), { class: "danger small" }),
    job.state !== "running" && element("p", { class: "muted" }, `Ended ${ago(job.finished_at ?? job.updated_at)}.`),
  );
}

export function show(place, { rest: [named], context }) {
  const jobs = element("div");
  const lines = element("div");
  fill(
    place,
    element("div", { class: "head" }, element("h1", {}, "Replays and audit"), element("p", {}, element("a", { href: "#/dead" }, "All dead letters"))),
    section("Replays", jobs),
    section("Audit", lines),
  );
  let drawn = "";
  const cancel = async (job) => {
    await attempt(() => send("DELETE", `replays/${job.job}`));
    await look();
  };

  async function look() {
    try {
      const [found, audit] = await Promise.all([askIfThere("replays"), askIfThere("audit")]);
      const now = JSON.stringify([found, audit]);
      if (now === drawn) return;
      drawn = now;
      const cards = (found?.replays ?? []).map((job) => jobCard(job, { readOnly: context.readOnly, cancel, isNamed: job.job === named }));
      fill(jobs, cards.length ? element("ul", { class: "cards" }, cards) : element("p", { class: "muted" }, "No replay of many letters yet."));
      fill(lines, table("Newest first", AUDIT, audit?.audit ?? [], "Nobody has changed anything yet."));
    } catch (error) {
      fill(jobs, element("p", {}, badge("bad", error.message)));
    }
  }

  return again(look, EVERY_MS);
}
