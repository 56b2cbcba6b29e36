/**
 * A rule sees one look after the other and says whether it rolls back. Those of others are written from their public
 * descriptions, each named beside it; their code is not used. Where a description gives example thresholds these are
 * taken; beside it stands the same rule with thresholds that somebody set who knew the true rates.
 */
import { begin, look } from "../../src/deployment/judge/judge.ts";
import { quantileOf } from "../../src/deployment/judge/latency.ts";
import { policyOf } from "../../src/deployment/judge/policy.ts";
import type { Counts, Sample } from "../../src/deployment/target.ts";
import { kayenta } from "./kayenta.ts";
import type { Scenario } from "./scenarios.ts";
import { boundsMs, lookMs, type Observed } from "./stream.ts";

export interface Rule {
  readonly name: string;
  /** What it does, for the page. */
  readonly text: string;
  readonly source: string;
  /** A fresh judge of one deployment: true when it rolls back. */
  begin(scenario: Scenario): (sample: Observed) => boolean;
}

/** All defaults, and the counter if there is one. */
export const policyFor = ({ counts }: Scenario) =>
  policyOf(counts === "counter" ? { custom: { counter: { higherIs: "worse" } } } : undefined);

/** Units that say how many of their requests were slow do not say how long each took. */
export const toldOf = ({ counts }: Scenario, sample: Sample): Sample => {
  if (counts === undefined) return sample;
  const { at, canary, control } = sample;
  const plain = ({ latency: _, ...told }: Counts): Counts => told;
  return { at, canary: plain(canary), control: plain(control) };
};

const judged = (seenAs: (sample: Sample) => Sample) => (scenario: Scenario) => {
  const policy = policyFor(scenario);
  let state = begin(policy);
  return (sample: Observed) => {
    state = look(state, policy, seenAs(toldOf(scenario, sample)));
    return state.failed.length > 0;
  };
};

const source = "src/deployment/judge";
const hotswap: Rule = {
  ...{ name: "HotSwap", source, begin: judged((sample) => sample) },
  text: "All defaults of `analysis`: at most 1 % false rollbacks, limits of + 5 points and twice the p95.",
};
const sumsAlone = ({ units, servers, unitEvents, ...counts }: Counts): Counts => counts;
/** As it would judge targets that do not say what each unit counted. */
const hotswapBySums: Rule = {
  ...{ name: "HotSwap, by sums", source },
  text: "The same where the target does not say what each unit counted.",
  begin: judged(({ canary, control, ...rest }) => ({
    ...{ ...rest, canary: sumsAlone(canary), control: sumsAlone(control) },
  })),
};

interface Thresholds {
  readonly successMin: number;
  readonly p99MaxMs?: number;
}

/** True when a measurement of these minutes is bad; undefined without requests. */
function isBad(counts: readonly Counts[], { successMin, p99MaxMs }: Thresholds): boolean | undefined {
  const total = (of: (counts: Counts) => number) => counts.reduce((sum, each) => sum + of(each), 0);
  const requests = total(({ requests }) => requests);
  if (requests === 0) return undefined;
  if (1 - total(({ errors }) => errors) / requests < successMin) return true;
  if (p99MaxMs === undefined) return false;
  const buckets = boundsMs.map((_, bucket) => total(({ latency }) => latency![bucket]!));
  return quantileOf([...buckets, total(({ latency }) => latency!.at(-1)!)], boundsMs, "p99")! > p99MaxMs;
}

/** A measurement every so many minutes; more than `allowed` bad ones in all roll back. */
function threshold(minutes: number, allowed: number, of: (scenario: Scenario) => Thresholds) {
  return (scenario: Scenario) => {
    const limits = of(scenario);
    const every = (minutes * 60_000) / lookMs;
    let [bad, window]: [number, Counts[]] = [0, []];
    return ({ canary }: Observed) => {
      window.push(canary);
      if (window.length < every) return false;
      if (isBad(window, limits)) bad++;
      window = [];
      return bad > allowed;
    };
  };
}

/** Twice the true error rate, a p99 of a quarter more: what a careful person would set who knew them. */
const knowing = ({ errorRate, p99Ms }: Scenario): Thresholds => ({
  successMin: 1 - 2 * errorRate,
  p99MaxMs: 1.25 * p99Ms,
});

const argoSource =
  "Argo Rollouts, docs/features/analysis.md: background analysis, `success-rate`, `failureLimit`";
const flaggerSource =
  "Flagger, docs.flagger.app/usage/metrics and /usage/how-it-works: `thresholdRange`, `threshold`";

export const rules: readonly Rule[] = [
  hotswap,
  hotswapBySums,
  {
    name: "Argo Rollouts",
    text: "Every 5 minutes the success rate must be at least 95 %; more than 3 failed measurements roll back.",
    source: argoSource,
    begin: threshold(5, 3, () => ({ successMin: 0.95 })),
  },
  {
    name: "Argo, knowing",
    text: "The same with a success rate of 1 − twice the true error rate, and a p99 of at most 1.25 times the true one.",
    source: argoSource,
    begin: threshold(5, 3, knowing),
  },
  {
    name: "Flagger",
    text: "Every minute the success rate must be at least 99 % and the p99 at most 500 ms; 5 failed checks roll back.",
    source: flaggerSource,
    begin: threshold(1, 4, () => ({ successMin: 0.99, p99MaxMs: 500 })),
  },
  {
    name: "Flagger, knowing",
    text: "The same with the thresholds of “Argo, knowing”.",
    source: flaggerSource,
    begin: threshold(1, 4, knowing),
  },
  {
    name: "Kayenta",
    text:
      "Every hour Mann–Whitney U of the error rate and the p99 by minute, against a baseline of equal size: confidence " +
      "0.98, tolerance 0.25, direction increase, one group each, marginal 75, pass 95.",
    source: "spinnaker.io/guides/user/canary/judge and /best-practices; NetflixACAJudge in spinnaker/kayenta",
    begin: kayenta,
  },
];
