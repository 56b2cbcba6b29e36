/**
 * Says whether a new version may go on, from the counts of both versions at the same time. Pure, without a clock, and
 * its state is JSON: folding the same samples gives the same verdict on any node, today and in a year.
 *
 * A failure stays one, whatever comes later. A pass needs more than no failure: enough requests of both, and certainty
 * that no metric is worse by more than the policy allows. Each metric must show that, so no correction for their
 * number is needed there (an intersection–union test); failures share the allowed rate (metrics.ts).
 */
import type { Sample } from "../target.ts";
import { boundOf, type Compared, nobody } from "./bounds.ts";
import { counted, inflationOf, type Ways } from "./clusters.ts";
import { added, type Baseline, baselineOf, total } from "./latency.ts";
import { hold, type Limits, noLimits, percent } from "./limits.ts";
import {
  allowedOf,
  alphaOf,
  type LatencySource,
  type Metric,
  metricsOf,
  sourceOf,
  type Tally,
  tally,
  whole,
} from "./metrics.ts";
import type { AnalysisPolicy } from "./policy.ts";
import { absorb, atOnce, type Evidence, lasting, noEvidence } from "./sequential.ts";

/** JSON; opaque to the engine. */
export interface JudgeState {
  readonly looks: number;
  /** The end of the first sample with requests to the new version; the warm-up counts from there. */
  readonly startedAt: number | null;
  readonly latencySource: LatencySource;
  /** Undefined until the warm-up is over and the control has been measured. */
  readonly baseline?: Baseline;
  /** The control's latencies until then. */
  readonly warmUp: readonly number[];
  readonly metrics: Readonly<Record<string, Compared>>;
  /** By metric: what each unit counted, where the target says so. Not there in one that an older version began. */
  readonly clusters?: Readonly<Record<string, Ways>>;
  readonly limits: Limits;
  /** Whether the last look had requests of the control. */
  readonly hasControl: boolean;
  /** A/B: the share that the new version should have, and evidence that it has another. */
  readonly split?: number;
  readonly sampleRatio: Evidence;
  /** Why it failed, the first time. */
  readonly failed: readonly string[];
}

export interface MetricEvidence {
  readonly name: string;
  readonly canary: Tally & { readonly rate: number | null };
  readonly control: Tally & { readonly rate: number | null };
  /** How much better "worse" explains the counts than "not worse"; the deployment fails at the threshold. */
  readonly eValue: number;
  readonly threshold: number;
  /** At most so much worse, as a share of requests, with the confidence of the policy. Null without requests. */
  readonly bound: number | null;
  /** The bound must be at most this for a pass. */
  readonly allowed: number;
  /** Evidence is divided by this, as units scatter so much more than independent requests; not there when it is 1. */
  readonly inflation?: number;
}

export type Outcome = "pass" | "fail" | "insufficient" | "inconclusive";

/** JSON. */
export interface Verdict {
  readonly outcome: Outcome;
  readonly reasons: readonly string[];
  readonly evidence: readonly MetricEvidence[];
  /** With what: a control at the same time, the control before, absolute limits alone, or nothing. */
  readonly comparison: "concurrent" | "before" | "limits" | "none";
  readonly winner?: "canary" | "control";
}

/** So few events are a cluster as easily as a regression. */
const URGENT_EVENTS = 10;

/** From here on a metric looks worse, though not surely; it comes by chance once in so many times. */
const SUSPICIOUS = 10;

/**
 * A sample ratio that the split makes this unlikely ends an A/B comparison; each side has half of it. A suspicious one
 * holds the winner back: a goal needs less evidence than that, and would be reached before the split is found wrong.
 */
const SAMPLE_RATIO_ALPHA = 0.001;
const SAMPLE_RATIO_TOLERANCE = 0.1;

/** `split` is the share of the new version in an A/B comparison, 0 to 1. */
export function begin(policy: AnalysisPolicy, split?: number): JudgeState {
  const metrics = Object.fromEntries(metricsOf(policy, "none").map(({ name }) => [name, nobody]));
  return {
    ...{ looks: 0, startedAt: null, latencySource: "none", warmUp: [], metrics, limits: noLimits },
    ...{ clusters: {}, hasControl: false, sampleRatio: noEvidence, failed: [] },
    ...(split !== undefined && { split }),
  };
}

export function look(state: JudgeState, policy: AnalysisPolicy, sample: Sample): JudgeState {
  const { canary, control } = sample;
  const startedAt = state.startedAt ?? (whole(canary.requests) > 0 ? sample.at : null);
  const isWarm = startedAt !== null && sample.at - startedAt >= policy.warmUpSeconds * 1000;
  const source = state.latencySource === "none" ? sourceOf(sample) : state.latencySource;
  const metrics: Record<string, Compared> = { ...state.metrics };
  const clusters: Record<string, Ways> = { ...state.clusters };
  for (const metric of metricsOf(policy, source)) {
    if (metric.isLatency && !isWarm) continue;
    const { name } = metric;
    metrics[name] = compare(metrics[name] ?? nobody, metric, sample, state.baseline, policy);
    clusters[name] = counted(clusters[name], name, sample);
  }
  const next: JudgeState = {
    ...state,
    ...{ looks: state.looks + 1, startedAt, latencySource: source, metrics },
    ...learned(state, policy, sample, isWarm),
    clusters,
    limits: hold(state.limits, sample, policy, {
      isWarm,
      inflation: clustered("errors", { clusters, metrics }),
    }),
    hasControl: whole(control.requests) > 0,
    ...(state.split !== undefined && {
      sampleRatio: absorb(
        state.sampleRatio,
        {
          ...{ at: sample.at, share: state.split },
          ...{ canaryEvents: whole(canary.requests), controlEvents: whole(control.requests) },
        },
        SAMPLE_RATIO_TOLERANCE,
      ),
    }),
  };
  return state.failed.length > 0 ? next : { ...next, failed: failures(next, policy) };
}

function compare(
  before: Compared,
  metric: Metric,
  sample: Sample,
  baseline: Baseline | undefined,
  { tolerance }: AnalysisPolicy,
): Compared {
  const [canary, control] = [tally(metric, sample.canary, baseline), tally(metric, sample.control, baseline)];
  const requests = canary.requests + control.requests;
  if (requests === 0) return before;
  const plus = (a: Tally, b: Tally) => ({ requests: a.requests + b.requests, events: a.events + b.events });
  const counts = {
    at: sample.at,
    canaryEvents: canary.events,
    controlEvents: control.events,
    share: canary.requests / requests,
  };
  return {
    canary: plus(before.canary, canary),
    control: plus(before.control, control),
    evidence: absorb(before.evidence, counts, tolerance),
  };
}

/** The baseline, as soon as there is one; until then what it will be made of. */
function learned(state: JudgeState, { minRequests }: AnalysisPolicy, { control }: Sample, isWarm: boolean) {
  if (state.baseline || !control.latency) return {};
  const warmUp = added(state.warmUp, control.latency.map(whole));
  if (!isWarm || total(warmUp) < minRequests) return { warmUp };
  return { warmUp: [], baseline: baselineOf(warmUp) };
}

/**
 * The logarithm of the e-value that this metric is worse, or better, than the control's. It must have lasted, unless
 * the canary is worse by more than what is allowed and not by a few events: then there is no time to lose. Either is
 * at most the e-value at once, so the choice between them costs nothing of the allowed rate.
 */
function logOf(metric: Metric, state: JudgeState, policy: AnalysisPolicy, side: "worse" | "better"): number {
  const { canary, control, evidence } = state.metrics[metric.name] ?? nobody;
  const sign = metric.higherIs === "worse" ? 1 : -1;
  const more = sign * (rateOf(canary) - rateOf(control));
  const events = sign > 0 ? canary.events : control.events;
  const isUrgent = side === "worse" && events >= URGENT_EVENTS && more > allowedOf(metric, policy);
  const { worse, better } = (isUrgent ? atOnce : lasting)(
    evidence,
    policy.tolerance,
    clustered(metric.name, state),
  );
  return sign > 0 === (side === "worse") ? worse : better;
}

/** 1 where the target does not count this metric by unit. */
function clustered(name: string, { clusters, metrics }: Pick<JudgeState, "clusters" | "metrics">): number {
  const { canary, control } = metrics[name] ?? nobody;
  const requests = canary.requests + control.requests;
  const ways = clusters?.[name];
  return ways && requests > 0 ? inflationOf([ways.units, ways.servers], canary.requests / requests) : 1;
}

const rateOf = ({ events, requests }: Tally) => (requests > 0 ? events / requests : 0);

/**
 * The mean of all metrics' e-values, weighted by their parts of the allowed rate, is one too: so metrics that are each
 * nearly sure decide together, and one that is sure by itself does so in any case.
 */
function failures(state: JudgeState, policy: AnalysisPolicy): string[] {
  const looks = metricsOf(policy, state.latencySource).map((metric) => {
    const log = logOf(metric, state, policy, "worse");
    return { metric, log, part: Math.exp(log) * alphaOf(metric, policy) };
  });
  const isWorse = looks.reduce((sum, { part }) => sum + part, 0) >= 1;
  const alone = looks.filter(({ part }) => part >= 1);
  const together = looks.filter(({ part }) => part >= 1 / SUSPICIOUS);
  const named = isWorse ? (alone.length > 0 ? alone : together) : [];
  const reasons = named.map(({ metric, log }) => {
    const { canary, control } = state.metrics[metric.name]!;
    const times = Math.exp(Math.min(log, 30)).toLocaleString("en-US", { maximumSignificantDigits: 2 });
    return (
      `${describe(metric)}: ${of(canary)} against ${of(control)} of the control; ` +
      `a version that is no worse would look like this once in ${times} times at most`
    );
  });
  if (isWorse && alone.length === 0) reasons.push("none of these decides by itself; together they do");
  if (state.limits.over < policy.consecutiveFailures) return reasons;
  const windows = `in ${policy.consecutiveFailures} windows in a row, each of ${policy.minRequests} requests or more`;
  return [...reasons, ...state.limits.reasons.map((reason) => `${reason}, ${windows}`)];
}

const thousands = (count: number) => Math.round(count).toLocaleString("en-US");
const of = ({ events, requests }: Tally) =>
  `${percent(events / (requests || 1))} of ${thousands(requests)} requests`;

function describe({ name, isLatency }: Metric): string {
  if (name === "errors") return "errors";
  if (name === "slow") return "slow requests";
  return isLatency ? `slower than the ${name} of the control` : name.slice("custom.".length);
}

const LARGEST_LOG = 690;

function evidenceOf(metric: Metric, state: JudgeState, policy: AnalysisPolicy): MetricEvidence {
  const compared = state.metrics[metric.name] ?? nobody;
  const inflation = clustered(metric.name, state);
  const rated = (counts: Tally) => ({
    ...counts,
    rate: counts.requests > 0 ? counts.events / counts.requests : null,
  });
  return {
    name: metric.name,
    canary: rated(compared.canary),
    control: rated(compared.control),
    eValue: Math.exp(Math.min(LARGEST_LOG, logOf(metric, state, policy, "worse"))),
    threshold: 1 / alphaOf(metric, policy),
    bound: boundOf(compared, metric.higherIs, 1 - policy.confidence, inflation),
    allowed: allowedOf(metric, policy),
    ...(inflation > 1 && { inflation }),
  };
}

/** `elapsedMs` since the engine began to look; what was measured until the warm-up is over is not enough for a pass. */
export function verdictOf(
  state: JudgeState,
  policy: AnalysisPolicy,
  { elapsedMs }: { readonly elapsedMs: number },
): Verdict {
  const metrics = metricsOf(policy, state.latencySource);
  const all = metrics.map((metric) => evidenceOf(metric, state, policy));
  const comparison = comparisonOf(state, policy, all[0]!);
  const said = { evidence: all, comparison };
  const isAb = state.split !== undefined;
  if (state.failed.length > 0)
    return { outcome: "fail", reasons: state.failed, ...said, ...(isAb && { winner: "control" as const }) };
  const missing = missingOf(policy, all[0]!, comparison, elapsedMs);
  if (missing) return { outcome: "insufficient", reasons: [missing], ...said };
  const openly = OPENLY[comparison];
  const unsure = unsureOf(state, policy, all, comparison);
  if (unsure.length > 0) return { outcome: "inconclusive", reasons: [...unsure, ...openly], ...said };
  if (isAb) return winnerOf(state, policy, metrics, said);
  return { outcome: "pass", reasons: ["no metric is worse by more than is allowed", ...openly], ...said };
}

const OPENLY: Readonly<Record<Verdict["comparison"], readonly string[]>> = {
  concurrent: [],
  before: ["no control is left: the version is held against the control before, and against absolute limits"],
  limits: ["there was no control: the version is held against absolute limits alone"],
  none: ["there was no control, and the policy has no absolute limit"],
};

function comparisonOf(
  state: JudgeState,
  policy: AnalysisPolicy,
  { control }: MetricEvidence,
): Verdict["comparison"] {
  if (control.requests >= policy.minRequests) return state.hasControl ? "concurrent" : "before";
  if (state.hasControl) return "concurrent";
  return policy.errorRateMax !== undefined || policy.latencyMaxMs !== undefined ? "limits" : "none";
}

function missingOf(
  { minRequests, warmUpSeconds }: AnalysisPolicy,
  { canary, control }: MetricEvidence,
  comparison: Verdict["comparison"],
  elapsedMs: number,
): string | undefined {
  if (elapsedMs < warmUpSeconds * 1000) return "it is still warming up";
  const few = (whose: string, { requests }: Tally) =>
    `the ${whose} has had ${thousands(requests)} requests, ${thousands(minRequests)} are needed`;
  if (canary.requests < minRequests) return few("new version", canary);
  if (comparison === "none") return OPENLY.none[0];
  return comparison !== "limits" && control.requests < minRequests ? few("control", control) : undefined;
}

/** What keeps it from a pass. */
function unsureOf(
  state: JudgeState,
  policy: AnalysisPolicy,
  all: readonly MetricEvidence[],
  comparison: Verdict["comparison"],
): string[] {
  const unsure: string[] = [];
  if (state.limits.over > 0) unsure.push(...state.limits.reasons);
  const ratio = sampleRatioLog(state);
  if (ratio >= Math.log(2 / SAMPLE_RATIO_ALPHA))
    unsure.push(
      "the versions did not get the shares of requests that the split gives them, so nothing is compared",
    );
  else if (ratio >= Math.log(SUSPICIOUS))
    unsure.push("the shares of requests do not look like those that the split gives, though not surely");
  for (const { name, bound, allowed, eValue } of all) {
    if (eValue >= SUSPICIOUS) unsure.push(`${name} looks worse, though not surely`);
    // Without a control "worse than" has no meaning; the absolute limit takes its place.
    const limit = comparison === "limits" ? (name === "errors" ? policy.errorRateMax : undefined) : allowed;
    if (bound === null || limit === undefined || bound <= limit) continue;
    unsure.push(`${name} may be worse by up to ${percent(bound)} of requests, ${percent(limit)} are allowed`);
  }
  return unsure;
}

function sampleRatioLog({ split, sampleRatio }: JudgeState): number {
  if (split === undefined) return 0;
  const { worse, better } = lasting(sampleRatio, SAMPLE_RATIO_TOLERANCE);
  return Math.max(worse, better);
}

function winnerOf(
  state: JudgeState,
  policy: AnalysisPolicy,
  metrics: readonly Metric[],
  said: Pick<Verdict, "evidence" | "comparison">,
): Verdict {
  const wanted = policy.goal ?? metrics.find(({ name }) => name.startsWith("custom."))?.name ?? "errors";
  const goal = metrics.find(({ name }) => name === wanted);
  if (!goal) return { outcome: "inconclusive", reasons: [`nothing is measured of ${wanted}`], ...said };
  const isBetter = logOf(goal, state, policy, "better") >= -Math.log(alphaOf(goal, policy));
  const { canary, control } = state.metrics[goal.name] ?? nobody;
  const figures = `${describe(goal)}: ${of(canary)} against ${of(control)}`;
  if (isBetter)
    return { outcome: "pass", winner: "canary", reasons: [`the new version is better. ${figures}`], ...said };
  return { outcome: "inconclusive", reasons: [`neither version is better yet. ${figures}`], ...said };
}

/** The verdict after all these samples, for who wants to see again why it was so. */
export function replay(policy: AnalysisPolicy, samples: readonly Sample[], split?: number): Verdict {
  const state = samples.reduce((before, sample) => look(before, policy, sample), begin(policy, split));
  return verdictOf(state, policy, { elapsedMs: (samples.at(-1)?.at ?? 0) - (samples[0]?.at ?? 0) });
}
