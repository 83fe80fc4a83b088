// The numbers behind the picture.

import { element, fill, table } from "./dom.js";
import { ago, clock, megabytes, number, seconds } from "./format.js";

const MEANING = {
  captured: "came",
  filtered: "left out by a rule of yours",
  duplicates: "came a second time",
  stored: "stand in the sink",
  dead: "stand in the dead letters",
  purged: "deleted by a person",
  lost: "deleted from a stream by somebody else",
  in_flight: "on their way",
  unaccounted: "must be 0",
};

export function showLedger(ledger) {
  const rows = Object.entries(MEANING).map(([name, meaning]) => ({ name, meaning, count: ledger[name] }));
  const count = (row) =>
    row.name === "unaccounted" && row.count
      ? element("span", { class: "bad" }, `✕ ${number(row.count)}`)
      : number(row.count);
  const columns = [
    { name: "Events", value: (row) => row.name.replace("_", " ") },
    { name: "Count", value: count, number: true },
    { name: "Which", value: (row) => row.meaning },
  ];
  fill("ledger", table("Where every event is", columns, rows, ""));
}

export function showStreams({ streams }) {
  const rows = streams.flatMap((stream) =>
    (stream.groups.length ? stream.groups : [null]).map((group) => ({ stream, group })),
  );
  const columns = [
    { name: "Stream", value: ({ stream }) => stream.key },
    { name: "Entries", value: ({ stream }) => number(stream.length), number: true },
    { name: "Memory", value: ({ stream }) => megabytes(stream.memory_bytes), number: true },
    { name: "Group", value: ({ group }) => group?.name },
    { name: "Pending", value: ({ group }) => group && number(group.pending), number: true },
    { name: "Lag", value: ({ group }) => group && number(group.lag), number: true },
    { name: "Behind", value: ({ group }) => group && seconds(group.lag_s), number: true },
  ];
  fill("streams", table("Streams and their consumer groups", columns, rows, "There is no stream."));
}

export function showWorkers({ services }) {
  const rows = Object.entries(services).flatMap(([stage, service]) =>
    service.workers.map((worker) => ({ stage, ...worker })),
  );
  const columns = [
    { name: "Stage", value: (row) => row.stage },
    { name: "Name", value: (row) => row.name },
    { name: "Host", value: (row) => row.host },
    { name: "Process", value: (row) => row.pid, number: true },
    { name: "Version", value: (row) => row.version },
    { name: "Started", value: (row) => ago(row.started) },
    { name: "Heartbeat", value: (row) => ago(row.beat) },
    { name: "Progress", value: (row) => ago(row.progress) },
    { name: "Last error", value: (row) => row.last_error || "none" },
  ];
  fill("workers", table("Workers by their heartbeats", columns, rows, "No worker is alive."));
}

export function showEvents({ events }) {
  const columns = [
    { name: "Time", value: (row) => clock(row.time) },
    { name: "Entity", value: (row) => row.entity_id || row.type },
    { name: "State", value: (row) => row.data?.state },
    { name: "Unit", value: (row) => row.data?.unit },
    { name: "Area", value: (row) => row.data?.area },
    { name: "Name", value: (row) => row.data?.friendly_name },
    { name: "Source", value: (row) => row.source },
  ];
  fill("events", table("The newest enriched events", columns, events, "No event has come yet."));
}
