/** Numbers as people read them. Everything is short enough for a table cell and a phone. */

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export const count = (value: number): string =>
  value < 100_000 ? whole.format(value) : compact.format(value);

export const exact = (value: number): string => whole.format(value);

export const rate = (perSecond: number): string =>
  perSecond < 100
    ? tenths.format(perSecond)
    : perSecond < 10_000
      ? whole.format(perSecond)
      : compact.format(perSecond);

export function bytes(value: number): string {
  const units = ["B", "KB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? whole.format(value) : tenths.format(value)} ${units[unit]}`;
}

/** A length of time by its one or two largest units: 3 d 4 h, 12 s, 0.4 ms. */
export function duration(ms: number): string {
  if (ms < 1000) return ms < 10 ? `${tenths.format(ms)} ms` : `${whole.format(ms)} ms`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return two(minutes, "min", seconds % 60, "s");
  const hours = Math.floor(minutes / 60);
  return hours < 48
    ? two(hours, "h", minutes % 60, "min")
    : two(Math.floor(hours / 24), "d", hours % 24, "h");
}

function two(first: number, firstUnit: string, second: number, secondUnit: string): string {
  return second === 0 ? `${first} ${firstUnit}` : `${first} ${firstUnit} ${second} ${secondUnit}`;
}

export const ago = (ms: number): string => (ms < 1500 ? "just now" : `${duration(ms)} ago`);

export const plural = (value: number, one: string, many = `${one}s`): string =>
  `${exact(value)} ${value === 1 ? one : many}`;
