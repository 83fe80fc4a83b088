// Doing something again and again, while it can be seen.

/** Call `look` now and every so often until the returned function is called. */
export function again(look, everyMs) {
  let timer;
  let over = false;
  async function turn() {
    if (!document.hidden) await look();
    if (!over) timer = setTimeout(turn, everyMs);
  }
  const seen = () => {
    if (document.hidden) return;
    clearTimeout(timer);
    turn();
  };
  document.addEventListener("visibilitychange", seen);
  turn();
  return () => {
    over = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  };
}
