/** The results of one run, and the rows that its reports show: medians over the rounds, with their spread. */
import type { Measurement } from "./client.ts";
import type { Machine } from "./machine.ts";
import { median } from "./measure.ts";
import type { Phase } from "./system.ts";
import { systemNamed } from "./systems.ts";

export interface Visit {
  readonly system: string;
  readonly version: string;
  readonly round: number;
  readonly measurements: readonly Measurement[];
}

export interface Results {
  readonly date: string;
  readonly machine: Machine;
  readonly plan: {
    readonly messages: number;
    readonly warmUp: number;
    readonly rounds: number;
    readonly phaseSeconds: number;
    readonly pinned: boolean;
  };
  readonly visits: readonly Visit[];
  readonly failures: readonly string[];
}

export interface Row {
  readonly system: string;
  readonly title: string;
  readonly method: string;
  readonly promise: string;
  readonly perSecond: number;
  readonly slowest: number;
  readonly fastest: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly serverCpuSeconds: number;
  readonly clientCpuSeconds: number;
  /** The rate of `reference` over the rate of this row: the median of the ratios within each round. */
  readonly ratio: number | undefined;
}

/** The HotSwap variant that peers are compared with. */
const reference = "hotswap";

export function rowsOf(results: Results, phase: Phase): Row[] {
  const names = [...new Set(results.visits.map((visit) => visit.system))];
  return names.flatMap((name) => {
    const measured = measurementsOf(results, name, phase);
    if (measured.size === 0) return [];
    const column = (pick: (measurement: Measurement) => number) => [...measured.values()].map(pick);
    const rates = column((each) => each.perSecond);
    const { title, method, promise } = systemNamed(name);
    return {
      system: name,
      title,
      method: method[phase],
      promise: promise[phase],
      perSecond: median(rates),
      slowest: Math.min(...rates),
      fastest: Math.max(...rates),
      p50Ms: median(column((each) => each.p50Ms)),
      p99Ms: median(column((each) => each.p99Ms)),
      serverCpuSeconds: median(column((each) => each.serverCpuSecondsPer100k)),
      clientCpuSeconds: median(column((each) => each.clientCpuSecondsPer100k)),
      ratio: ratioTo(measurementsOf(results, reference, phase), measured),
    };
  });
}

/** By round. */
function measurementsOf(results: Results, system: string, phase: Phase): Map<number, Measurement> {
  const measured = new Map<number, Measurement>();
  for (const visit of results.visits) {
    const found = visit.measurements.find((each) => each.phase === phase);
    if (visit.system === system && found) measured.set(visit.round, found);
  }
  return measured;
}

function ratioTo(base: Map<number, Measurement>, other: Map<number, Measurement>): number | undefined {
  const ratios = [...other].flatMap(([round, each]) => {
    const own = base.get(round);
    return own ? [own.perSecond / each.perSecond] : [];
  });
  return ratios.length > 0 ? median(ratios) : undefined;
}

/** What other processes took from the two sides, in CPUs, in the worst phase of the run. */
export function worstForeignCpus(results: Results): number {
  return Math.max(
    0,
    ...results.visits.flatMap((visit) => visit.measurements.map((each) => each.foreignCpus)),
  );
}

/** Deliveries beyond the first of a message, over the whole run: acknowledged work that came again. */
export function repeatedDeliveries(results: Results): number {
  return results.visits.flatMap((visit) => visit.measurements).reduce((sum, each) => sum + each.repeated, 0);
}
