// Charts: small ones as SVG, large ones by uPlot.

import uPlot from "../vendor/uPlot.esm.js";
import { drawn, element } from "./dom.js";

const WIDE = 100;
const HIGH = 28;

/** A small chart of the newest numbers; holes stay holes. */
export function spark(values, label) {
  const shown = values.slice(-90);
  const known = shown.filter((value) => value !== null);
  const top = Math.max(...known, 1e-9);
  const step = WIDE / Math.max(1, shown.length - 1);
  const y = (value) => (HIGH - 2 - (value / top) * (HIGH - 5)).toFixed(1);
  let line = "";
  shown.forEach((value, index) => {
    if (value === null) return;
    const begins = index === 0 || shown[index - 1] === null;
    line += `${begins ? "M" : "L"}${(index * step).toFixed(1)},${y(value)}`;
  });
  const first = shown.findIndex((value) => value !== null);
  const under = known.length === shown.length - first && known.length > 1
    ? `${line}L${WIDE},${HIGH}L${(first * step).toFixed(1)},${HIGH}Z`
    : "";
  return drawn(
    "svg",
    { class: "spark", viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    under && drawn("path", { class: "under", d: under }),
    line && drawn("path", { d: line }),
  );
}

/** light-dark() is for CSS alone; a canvas wants the colour itself. */
function painted(name) {
  const probe = element("i");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/**
 * A chart over time that keeps to the width of its place and to the theme.
 *
 * @param {HTMLElement} place Where it stands.
 * @param {{label: string, color: string, points?: boolean}[]} lines
 * @param {{unit?: string, height?: number}} how
 * @returns {{set: (data: Array) => void, end: () => void}} data: times in seconds, then a list a line.
 */
export function chart(place, lines, how = {}) {
  let plot = null;
  let data = [[], ...lines.map(() => [])];
  function draw() {
    plot?.destroy();
    const axis = { stroke: painted("quiet"), grid: { stroke: painted("line"), width: 1 }, ticks: { stroke: painted("line"), width: 1 } };
    plot = new uPlot(
      {
        width: Math.max(200, place.clientWidth),
        height: how.height ?? 220,
        legend: { show: false },
        cursor: { y: false },
        scales: { x: { range: (_, low, high) => during(low, high, how.least ?? 0) }, y: { range: (_, low, high) => spread(low, high, how.fromZero) } },
        axes: [
          { ...axis, space: 74, values: (_, ticks, __, ___, step) => ticks.map((tick) => timeOf(tick, step)) },
          { ...axis, size: 58, values: (_, ticks) => ticks.map((tick) => `${tick}${how.unit ? ` ${how.unit}` : ""}`) },
        ],
        series: [
          {},
          ...lines.map((line) => ({
            label: line.label,
            stroke: painted(line.color),
            width: 1.6,
            paths: line.stepped ? uPlot.paths.stepped({ align: 1 }) : undefined,
            points: { show: line.points ?? false, size: 4 },
          })),
        ],
      },
      data,
      place,
    );
  }
  const resized = new ResizeObserver(() => plot?.setSize({ width: Math.max(200, place.clientWidth), height: how.height ?? 220 }));
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", draw);
  addEventListener("habus-theme", draw);
  draw();
  resized.observe(place);
  return {
    set(newData) {
      data = newData;
      plot.setData(data);
    },
    end() {
      resized.disconnect();
      scheme.removeEventListener("change", draw);
      removeEventListener("habus-theme", draw);
      plot.destroy();
    },
  };
}

function timeOf(tick, step) {
  const when = new Date(tick * 1000);
  const day = when.toLocaleDateString("sv").slice(5);
  if (step >= 86400) return day;
  const time = when.toLocaleTimeString("sv");
  return step >= 60 ? (time.startsWith("00:00") ? day : time.slice(0, 5)) : time;
}

/** From when until when; without any point the time that ends now. */
function during(low, high, least) {
  const end = high ?? Date.now() / 1000;
  return [Math.min(low ?? end, end - least), end];
}

function spread(low, high, fromZero) {
  if (low === null || high === null || low === undefined) return [0, 1];
  const bottom = fromZero ? 0 : low;
  const room = (high - bottom) * 0.08 || Math.abs(high) * 0.05 || 1;
  return [fromZero ? 0 : bottom - room, high + room];
}

/** What the colours of a chart mean. */
export const legend = (names) =>
  element("ul", { class: "legend" }, names.map((name, index) => element("li", {}, element("i", { class: `s${index + 1}` }), name)));
