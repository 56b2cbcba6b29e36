/**
 * Latency as counted events. At the end of the warm-up the control's histogram says which of its bucket bounds lies
 * nearest to its p50, p95 and p99; from then on a request in a higher bucket is a slow one. These bounds never change
 * again, so a control that becomes slow itself does not hide a canary that does. How well a bound fits does not
 * matter to the test, which compares both cohorts above the same one; it matters to how much the test can see.
 */
import { type Quantile, quantiles } from "./policy.ts";

export const QUANTILE: Readonly<Record<Quantile, number>> = { p50: 0.5, p95: 0.95, p99: 0.99 };

/** For each quantile, the highest bucket of requests that are not slow. JSON. */
export type Baseline = Readonly<Partial<Record<Quantile, number>>>;

export const total = (buckets: readonly number[]) => buckets.reduce((sum, count) => sum + count, 0);

export function added(a: readonly number[], b: readonly number[]): number[] {
  const [longer, shorter] = a.length >= b.length ? [a, b] : [b, a];
  return longer.map((count, i) => count + (shorter[i] ?? 0));
}

/** How many are above bucket `last`. */
export function slowerThan(buckets: readonly number[], last: number): number {
  return total(buckets.slice(last + 1));
}

/** Nearest in odds, as the share above the p99 is told apart by its ratio, not by its difference. */
export function baselineOf(buckets: readonly number[]): Baseline {
  const all = total(buckets);
  const found: Partial<Record<Quantile, number>> = {};
  for (const quantile of quantiles) {
    const wanted = logit(1 - QUANTILE[quantile]);
    let nearest = Number.POSITIVE_INFINITY;
    for (let last = 0; last < buckets.length - 1; last++) {
      const above = slowerThan(buckets, last);
      if (above === 0 || above === all) continue;
      const distance = Math.abs(logit(above / all) - wanted);
      if (distance >= nearest) continue;
      nearest = distance;
      found[quantile] = last;
    }
  }
  return found;
}

const logit = (p: number) => Math.log(p / (1 - p));

/** In milliseconds, between two bounds in a straight line; the last bound when it lies above all of them. */
export function quantileOf(
  buckets: readonly number[],
  boundsMs: readonly number[],
  quantile: Quantile,
): number | undefined {
  const all = total(buckets);
  if (!(all > 0) || boundsMs.length === 0) return undefined;
  let left = QUANTILE[quantile] * all;
  for (let i = 0; i < boundsMs.length; i++) {
    const count = buckets[i] ?? 0;
    const from = i === 0 ? 0 : boundsMs[i - 1]!;
    if (left <= count && count > 0) return from + (left / count) * (boundsMs[i]! - from);
    left -= count;
  }
  return boundsMs.at(-1);
}
