/** Both cohorts of a deployment in sum, for its metrics: rates, and quantiles from the histogram. */
import type { Counts, Sample } from "./target.ts";

export interface CohortTotals {
  requests: number;
  errors: number;
  errorRate: number | null;
  slow: number | null;
  latencyMs: { p50: number; p95: number; p99: number } | null;
  custom: Record<string, number>;
}

export function totalsOf(samples: readonly Sample[], cohort: "canary" | "control"): CohortTotals {
  const all = samples.map((sample) => sample[cohort]);
  const sum = (count: (counts: Counts) => number) => all.reduce((total, counts) => total + count(counts), 0);
  const requests = sum((counts) => counts.requests);
  const errors = sum((counts) => counts.errors);
  const custom: Record<string, number> = {};
  for (const counts of all)
    for (const [name, count] of Object.entries(counts.custom ?? {}))
      custom[name] = (custom[name] ?? 0) + count;
  const hasSlow = all.some(({ slow }) => slow !== undefined);
  return {
    ...{ requests, errors, errorRate: requests > 0 ? errors / requests : null },
    slow: hasSlow ? sum(({ slow = 0 }) => slow) : null,
    latencyMs: quantilesOf(samples, cohort),
    custom,
  };
}

/** Upper bounds of the buckets in which the quantiles lie; above the last, that last bound. */
function quantilesOf(samples: readonly Sample[], cohort: "canary" | "control"): CohortTotals["latencyMs"] {
  const bounds = samples.findLast(({ latencyBoundsMs }) => latencyBoundsMs)?.latencyBoundsMs;
  if (!bounds || bounds.length === 0) return null;
  const buckets = Array.from({ length: bounds.length + 1 }, () => 0);
  for (const sample of samples)
    for (const [index, count] of (sample[cohort].latency ?? []).entries())
      if (index < buckets.length) buckets[index] = buckets[index]! + count;
  const total = buckets.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  const at = (quantile: number) => {
    let left = quantile * total;
    const index = buckets.findIndex((count) => {
      left -= count;
      return left <= 0;
    });
    return bounds[Math.min(index, bounds.length - 1)]!;
  };
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
