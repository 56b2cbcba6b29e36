/**
 * The judge beside a deployment: each sample once, in order, with the verdict after it, so that the stored history
 * replays to the same verdict. Its state is kept with the deployment; an owner that takes over goes on from it.
 */
import { begin, type JudgeState, look, type Verdict, verdictOf } from "./judge/judge.ts";
import type { DeploymentRow, Judged } from "./tables.ts";
import type { Sample } from "./target.ts";

export interface Judging {
  /** When it began to look; undefined while nobody has the new version. */
  readonly since: number;
  /** Of the last sample. */
  readonly number: number;
  readonly state: JudgeState;
}

export interface Look {
  readonly number: number;
  readonly sample: Sample;
  readonly verdict: Verdict;
}

/** The judge after these samples, and what it said after each. */
export function judge(
  row: DeploymentRow,
  before: Judging | undefined,
  samples: readonly Sample[],
  now: number,
): { judging: Judging; looks: Look[] } {
  const { analysis: policy } = row.spec;
  let judging = before ?? { since: now, number: 0, state: begin(policy, splitOf(row)) };
  const looks = samples.map((sample): Look => {
    const { since, number, state } = judging;
    judging = { since, number: number + 1, state: look(state, policy, sample) };
    const elapsedMs = Math.max(0, sample.at - since);
    return { number: number + 1, sample, verdict: verdictOf(judging.state, policy, { elapsedMs }) };
  });
  return { judging, looks };
}

export function verdictNow(row: DeploymentRow, { since, state }: Judging, now: number): Verdict {
  return verdictOf(state, row.spec.analysis, { elapsedMs: Math.max(0, now - since) });
}

export function splitOf({ spec: { strategy } }: DeploymentRow): number | undefined {
  return strategy.strategy === "ab" ? strategy.split / 100 : undefined;
}

const VERDICTS_MAX = 50;

/** The last verdict of each step and outcome. */
export function withVerdict(verdicts: readonly Judged[], judged: Judged): readonly Judged[] {
  const last = verdicts.at(-1);
  const isSame = last?.step === judged.step && last.outcome === judged.outcome;
  return [...(isSame ? verdicts.slice(0, -1) : verdicts), judged].slice(-VERDICTS_MAX);
}
