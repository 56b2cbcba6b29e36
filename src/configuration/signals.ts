/** What instances counted, from totals that only grow to what came in since the last look. Pure. */
import { groupOf, UNIT_GROUPS } from "../core/cohort.ts";
import { hash32 } from "../core/hash.ts";
import type { Counts, Sample } from "../deployment/target.ts";
import type { Cohort } from "./delivery.tables.ts";

type Totals = Readonly<Record<string, number>>;

/** Of the last look; JSON. */
export interface SampleCursor {
  readonly canary: Totals;
  readonly control: Totals;
}

const prefix = "custom.";
/** What an instance counts is counted once more with all of its group, so that one bad instance shows as one. */
const unitMetric = (group: number, what: string) => `unit.${group}.${what}`;

type Counted = Pick<Counts, "requests" | "errors" | "slow" | "custom">;

/** Each count twice, alone and with its group's, which is the same on every node and after every restart. */
export function countsBy(
  instance: string,
  { custom = {}, ...plain }: Counted,
): [metric: string, by: number][] {
  const group = groupOf(hash32(instance));
  const all = [
    ...Object.entries(plain),
    ...Object.entries(custom).map(([name, by]): [string, number] => [`${prefix}${name}`, by]),
  ];
  return [...all, ...all.map(([metric, by]): [string, number] => [unitMetric(group, metric), by])];
}

export function sampleOf(
  rows: readonly { cohort: Cohort; metric: string; total: number }[],
  before: SampleCursor | undefined,
  now: number,
): { samples: readonly Sample[]; cursor: SampleCursor } {
  const totals = (cohort: Cohort): Totals =>
    Object.fromEntries(
      rows.filter((row) => row.cohort === cohort).map(({ metric, total }) => [metric, total]),
    );
  const cursor = { canary: totals("canary"), control: totals("control") };
  const grown = (cohort: Cohort) => countsOf(cursor[cohort], before?.[cohort] ?? {});
  const sample = { at: now, canary: grown("canary"), control: grown("control") };
  const isEmpty = sample.canary.requests === 0 && sample.control.requests === 0;
  // Errors of requests that are not there are no sample yet; they come with the next.
  return isEmpty
    ? { samples: [], cursor: before ?? { canary: {}, control: {} } }
    : { samples: [sample], cursor };
}

function countsOf(now: Totals, before: Totals): Counts {
  const grown = (metric: string) => Math.max(0, (now[metric] ?? 0) - (before[metric] ?? 0));
  const requests = grown("requests");
  const within = (metric: string) => Math.min(requests, grown(metric));
  const names = Object.keys(now).filter((metric) => metric.startsWith(prefix));
  const own = everyGroup((group) => grown(unitMetric(group, "requests")));
  const events = (metric: string) =>
    everyGroup((group) => Math.min(own[group]!, grown(unitMetric(group, metric))));
  const errors = events("errors");
  const others = [...(now.slow === undefined ? [] : ["slow"]), ...names];
  return {
    requests,
    errors: within("errors"),
    ...(now.slow !== undefined && { slow: within("slow") }),
    ...(names.length > 0 && {
      custom: Object.fromEntries(names.map((metric) => [metric.slice(prefix.length), within(metric)])),
    }),
    ...(own.some((requests) => requests > 0) && {
      units: own.map((requests, group) => [requests, errors[group]!] as const),
      ...(others.length > 0 && {
        unitEvents: Object.fromEntries(others.map((metric) => [metric, events(metric)])),
      }),
    }),
  };
}

const everyGroup = <Value>(of: (group: number) => Value) =>
  Array.from({ length: UNIT_GROUPS }, (_, group) => of(group));
