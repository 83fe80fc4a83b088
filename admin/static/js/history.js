// What was seen of the pipeline since this page was opened, for the small charts.

const KEPT = 450;

/** Times (ms) and, by name, one number for each. */
export const seen = { times: [], series: {} };

/** Remember numbers of now; what is not known is a hole. */
export function remember(now, numbers) {
  seen.times.push(now);
  for (const name of new Set([...Object.keys(seen.series), ...Object.keys(numbers)])) {
    seen.series[name] ??= Array(seen.times.length - 1).fill(null);
    seen.series[name].push(numbers[name] ?? null);
  }
  if (seen.times.length > KEPT) {
    seen.times.shift();
    Object.values(seen.series).forEach((values) => values.shift());
  }
}

export const series = (name) => seen.series[name] ?? [];
