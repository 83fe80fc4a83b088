// Numbers and times for people.

const counted = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const measured = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const unknown = (value) => value === null || value === undefined;

export const number = (value) => (unknown(value) ? "n/a" : counted.format(value));

export const rate = (value) => (unknown(value) ? "n/a" : `${(value < 10 ? measured : counted).format(value)}/s`);

export function bytes(value) {
  if (unknown(value)) return "n/a";
  if (value < 2 ** 20) return `${measured.format(value / 2 ** 10)} kB`;
  if (value < 2 ** 30) return `${measured.format(value / 2 ** 20)} MB`;
  return `${measured.format(value / 2 ** 30)} GB`;
}

/** 12 ms, 0.4 s, 3 min, 2 h, 5 d. */
export function seconds(value) {
  if (unknown(value)) return "n/a";
  if (value > 0 && value < 0.1) return `${measured.format(value * 1000)} ms`;
  if (value < 90) return `${measured.format(value)} s`;
  if (value < 5400) return `${counted.format(value / 60)} min`;
  if (value < 129600) return `${counted.format(value / 3600)} h`;
  return `${counted.format(value / 86400)} d`;
}

/** How long ago a time was; a dash for none. */
export function ago(time, now = Date.now()) {
  const then = Date.parse(time);
  return Number.isNaN(then) ? "–" : `${seconds(Math.max(0, Math.round((now - then) / 100) / 10))} ago`;
}

/** The time of day here. */
export function clock(time) {
  const then = new Date(time);
  return Number.isNaN(then.getTime()) ? "–" : then.toLocaleTimeString([], { hour12: false });
}

/** Date and time of day here. */
export function moment(time) {
  const then = new Date(time);
  return Number.isNaN(then.getTime())
    ? "–"
    : `${then.toLocaleDateString("sv")} ${then.toLocaleTimeString([], { hour12: false })}`;
}

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
