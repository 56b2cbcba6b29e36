/**
 * Kayenta's default judge as its documentation describes it: for each metric the confidence interval of the shift
 * between both series (the Hodges–Lehmann interval that belongs to the Mann–Whitney U test, normal approximation with
 * ties and continuity correction, as R's wilcox.test has it). "High" when its lower end is above tolerance times the
 * estimated shift. Outliers are kept, which is its default.
 */
import { quantileOf } from "../../src/deployment/judge/latency.ts";
import type { Counts } from "../../src/deployment/target.ts";
import type { Scenario } from "./scenarios.ts";
import { boundsMs, type Observed } from "./stream.ts";

/** Points of one run: an hour of minutes, of which the documentation wants 50 at least. */
const RUN = 60;
const TOLERANCE = 0.25;
/** Two-sided 0.98. */
const Z = 2.3263478740408408;
const MARGINAL = 75;

export function kayenta(_scenario: Scenario): (sample: Observed) => boolean {
  const series = {
    errors: { canary: [] as number[], baseline: [] as number[] },
    p99: { canary: [] as number[], baseline: [] as number[] },
  };
  let looks = 0;
  const record = (cohort: "canary" | "baseline", counts: Counts) => {
    // A minute without requests is not a number, and such points are left out.
    if (counts.requests === 0) return;
    series.errors[cohort].push(counts.errors / counts.requests);
    series.p99[cohort].push(quantileOf(counts.latency!, boundsMs, "p99")!);
  };
  return ({ canary, baseline }) => {
    record("canary", canary);
    record("baseline", baseline);
    if (++looks % RUN !== 0) return false;
    const groups = Object.values(series);
    const passed = groups.filter((metric) => !isHigh(metric.canary, metric.baseline)).length;
    for (const metric of groups) {
      metric.canary = [];
      metric.baseline = [];
    }
    // The score to pass at the end, 95, lies like the marginal one between one and two groups of two.
    return (100 * passed) / groups.length < MARGINAL;
  };
}

export function isHigh(canary: readonly number[], baseline: readonly number[]): boolean {
  const [n, m] = [canary.length, baseline.length];
  if (n === 0 || m === 0) return false;
  const shifts = new Float64Array(n * m);
  for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) shifts[i * m + j] = canary[i]! - baseline[j]!;
  shifts.sort();
  const all = n + m;
  const ties = tied(canary) + tied(baseline);
  const sigma = Math.sqrt(((n * m) / 12) * (all + 1 - ties / (all * (all - 1))));
  if (!(sigma > 0)) return false;
  // The interval ends where U leaves its mean by Z sigma, and U counts the shifts above.
  const below = Math.floor((n * m) / 2 - 0.5 - Z * sigma);
  const lower = shifts[Math.max(0, below)]!;
  const middle = (shifts[Math.floor((n * m - 1) / 2)]! + shifts[Math.floor((n * m) / 2)]!) / 2;
  return lower > TOLERANCE * Math.abs(middle);
}

/** Σ t³ − t over groups of equal values. */
function tied(values: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  let sum = 0;
  for (const count of counts.values()) sum += count ** 3 - count;
  return sum;
}
