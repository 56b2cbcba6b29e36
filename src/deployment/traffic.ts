/**
 * Whether there is enough traffic to judge by. No test finds what it does not see: three times the errors are found
 * in 99 of 100 deployments once the new version has had so many requests that about 18 of them would have failed if it
 * were no worse (bench/judge/needed.ts). At the traffic so far, that can come after the plan has gone on.
 */
import type { Step } from "./plan.ts";
import type { DeploymentRow } from "./tables.ts";

/** By the canary's share: errors that it would have, were it no worse, when three times as many are found. */
const NEEDED = [
  { upTo: 0.1, errors: 18 },
  { upTo: 0.3, errors: 26 },
  { upTo: 1, errors: 35 },
] as const;

/** Before this much is known of the traffic, nothing is said of it. */
const KNOWN_MS = 30_000;

export function requestsNeeded(errorRate: number, share: number): number {
  const { errors } = NEEDED.find(({ upTo }) => share <= upTo) ?? NEEDED[2];
  return errors / errorRate;
}

/** Phases that the judge watches: how long at least, and with which share. */
function watchedBy(plan: readonly Step[]): { ms: number; share: number }[] {
  let share = 0;
  return plan.flatMap((step) => {
    if (step.kind === "expose") share = step.share;
    if (step.kind === "switch") share = 1;
    return step.kind === "bake" && step.checks !== "signals" && share < 1 ? [{ ms: step.minMs, share }] : [];
  });
}

/** For people, when the phases end before three times the errors would be found; undefined when they do not. */
export function hintOf({
  state,
  judge,
  verdicts,
}: Pick<DeploymentRow, "state" | "judge" | "verdicts">): string | undefined {
  const verdict = verdicts.at(-1);
  const errors = verdict?.evidence.find(({ name }) => name === "errors");
  if (!judge || !verdict || !errors || state.endedAt !== undefined || state.rollback) return undefined;
  const { canary, control } = errors;
  const elapsedMs = verdict.at - judge.since;
  const share = canary.requests / (canary.requests + control.requests);
  // Of a control without errors nobody knows how rare they are.
  if (elapsedMs < KNOWN_MS || !(control.events > 0) || !(canary.requests > 0)) return undefined;
  const needed = requestsNeeded(control.events / control.requests, share);
  const watched = watchedBy(state.plan);
  if (watched.length === 0) return undefined;
  const perMs = canary.requests / elapsedMs;
  const seen = watched.reduce((sum, phase) => sum + phase.ms * perMs * (phase.share / share), 0);
  if (seen >= needed) return undefined;
  const count = (requests: number) =>
    Number(requests.toPrecision(2)).toLocaleString("en-US", { maximumFractionDigits: 0 });
  return (
    `There is too little traffic to find three times the errors while the phases are watched: the new version needs ` +
    `about ${count(needed)} requests and gets about ${count(seen)}. Watch longer, or begin with a larger share.`
  );
}
