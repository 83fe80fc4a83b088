// Streams: length, groups, consumers, pending, in Redis's words.

import { ask } from "../api.js";
import { badge, command, element, fill, section, table } from "../dom.js";
import { bytes, number, seconds } from "../format.js";
import { howLate } from "../pipeline.js";
import { again } from "../poll.js";

const EVERY_MS = 3000;

const lateness = (late) => badge(howLate(late), seconds(late));

/** When an entry with this id came. */
const timeOf = (id) => (id ? new Date(Number(id.split("-")[0])).toLocaleString("sv") : "–");

const STREAMS = [
  { name: "Stream", value: (one) => element("b", {}, one.key) },
  { name: "Length", value: (one) => number(one.length), number: true },
  { name: "Added", value: (one) => number(one.entries_added), number: true },
  { name: "Memory", value: (one) => bytes(one.memory_bytes), number: true },
  { name: "First entry", value: (one) => one.first_id, class: "mono nowrap" },
  { name: "Last entry", value: (one) => one.last_id, class: "mono nowrap" },
  { name: "Last came", value: (one) => timeOf(one.last_id), class: "nowrap" },
];
const GROUPS = [
  { name: "Group", value: ({ group }) => element("b", {}, group.name) },
  { name: "Stream", value: ({ stream }) => stream.key },
  { name: "Pending", value: ({ group }) => number(group.pending), number: true },
  { name: "Lag", value: ({ group }) => number(group.lag), number: true },
  { name: "Oldest waits", value: ({ group }) => lateness(group.lag_s) },
  { name: "Consumers", value: ({ group }) => number(group.consumers.length), number: true },
  { name: "Last delivered", value: ({ group }) => group.last_delivered_id, class: "mono nowrap" },
];
const CONSUMERS = [
  { name: "Consumer", value: ({ consumer }) => element("b", {}, consumer.name) },
  { name: "Group", value: ({ group }) => group.name },
  { name: "Stream", value: ({ stream }) => stream.key },
  { name: "Pending", value: ({ consumer }) => number(consumer.pending), number: true },
  { name: "Idle", value: ({ consumer }) => seconds(consumer.idle_s), number: true },
];

export function show(place) {
  const body = element("div");
  let drawn = "";
  fill(place, element("div", { class: "head" }, element("h1", {}, "Streams"), element("p", {}, "As Redis tells it.")), body);
  return again(async () => {
    try {
      const { streams } = await ask("streams");
      const groups = streams.flatMap((stream) => stream.groups.map((group) => ({ stream, group })));
      const consumers = groups.flatMap((one) => one.group.consumers.map((consumer) => ({ ...one, consumer })));
      const now = JSON.stringify(streams);
      // What a person looks at, scrolled or focused, is left alone.
      if (now === drawn || body.contains(document.activeElement)) return;
      drawn = now;
      fill(
        body,
        section("Streams", table("XINFO STREAM", STREAMS, streams, "There is no stream yet.")),
        section("Consumer groups", table("XINFO GROUPS; lag is n/a where Redis cannot tell", GROUPS, groups, "No group reads yet.")),
        section("Consumers", table("XINFO CONSUMERS", CONSUMERS, consumers, "Nobody reads yet.")),
        section("Look yourself", streams.slice(0, 1).map((one) => [command(`redis-cli XINFO STREAM ${one.key} FULL`), command(`redis-cli XREVRANGE ${one.key} + - COUNT 5`)])),
      );
    } catch (error) {
      drawn = "";
      fill(body, element("p", {}, badge("bad", error.message)));
    }
  }, EVERY_MS);
}
