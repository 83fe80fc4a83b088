// One small drawing for each page.

import { drawn } from "./dom.js";

const PATHS = {
  overview: "M3 12h4l3-8 4 16 3-8h4",
  live: "M4 6h16M4 12h10M4 18h13",
  dead: "M3 7l9 6 9-6M3 6h18v12H3z",
  streams: "M4 7c4-3 6 3 10 0s5-1 6-1M4 13c4-3 6 3 10 0s5-1 6-1M4 19c4-3 6 3 10 0s5-1 6-1",
  entities: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h6v6h-6z",
  workers: "M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M5 19l2-2M17 7l2-2",
  preview: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 9a3 3 0 100 6 3 3 0 000-6z",
  settings: "M4 7h10M18 7h2M4 17h4M12 17h8M14 5v4M8 15v4",
  more: "M5 12h.01M12 12h.01M19 12h.01",
};

export const icon = (name) =>
  drawn("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, drawn("path", { d: PATHS[name] }));
