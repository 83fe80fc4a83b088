// What was seen of the pipeline in the last quarter of an hour, for the charts.

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

/** Begin with what habus has seen already: `times` (ms) and, by name, one number for each. */
export function begin(times, numbers) {
  if (!seen.times.length) times.forEach((time, index) => remember(time, Object.fromEntries(Object.entries(numbers).map(([name, values]) => [name, values[index]]))));
}

export const series = (name) => seen.series[name] ?? [];
