/**
 * How much worse a metric may still be, as a share of requests: what a promotion is decided by. Two bounds hold at all
 * times together with half of the error each, and the smaller one counts. The first knows the ratio of both rates at
 * the same time, so a rate that moves for both does not mislead it. The second knows one rate alone, and is the one
 * that says something when there were no events at all.
 */
import type { Tally } from "./metrics.ts";
import { dispersionOf, type Evidence, noEvidence, rateBelow, ratioAbove, ratioBelow } from "./sequential.ts";

/** JSON. */
export interface Compared {
  readonly canary: Tally;
  readonly control: Tally;
  readonly evidence: Evidence;
}

const none: Tally = { requests: 0, events: 0 };
export const nobody: Compared = { canary: none, control: none, evidence: noEvidence };

/** With an error of alpha. Null while the canary had no requests. Clustered events count for fewer. */
export function boundOf(
  { canary, control, evidence }: Compared,
  higherIs: "worse" | "better",
  alpha: number,
  inflation = 1,
): number | null {
  if (canary.requests === 0) return null;
  const clustered = Math.max(inflation, dispersionOf(evidence));
  const below = ({ events, requests }: Tally) =>
    rateBelow(events / clustered, requests / clustered, alpha / 2);
  const rate = control.requests > 0 ? control.events / control.requests : 0;
  if (higherIs === "better") {
    const alone = control.requests > 0 ? below(control) : 1;
    return rate > 0 ? Math.min(alone, rate * (1 - ratioAbove(evidence, alpha / 2, inflation))) : alone;
  }
  return rate > 0
    ? Math.min(below(canary), rate * (ratioBelow(evidence, alpha / 2, inflation) - 1))
    : below(canary);
}
