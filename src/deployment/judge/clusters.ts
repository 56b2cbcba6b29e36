/**
 * Errors, slow requests and other events that come in clusters: an instance that goes bad by itself gives many of them
 * at once, and its requests are not independent of each other. What counts then is not how many events there are but
 * how many units have them. So where the target says what each unit counted, the evidence is divided by how much more
 * the events of units scatter about their version's rate than those of independent requests would (the variance
 * inflation of a quasi-likelihood: McCullagh & Nelder, Generalized Linear Models, 1989, ch. 4.5): a cluster then counts
 * about as one event.
 *
 * A version that is worse is so on all of its units, more or less, and scatters no more than before. Totals since the
 * exposure are enough, whatever the length of a cluster: of clusters of m events, totals have m times the variance.
 */
import { UNIT_GROUPS } from "../../core/cohort.ts";
import type { Counts, GroupCounts, GroupEvents, Sample } from "../target.ts";

/** Requests and events of each unit, in an order that does not change. JSON. */
export type UnitTotals = readonly GroupCounts[];

/** JSON. */
export interface Units {
  readonly canary: UnitTotals;
  readonly control: UnitTotals;
}

export const noUnits: Units = { canary: [], control: [] };

/** Of one metric: by unit, and by what answered. JSON. */
export interface Ways {
  readonly units: Units;
  readonly servers: Units;
}

const noWays: Ways = { units: noUnits, servers: noUnits };

/** What both versions counted of this metric, with what they had. */
export function counted(
  { units, servers }: Ways = noWays,
  metric: string,
  { canary, control }: Sample,
): Ways {
  const of = (events: Counts) => [
    eventsBy(metric, events.units, events.unitEvents),
    eventsBy(metric, events.servers, events.serverEvents),
  ];
  const [one, other] = [of(canary), of(control)];
  return { units: withCounts(units, one[0], other[0]), servers: withCounts(servers, one[1], other[1]) };
}

function eventsBy(
  metric: string,
  groups: readonly GroupCounts[] | undefined,
  others: GroupEvents | undefined,
): UnitTotals | undefined {
  if (metric === "errors") return groups;
  const events = others?.[metric];
  return events && groups?.map(([requests], index) => [requests, events[index] ?? 0] as const);
}

/** What the control's scatter counts for in the canary's, in units. */
const PRIOR_UNITS = 4;
/** In standard deviations. */
const SURE = 3;

const count = (value: number | undefined) => (Number.isFinite(value) && value! > 0 ? value! : 0);

const withCounts = (
  before: Units,
  canary: UnitTotals | undefined,
  control: UnitTotals | undefined,
): Units => ({
  canary: withUnits(before.canary, canary),
  control: withUnits(before.control, control),
});

function withUnits(before: UnitTotals, now: UnitTotals | undefined): UnitTotals {
  if (!now || now.length === 0) return before;
  const length = Math.min(UNIT_GROUPS, Math.max(before.length, now.length));
  return Array.from({ length }, (_, index) => {
    const requests = count(now[index]?.[0]);
    const errors = Math.min(requests, count(now[index]?.[1]));
    return [(before[index]?.[0] ?? 0) + requests, (before[index]?.[1] ?? 0) + errors] as const;
  });
}

/** Pearson's chi-squared of the units' events about their common rate, and its variance if requests are independent. */
function scatterOf(units: UnitTotals): { squares: number; freedom: number; variance: number } {
  const asked = units.filter(([requests]) => requests > 0);
  const requests = asked.reduce((sum, [each]) => sum + each, 0);
  const errors = asked.reduce((sum, [, each]) => sum + each, 0);
  const rate = errors / requests;
  if (asked.length < 2 || !(rate > 0 && rate < 1)) return { squares: 0, freedom: 0, variance: 0 };
  let [squares, variance] = [0, 0];
  for (const [n, x] of asked) {
    const spread = n * rate * (1 - rate);
    squares += (x - n * rate) ** 2 / spread;
    variance += 2 + 1 / spread;
  }
  return { squares, freedom: asked.length - 1, variance };
}

/**
 * By how much evidence of a metric is to be divided, at least 1. Requests that cluster in two ways, by who asks and by
 * what answers, scatter by both: variances of multiway clusters add up (Cameron, Gelbach & Miller, "Robust Inference
 * With Multiway Clustering", 2011), and what independent requests have is in each of them.
 */
export function inflationOf(ways: readonly Units[], share: number): number {
  return ways.reduce((sum, units) => sum + inflationBy(units, share) - 1, 1);
}

/**
 * The canary has this share of the requests: the smaller it is, the more its own scatter matters. Of a canary of few
 * units the control's speaks, until its own are surely apart: one bad unit of three is. One standard deviation of what
 * chance makes of independent requests is not taken for scatter.
 */
function inflationBy({ canary, control }: Units, share: number): number {
  const [own, other] = [scatterOf(canary), scatterOf(control)];
  const ofControl =
    other.freedom > 0 ? Math.max(1, (other.squares - Math.sqrt(other.variance)) / other.freedom) : 1;
  const weight = PRIOR_UNITS + own.freedom;
  const usual = (PRIOR_UNITS * ofControl + own.squares - Math.sqrt(own.variance)) / weight;
  const sure = own.freedom > 0 ? (own.squares - SURE * Math.sqrt(own.variance)) / own.freedom : 1;
  const ofCanary = Math.max(usual, sure);
  return Math.max(1, (1 - share) * Math.max(1, ofCanary) + share * ofControl);
}
