// The live stream: goes on where it was, whatever happens to the connection.

import { address, query } from "./api.js";

const AGAIN_MS = 2000;

/**
 * Follow streams.
 *
 * @param {object} wanted `stream` (a list), `entity_id`, `backlog`.
 * @param {(event: object) => void} heard Called with each event.
 * @param {(text: string) => void} told Called with "live" or "reconnecting".
 * @returns {() => void} Ends it.
 */
export function follow(wanted, heard, told) {
  let source;
  let timer;
  let last = "";
  let over = false;

  function open() {
    // A browser repeats its own header, but gives up after an answer such as 503; then we ask anew.
    const question = last ? { ...wanted, backlog: 0, last_event_id: last } : wanted;
    source = new EventSource(address(`events/live${query(question)}`));
    source.addEventListener("open", () => told("live"));
    source.addEventListener("error", () => {
      if (over) return;
      told("reconnecting");
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, AGAIN_MS);
    });
    for (const name of wanted.stream) {
      source.addEventListener(name, (event) => {
        last = event.lastEventId;
        heard(JSON.parse(event.data));
      });
    }
  }

  // Browsers open six connections to a host: a page that nobody sees shall not hold one of them.
  const seen = () => {
    clearTimeout(timer);
    source.close();
    if (!document.hidden) open();
  };

  open();
  document.addEventListener("visibilitychange", seen);
  return () => {
    over = true;
    document.removeEventListener("visibilitychange", seen);
    clearTimeout(timer);
    source.close();
  };
}
