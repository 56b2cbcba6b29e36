/**
 * The rules that need no statistics: an error rate more than so much above the control's, a latency more than so many
 * times the control's, absolute limits. Looks are put together until the canary has had `minRequests`, since a limit
 * held against ten requests is a coin. So many windows in a row over a limit, and the deployment fails.
 *
 * When everybody has the new version no control is left. What the control did before stands in for it then, and the
 * reasons say so: a change of traffic in between looks like a change of the version.
 *
 * Where units are known and their errors come in clusters (clusters.ts), two bad units of ten are over the limit as
 * easily as a bad version. So the difference must then also be more than twice what clusters make of it.
 */
import type { Counts, Sample } from "../target.ts";
import { added, quantileOf } from "./latency.ts";
import { whole } from "./metrics.ts";
import type { AnalysisPolicy } from "./policy.ts";

export interface Totals {
  readonly requests: number;
  readonly errors: number;
  readonly latency: readonly number[];
}

/** JSON. */
export interface Limits {
  readonly canary: Totals;
  readonly control: Totals;
  /** All that the control did. */
  readonly before: Totals;
  /** Windows over a limit, in a row, and what the last was over. */
  readonly over: number;
  readonly reasons: readonly string[];
}

const nothing: Totals = { requests: 0, errors: 0, latency: [] };
export const noLimits: Limits = { canary: nothing, control: nothing, before: nothing, over: 0, reasons: [] };

export function percent(rate: number): string {
  return `${(rate * 100).toFixed(rate < 0.0995 ? 2 : 1)} %`;
}

function plus(totals: Totals, counts: Counts, isWarm: boolean): Totals {
  const requests = whole(counts.requests);
  return {
    requests: totals.requests + requests,
    errors: totals.errors + Math.min(requests, whole(counts.errors)),
    latency: isWarm && counts.latency ? added(totals.latency, counts.latency.map(whole)) : totals.latency,
  };
}

export interface Circumstances {
  readonly isWarm: boolean;
  /** How much more the errors of units scatter than independent ones; 1 where units are not known. */
  readonly inflation: number;
}

export function hold(
  limits: Limits,
  sample: Sample,
  policy: AnalysisPolicy,
  { isWarm, inflation }: Circumstances,
): Limits {
  const canary = plus(limits.canary, sample.canary, isWarm);
  const control = plus(limits.control, sample.control, isWarm);
  const before = plus(limits.before, sample.control, isWarm);
  if (canary.requests < policy.minRequests) return { ...limits, canary, control, before };
  const reasons = broken({ canary, control, before, inflation }, policy, sample.latencyBoundsMs ?? []);
  const over = reasons.length > 0 ? limits.over + 1 : 0;
  return { canary: nothing, control: nothing, before, over, reasons };
}

const rateOf = ({ errors, requests }: Totals) => errors / requests;

interface Window extends Pick<Limits, "canary" | "control" | "before"> {
  readonly inflation: number;
}

/** Twice the standard deviation of the rate, when errors come in clusters; the limit is plain when they do not. */
function byClusters({ canary, inflation }: Window): number {
  const rate = rateOf(canary);
  return inflation > 1 ? 2 * Math.sqrt((inflation * rate * (1 - rate)) / canary.requests) : 0;
}

function broken(window: Window, policy: AnalysisPolicy, boundsMs: readonly number[]): string[] {
  const { canary, control, before } = window;
  const reasons: string[] = [];
  const enough = ({ requests }: Totals) => requests >= policy.minRequests;
  const other = enough(control) ? control : enough(before) ? before : undefined;
  const whose = other === control ? "of the control" : "of the control before, as no control is left";
  const rate = rateOf(canary);
  if (other && rate > rateOf(other) + Math.max(policy.errorRateDelta, byClusters(window)))
    reasons.push(
      `the error rate is ${percent(rate)} against ${percent(rateOf(other))} ${whose}, ` +
        `more than ${percent(policy.errorRateDelta)} above it`,
    );
  if (policy.errorRateMax !== undefined && rate > policy.errorRateMax)
    reasons.push(`the error rate is ${percent(rate)}, above the limit of ${percent(policy.errorRateMax)}`);
  const { quantile, ratio } = policy.latencyDelta;
  const ms = quantileOf(canary.latency, boundsMs, quantile);
  if (ms === undefined) return reasons;
  const otherMs = other && quantileOf(other.latency, boundsMs, quantile);
  if (otherMs !== undefined && ms > otherMs * ratio)
    reasons.push(
      `the ${quantile} is ${ms.toFixed(0)} ms against ${otherMs.toFixed(0)} ms ${whose}, more than ${ratio} times it`,
    );
  if (policy.latencyMaxMs !== undefined && ms > policy.latencyMaxMs)
    reasons.push(`the ${quantile} is ${ms.toFixed(0)} ms, above the limit of ${policy.latencyMaxMs} ms`);
  return reasons;
}
