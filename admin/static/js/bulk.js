// Many letters at once: count, ask, do; and say so when another number matches by now.

import { send } from "./api.js";
import { confirmed, notice, open } from "./dialog.js";
import { button, choice, element, field } from "./dom.js";
import { plural } from "./format.js";

const RATES = [["0", "as fast as possible"], ["100", "100 a second"], ["10", "10 a second"], ["1", "1 a second"]];

const chosen = (filter, ids) => (ids?.length ? { ids } : filter);

/** Do it with the count that the person saw; when it has changed, ask again with the new one. */
async function withCount(count, question, deed) {
  let expected = count;
  for (;;) {
    const answer = await question(expected);
    if (!answer) return false;
    try {
      await deed(expected, answer);
      return true;
    } catch (error) {
      const now = error.details?.count;
      if (error.status !== 409 || now === undefined) throw error;
      notice(`By now ${plural(now, "letter matches", "letters match")}, no longer ${expected}.`, "bad");
      expected = now;
    }
  }
}

async function guarded(deed) {
  try {
    return await deed();
  } catch (error) {
    notice(error.message, "bad");
    return false;
  }
}

/** Ask how fast; the rate, or "" when the person does not want it. */
function askRate(count) {
  const rate = choice({ name: "rate" }, RATES, "0");
  return open(`Replay ${plural(count, "letter")}?`, (close) => [
    element("p", {}, "Each goes back to where it fell, once, however many people replay it."),
    field("How fast", rate),
    element("div", { class: "row" }, button("Cancel", () => close(""), { autofocus: true }), button(`Replay ${count}`, () => close(`rate ${rate.value}`), { class: "primary" })),
  ]);
}

/** Start a job that puts letters back; true when it began. */
export function replayMany(filter, ids) {
  return guarded(async () => {
    const what = chosen(filter, ids);
    const { count } = await send("POST", "dead-letters/replay", { ...what, dry_run: true });
    if (!count) return notice("No letter matches any more.");
    return withCount(count, askRate, async (expected, answer) => {
      const job = await send("POST", "dead-letters/replay", { ...what, rate: Number(answer.slice(5)), expected_count: expected });
      notice(`Replaying ${plural(expected, "letter")}.`);
      location.hash = `#/jobs/${job.job ?? ""}`;
    });
  });
}

/** Delete letters for good; true when they are gone. */
export function purgeMany(filter, ids) {
  return guarded(async () => {
    const what = chosen(filter, ids);
    const { count } = await send("POST", "dead-letters/purge", { ...what, dry_run: true });
    if (!count) return notice("No letter matches any more.");
    const question = (number) =>
      confirmed(`Delete ${plural(number, "letter")} for good?`, "They cannot be brought back; export them first if in doubt.", { deed: `Delete ${number}`, danger: true });
    return withCount(count, question, async (expected) => {
      const { purged } = await send("POST", "dead-letters/purge", { ...what, expected_count: expected });
      notice(`${plural(purged, "letter")} deleted.`);
    });
  });
}
