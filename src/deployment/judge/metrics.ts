/**
 * What is counted, and how much of the allowed false rollbacks each metric may use. The split is fixed by the policy
 * and by what the target measures, never by what was seen, so that all metrics together keep to the rate.
 */
import type { Counts, Sample } from "../target.ts";
import { type Baseline, slowerThan, total } from "./latency.ts";
import { type AnalysisPolicy, quantiles } from "./policy.ts";

export interface Metric {
  /** `errors`, `p50`, `p95`, `p99`, `slow`, or `custom.NAME`. */
  readonly name: string;
  readonly higherIs: "worse" | "better";
  /** Which of the allowances its bound is held against. */
  readonly allowance: "rate" | "slow";
  readonly weight: number;
  readonly isLatency: boolean;
}

/** How a target measures latency: as a histogram, by its units' own bound, or not (yet). */
export type LatencySource = "histogram" | "slow" | "none";

const GROUP_WEIGHT = 2;
const latency = { higherIs: "worse", allowance: "slow", isLatency: true } as const;

export function metricsOf({ custom }: AnalysisPolicy, source: LatencySource): Metric[] {
  const slow: Metric[] =
    source === "histogram"
      ? quantiles.map((name) => ({ name, ...latency, weight: GROUP_WEIGHT / quantiles.length }))
      : source === "slow"
        ? [{ name: "slow", ...latency, weight: GROUP_WEIGHT }]
        : [];
  return [
    { name: "errors", higherIs: "worse", allowance: "rate", weight: GROUP_WEIGHT, isLatency: false },
    ...slow,
    ...Object.entries(custom).map(([name, { higherIs, weight }]) => ({
      ...{ name: `custom.${name}`, higherIs, weight: weight ?? 1 },
      ...{ allowance: "rate" as const, isLatency: false },
    })),
  ];
}

/** What its bound may be at most. Half of all requests are slower than the p50, so it has twice the tail's room. */
export function allowedOf({ name, allowance }: Metric, { allowedRegression }: AnalysisPolicy): number {
  const allowed = allowedRegression[allowance];
  return name === "p50" ? Math.min(1, 2 * allowed) : allowed;
}

/** Its part of the false rollbacks. What latency would have stays unused where none is measured. */
export function alphaOf({ weight }: Metric, { falseRollbackRate, custom }: AnalysisPolicy): number {
  const others = Object.values(custom).reduce((sum, { weight = 1 }) => sum + weight, 0);
  return (falseRollbackRate * weight) / (2 * GROUP_WEIGHT + others);
}

export function sourceOf({ canary, control }: Sample): LatencySource {
  if (canary.latency || control.latency) return "histogram";
  return canary.slow !== undefined || control.slow !== undefined ? "slow" : "none";
}

export interface Tally {
  readonly requests: number;
  readonly events: number;
}

/** Events are among requests; what a broken source says beyond that is cut off. */
export function tally(metric: Metric, counts: Counts, baseline: Baseline | undefined): Tally {
  const requests = whole(counts.requests);
  const of = (events: number | undefined) => ({ requests, events: Math.min(requests, whole(events)) });
  switch (metric.name) {
    case "errors":
      return of(counts.errors);
    case "slow":
      return counts.slow === undefined ? { requests: 0, events: 0 } : of(counts.slow);
    case "p50":
    case "p95":
    case "p99": {
      const last = baseline?.[metric.name];
      if (last === undefined || !counts.latency) return { requests: 0, events: 0 };
      const buckets = counts.latency.map(whole);
      return { requests: total(buckets), events: slowerThan(buckets, last) };
    }
    default:
      return of(counts.custom?.[metric.name.slice("custom.".length)]);
  }
}

export const whole = (count: number | undefined) =>
  count !== undefined && Number.isFinite(count) && count > 0 ? count : 0;
