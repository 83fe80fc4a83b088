// Numbers and times for people.

const counted = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const measured = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export const number = (value) => (value === null || value === undefined ? "n/a" : counted.format(value));

export const rate = (value) =>
  value === null || value === undefined ? "n/a" : `${measured.format(value)}/s`;

export const megabytes = (bytes) => (bytes === null ? "n/a" : `${measured.format(bytes / 2 ** 20)} MB`);

/** 0.4 s, 3 min, 2 h, 5 d. */
export function seconds(value) {
  if (value < 90) return `${measured.format(value)} s`;
  if (value < 5400) return `${counted.format(value / 60)} min`;
  if (value < 129600) return `${counted.format(value / 3600)} h`;
  return `${counted.format(value / 86400)} d`;
}

/** How long ago a time was; empty for none. */
export function ago(time, now = Date.now()) {
  const then = Date.parse(time);
  return Number.isNaN(then) ? "–" : `${seconds(Math.max(0, (now - then) / 1000))} ago`;
}

/** The time of day here. */
export function clock(time) {
  const then = new Date(time);
  return Number.isNaN(then.getTime()) ? "–" : then.toLocaleTimeString();
}
