// Live: events as they pass.

import { button, choice, element, field, fill, section } from "../dom.js";
import { clock, number } from "../format.js";
import { follow } from "../feed.js";

const SHOWN = 200;
const KEPT = 1000;
const STREAMS = [["enriched", "enriched"], ["raw", "raw"], ["inbox", "inbox (handed in)"], ["dead", "dead letters"]];

/** What stands in a row: entity, state, aside. */
function words(event) {
  const data = event.data ?? {};
  const state = event.stream === "enriched" ? data.state : data.data?.new_state?.state ?? data.new_state?.state;
  const unit = event.stream === "enriched" ? data.unit : data.data?.new_state?.attributes?.unit_of_measurement;
  const name = data.friendly_name ?? data.data?.new_state?.attributes?.friendly_name ?? "";
  const told = event.dead ? `${event.dead.reason}: ${event.dead.error}` : `${state ?? "–"}${unit ? ` ${unit}` : ""}`;
  return { entity: event.entity_id || event.type, state: told, aside: [data.area, name].filter(Boolean).join(" · "), source: event.source };
}

function row(event) {
  const { entity, state, aside, source } = words(event);
  return element(
    "li",
    {},
    element(
      "a",
      { href: `#/event/${event.stream}/${event.entry_id}` },
      element("time", {}, clock(event.time)),
      element("b", {}, entity),
      element("span", {}, state),
      element("span", { class: "aside" }, aside),
      element("span", { class: "aside" }, source),
    ),
  );
}

const matches = (event, text) => {
  const { entity, state, aside } = words(event);
  return `${entity} ${state} ${aside}`.toLowerCase().includes(text);
};

export function show(place, { search }) {
  let kept = [];
  let fresh = [];
  let came = 0;
  let paused = false;
  let scheduled = false;
  let stop = () => {};

  const stream = choice({ name: "stream" }, STREAMS, search.get("stream") ?? "enriched");
  const filter = element("input", { type: "search", "data-filter": true, placeholder: "entity, state, area or name", value: search.get("filter") ?? "" });
  const pause = button("Pause", () => hold(!paused), { "aria-pressed": "false", class: "nowrap" });
  const state = element("p", { role: "status", class: "muted" }, "connecting");
  const none = element("p", { class: "empty muted" });
  const list = element("ul", { id: "rows" });
  const log = element("div", { class: "log", role: "log", "aria-live": "off", tabindex: 0, "aria-label": "Events, newest first" }, list, none);

  const wanted = () => filter.value.trim().toLowerCase();

  function render() {
    scheduled = false;
    const text = wanted();
    const news = (text ? fresh.filter((event) => matches(event, text)) : fresh).slice(-SHOWN);
    fresh = [];
    if (!news.length) return;
    list.prepend(...news.reverse().map(row));
    while (list.childElementCount > SHOWN) list.lastElementChild.remove();
  }

  function schedule() {
    if (scheduled || paused) return;
    scheduled = true;
    requestAnimationFrame(render);
  }

  function heard(event) {
    came += 1;
    for (const events of [kept, fresh]) {
      events.push(event);
      if (events.length > 2 * KEPT) events.splice(0, events.length - KEPT);
    }
    schedule();
  }

  function all() {
    fresh = kept.slice();
    list.replaceChildren();
    render();
  }

  function hold(wish) {
    paused = wish;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    if (!paused) schedule();
  }

  function begin() {
    stop();
    kept = [];
    fresh = [];
    list.replaceChildren();
    stop = follow({ stream: [stream.value], backlog: 50 }, heard, (text) => (link = text));
  }

  let link = "connecting";
  let before = 0;
  const tell = () => {
    const rate = came - before;
    before = came;
    const word = { live: "Live", reconnecting: "Connection lost, trying again", connecting: "Connecting" }[link];
    const text = `${paused ? "Paused" : word}: ${number(came)} came, ${number(rate)} in the last second`;
    if (state.textContent !== text) fill(state, text);
    none.hidden = list.childElementCount > 0;
    none.textContent = wanted() && kept.length ? `None of the ${number(kept.length)} that came matches.` : "Nothing has passed yet; what comes stands here.";
  };
  // Screen readers hear of it now and then only.
  state.setAttribute("aria-live", "off");
  const ticking = setInterval(tell, 1000);

  const pressed = (event) => {
    const isText = event.target.closest("input, textarea, select, button, a, dialog");
    if (event.key === " " && !isText) {
      event.preventDefault();
      hold(!paused);
    }
  };
  document.addEventListener("keydown", pressed);
  stream.addEventListener("change", begin);
  filter.addEventListener("input", all);

  fill(
    place,
    element("div", { class: "head" }, element("h1", {}, "Live events"), state),
    section(
      "What passes",
      element(
        "div",
        { class: "row" },
        field("Stream", stream),
        element("div", { class: "grow" }, field("Filter", filter)),
        pause,
      ),
      element("div", { class: "space" }, log),
      element("p", { class: "muted" }, `The newest ${SHOWN} are shown; each leads to its way through the pipeline.`),
    ),
  );
  begin();
  return () => {
    stop();
    clearInterval(ticking);
    document.removeEventListener("keydown", pressed);
  };
}
