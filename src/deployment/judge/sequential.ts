/**
 * One test for everything that is counted: events (errors, slow requests) among the requests of two cohorts, looked at
 * as often as one likes. Given that a look has n events in both cohorts, and that p0 of its requests were the canary's,
 * how many of the n are the canary's is compared with what it would be if its events were r times as likely:
 *
 *   S(r) = Σ over looks of  x·ln r − n·ln(r·p0 + 1 − p0)
 *
 * for every r of a fixed grid; this is the whole state. An e-value is a mean of exp(S(r) − S(r0)) over r beyond r0. By
 * Ville's inequality it reaches 1/α with a probability of at most α, ever, when the odds of an event are at most r0
 * times as high in the canary; shares, rates and the number of looks may change as they like, since each look is
 * conditioned on its own n and p0. The approach is Lindon & Malek, "Anytime-Valid Inference for Multinomial Count Data"
 * (NeurIPS 2022).
 *
 * Why the binomial ratio is right for requests: x given n is then Fisher's noncentral hypergeometric, which is a sum of
 * independent indicators with a mean of at most n·r0·p0/(r0·p0 + 1 − p0) when r0 ≥ 1, and (r/r0)^x is convex and
 * increasing in x, so its expectation is at most the binomial one (Hoeffding 1956, 1963). It errs to the quiet side
 * when events are common. `ratioAbove` and `ratioBelow` use the same sums away from r0 = 1, where this is exact for
 * rare events and an approximation for common ones.
 *
 * Errors come in clusters: one bad unit, one bad second. Three things keep these from deciding:
 *
 *   - dispersion: S grows by 1/φ of what a look says, where φ ≥ 1 is how much more the looks before it scattered than
 *     independent requests do. As φ is known before the look, the e-value stays one (Jensen).
 *   - lasting: what ten seconds say counts up to 4 to 1 only, for each ratio by itself, so a regression must show in
 *     several stretches of ten seconds. Cutting down only what speaks for a ratio leaves at most an e-value, and so as
 *     safe. `atOnce` is the e-value with nothing cut; the judge uses it for what is far beyond every allowance.
 *   - inflation: where the target says what each unit counted, all of S is divided by how much the errors of units
 *     scatter (clusters.ts). This looks back, so it is not known before the look; but a mean of exp(S/φ) with φ ≥ 1 is
 *     at most 1 more than the mean of exp(S), and that 1 is taken off.
 */

/** Logarithms of the ratios above 1; finer where decisions fall. */
const STEPS = [
  0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.95, 1.1, 1.3, 1.5, 1.75, 2, 2.4, 2.8, 3.3, 4,
];
const GRID: readonly number[] = [...STEPS.map((step) => -step).reverse(), 0, ...STEPS];
const RATIOS = GRID.map(Math.exp);
const MIDDLE = STEPS.length;

/** Looks are put together until this much variance is expected of x; then their scatter says something. */
const BLOCK_VARIANCE = 5;
/** A block's squared deviation counts up to here, so that one step in the rate is not taken for scatter. */
const DEVIATION_MAX = 25;
/** A stretch, and the most that it may count for. */
const STRETCH_MS = 10_000;
const STRETCH_LOG = Math.log(4);
/** Blocks as they would be without clusters, assumed before the first. */
const PRIOR_BLOCKS = 20;

/** JSON. */
export interface Evidence {
  /** S for each ratio of the grid. */
  readonly sums: readonly number[];
  /** For each ratio, what was cut from stretches that are over. */
  readonly cut: readonly number[];
  /** When the present stretch began, in milliseconds since 1970, and S at that time. */
  readonly since: number;
  readonly before: readonly number[];
  /** Of the block that is being filled: x minus what was expected, and its variance. */
  readonly deviation: number;
  readonly variance: number;
  /** Squared deviations of full blocks, in units of their variance, and how many. */
  readonly scatter: number;
  readonly blocks: number;
}

export interface Look {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly canaryEvents: number;
  readonly controlEvents: number;
  /** Of the requests of this look, how many were the canary's: 0 to 1. */
  readonly share: number;
}

export const noEvidence: Evidence = {
  sums: GRID.map(() => 0),
  cut: GRID.map(() => 0),
  since: 0,
  before: GRID.map(() => 0),
  deviation: 0,
  variance: 0,
  scatter: 0,
  blocks: 0,
};

/** The first ratio of the grid that is at least 1 + tolerance, as an index above the middle. */
function nullStep(tolerance: number): number {
  const step = GRID.findIndex((log) => log >= Math.log1p(tolerance) - 1e-12);
  return (step < 0 ? GRID.length - 2 : Math.min(step, GRID.length - 2)) - MIDDLE;
}

/** ln of the sum of exp, of values from `from` to before `to`. */
function logSum(values: readonly number[], from: number, to: number): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = from; i < to; i++) largest = Math.max(largest, values[i]!);
  let sum = 0;
  for (let i = from; i < to; i++) sum += Math.exp(values[i]! - largest);
  return largest + Math.log(sum);
}

/**
 * What each ratio beyond the null counts for in the mean: more about a ratio of three, as a version that is worse is
 * mostly so by as much. Small ratios keep their part: they are what finds a version that becomes worse late.
 */
const WEIGHTS = GRID.map((log) => 0.5 + Math.exp(-((Math.abs(log) - 1.1) ** 2) / 0.32));
const LOG_WEIGHTS = WEIGHTS.map(Math.log);

/** The nulls of both sides, as indices: ratios beyond `high` are worse, ratios before `low` better. */
function nulls(tolerance: number): { high: number; low: number } {
  const step = nullStep(tolerance);
  return { high: MIDDLE + step, low: MIDDLE - step };
}

/** ln of the e-values against "not worse" and "not better" than the tolerance. */
function logs(
  sums: readonly number[],
  { high, low }: { high: number; low: number },
  inflation: number,
  cut?: readonly number[],
) {
  const kept = cut ? sums.map((sum, i) => sum - cut[i]!) : sums;
  const beyond = (from: number, to: number, zero: number) => {
    const weighted = kept.map((sum, i) => (sum - sums[zero]!) / inflation + LOG_WEIGHTS[i]!);
    const log = logSum(weighted, from, to) - logSum(LOG_WEIGHTS, from, to);
    return inflation > 1 ? logOfLess(log) : log;
  };
  return { worse: beyond(high + 1, GRID.length, high), better: beyond(0, low, low) };
}

/** ln of the e-value less 1, or of what is next to nothing. */
function logOfLess(log: number): number {
  return log > 1e-9 ? log + Math.log1p(-Math.exp(-log)) : Math.log(1e-9);
}

/** All that is cut from each ratio, the present stretch included. */
function cuts({ sums, before, cut }: Evidence, { high, low }: { high: number; low: number }): number[] {
  return cut.map((sum, i) => {
    const zero = i > high ? high : i < low ? low : i;
    return sum + Math.max(0, sums[i]! - before[i]! - (sums[zero]! - before[zero]!) - STRETCH_LOG);
  });
}

export function dispersionOf({ scatter, blocks }: Evidence): number {
  return Math.max(1, (PRIOR_BLOCKS + scatter) / (PRIOR_BLOCKS + blocks));
}

/** The ratio that explains best what there is; 1 before there is anything. */
function likeliest(sums: readonly number[]): number {
  let best = MIDDLE;
  for (let i = 0; i < sums.length; i++) if (sums[i]! > sums[best]!) best = i;
  return RATIOS[best]!;
}

export function absorb(before: Evidence, look: Look, tolerance: number): Evidence {
  const { at, canaryEvents: x, share } = look;
  const n = x + look.controlEvents;
  // With one cohort alone, or without events, every ratio explains the look as well.
  if (!(n > 0) || !(share > 0 && share < 1)) return before;
  const weight = 1 / dispersionOf(before);
  const isOver = at - before.since >= STRETCH_MS;
  return {
    sums: before.sums.map(
      (sum, i) => sum + weight * (x * GRID[i]! - n * Math.log1p(share * (RATIOS[i]! - 1))),
    ),
    ...(isOver
      ? { cut: cuts(before, nulls(tolerance)), since: at, before: before.sums }
      : { cut: before.cut, since: before.since, before: before.before }),
    ...scatterWith(before, look, n),
  };
}

function scatterWith(before: Evidence, { canaryEvents: x, share }: Look, n: number) {
  const ratio = likeliest(before.sums);
  const expected = (ratio * share) / (ratio * share + 1 - share);
  const deviation = before.deviation + x - n * expected;
  const variance = before.variance + n * expected * (1 - expected);
  const { scatter, blocks } = before;
  if (variance < BLOCK_VARIANCE) return { deviation, variance, scatter, blocks };
  const squared = Math.min(DEVIATION_MAX, deviation ** 2 / variance);
  return { deviation: 0, variance: 0, scatter: scatter + squared, blocks: blocks + 1 };
}

/** The logarithms of both e-values. */
export function atOnce({ sums }: Evidence, tolerance: number, inflation = 1) {
  return logs(sums, nulls(tolerance), inflation);
}

/** The same of what lasted. */
export function lasting(evidence: Evidence, tolerance: number, inflation = 1) {
  const at = nulls(tolerance);
  return logs(evidence.sums, at, inflation, cuts(evidence, at));
}

/** Ratios whose sums are within ln(1/α) of the mean over the grid: a confidence sequence for the ratio. */
function plausible(sums: readonly number[], alpha: number): { first: number; last: number } {
  const bar = logSum(sums, 0, sums.length) - Math.log(sums.length) + Math.log(alpha);
  const fits = (sum: number) => sum > bar;
  return { first: sums.findIndex(fits), last: sums.findLastIndex(fits) };
}

/** With confidence 1 − α at all times together, the ratio of the rates is below this. Infinity when unknown. */
export function ratioBelow({ sums }: Evidence, alpha: number, inflation = 1): number {
  return (
    RATIOS[
      plausible(
        sums.map((sum) => sum / inflation),
        alpha,
      ).last + 1
    ] ?? Number.POSITIVE_INFINITY
  );
}

/** And above this; 0 when nothing is known. */
export function ratioAbove({ sums }: Evidence, alpha: number, inflation = 1): number {
  return (
    RATIOS[
      plausible(
        sums.map((sum) => sum / inflation),
        alpha,
      ).first - 1
    ] ?? 0
  );
}

/**
 * With confidence 1 − α at all times together, the mean rate of these is below this: the beta-binomial confidence
 * sequence with a uniform prior, by bisection. From 0 to 1; 1 when nothing is known.
 */
export function rateBelow(events: number, requests: number, alpha: number): number {
  if (!(requests > 0)) return 1;
  const rate = Math.min(1, events / requests);
  const bar = logBeta(events + 1, requests - events + 1) + Math.log(alpha);
  const fits = (p: number) => xlogy(events, p) + xlogy(requests - events, 1 - p) > bar;
  let [low, high] = [rate, 1];
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return high;
}

export function rateAbove(events: number, requests: number, alpha: number): number {
  return 1 - rateBelow(requests - events, requests, alpha);
}

const xlogy = (x: number, y: number) => (x === 0 ? 0 : x * Math.log(y));

const logBeta = (a: number, b: number) => logGamma(a) + logGamma(b) - logGamma(a + b);

/** Stirling's series after eight steps of the recurrence; error below 1e-12 for x ≥ 1. */
function logGamma(x: number): number {
  let [shifted, product] = [x, 1];
  for (; shifted < 8; shifted++) product *= shifted;
  const inverse = 1 / (shifted * shifted);
  const series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / shifted;
  return (
    (shifted - 0.5) * Math.log(shifted) - shifted + 0.5 * Math.log(2 * Math.PI) + series - Math.log(product)
  );
}
