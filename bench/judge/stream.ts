/**
 * Streams of samples as a gateway reports them: requests of two versions with errors and a latency histogram with the
 * gateway's own bounds. Every request is independent of the others, but in the scenarios that say otherwise. Seeded:
 * the same seed is the same stream for every judge.
 */
import { groupOf, UNIT_GROUPS } from "../../src/core/cohort.ts";
import { mix } from "../../src/core/hash.ts";
import type { Random } from "../../src/core/random.ts";
import type { Counts, GroupCounts, Sample } from "../../src/deployment/target.ts";
import { latencyBoundsSeconds } from "../../src/gateway/proxy/stats.ts";
import { binomial, normalBelow, poisson } from "./draw.ts";
import type { Bursts, Scenario } from "./scenarios.ts";

export const boundsMs = latencyBoundsSeconds.map((seconds) => seconds * 1000);
export const lookMs = 60_000;

/** Kayenta is fed as its documentation asks: by a part of the control that is as large as the canary. */
export interface Observed extends Sample {
  readonly baseline: Counts;
}

const Z99 = 2.3263478740408408;

/** The chance of each bucket between these bounds, given that the ones before were missed. */
function bucketChances(p50Ms: number, p99Ms: number, fromMs = 0, toMs = Number.POSITIVE_INFINITY): number[] {
  const sigma = Math.log(p99Ms / p50Ms) / Z99;
  const belowOf = (bound: number) => (bound > 0 ? normalBelow(Math.log(bound / p50Ms) / sigma) : 0);
  const [lowest, highest] = [belowOf(fromMs), toMs === Number.POSITIVE_INFINITY ? 1 : belowOf(toMs)];
  let before = 0;
  return boundsMs.map((bound) => {
    const below = Math.min(1, Math.max(0, (belowOf(bound) - lowest) / (highest - lowest)));
    const chance = before < 1 ? (below - before) / (1 - before) : 1;
    before = below;
    return Math.min(1, Math.max(0, chance));
  });
}

/** Slower than this is slow to units that count that themselves. */
const slowMs = 250;
const usualErrorRate = 0.001;

/** Of a version that is called by many, and of which the scenario does not say how many backends it has. */
const BACKENDS = 3;

class Cohort {
  readonly #random: Random;
  readonly #scenario: Scenario;
  readonly #chances: readonly number[];
  readonly #times: number;
  /** Looks for which each unit is still bad. */
  readonly #bad: number[];
  /** Times the error rate, of each unit. */
  readonly #uneven: readonly number[];

  /** `part`: which share of all callers it has, if the scenario counts these. */
  constructor(random: Random, scenario: Scenario, times: { errors: number; p99: number }, part: number) {
    this.#random = random;
    this.#scenario = scenario;
    this.#chances = bucketChances(scenario.p50Ms, scenario.p99Ms * times.p99);
    this.#times = times.errors;
    const { uneven, route } = scenario;
    const units = route?.callers === undefined ? (scenario.units ?? 0) : Math.round(route.callers * part);
    this.#bad = new Array(units).fill(0);
    const timesOf = () => (uneven && random.number() < uneven.chance ? uneven.timesErrors : 1);
    this.#uneven = Array.from({ length: units }, timesOf);
  }

  draw(mean: number, look: number): Counts {
    const requests = poisson(this.#random, mean);
    if (this.#scenario.counts !== undefined) return this.#others(requests, look);
    return { requests, latency: this.#latency(requests, this.#chances), ...this.#errors(requests, look) };
  }

  #latency(requests: number, chances: readonly number[]): number[] {
    let left = requests;
    const latency = chances.map((chance) => {
      const count = binomial(this.#random, left, chance);
      left -= count;
      return count;
    });
    return [...latency, left];
  }

  /** What units count beside errors comes as errors do elsewhere; latencies are as their slow requests say. */
  #others(requests: number, look: number): Counts {
    const { counts, p50Ms, p99Ms } = this.#scenario;
    const { errors: events, units = [] } = this.#errors(requests, look);
    const unitEvents = { [counts === "slow" ? "slow" : "custom.counter"]: units.map(([, count]) => count) };
    const plain = units.map(([own]) => [own, binomial(this.#random, own, usualErrorRate)] as const);
    const errors = plain.reduce((sum, [, count]) => sum + count, 0);
    const common = { requests, errors, units: plain, unitEvents };
    if (counts === "counter")
      return { ...common, custom: { counter: events }, latency: this.#latency(requests, this.#chances) };
    const fast = this.#latency(requests - events, bucketChances(p50Ms, p99Ms, 0, slowMs));
    const slow = this.#latency(events, bucketChances(p50Ms, p99Ms, slowMs));
    return { ...common, slow: events, latency: fast.map((count, bucket) => count + slow[bucket]!) };
  }

  #errors(requests: number, look: number): Pick<Counts, "errors" | "units" | "servers"> {
    const { errorRate, drift, bursts, route } = this.#scenario;
    const units = this.#bad.length;
    const rate = errorRate * this.#times * (drift?.(look) ?? 1);
    if (units === 0) return { errors: binomial(this.#random, requests, Math.min(1, rate)) };
    let left = requests;
    const counted = Array.from({ length: units }, (_, unit) => {
      const own = binomial(this.#random, left, 1 / (units - unit));
      left -= own;
      const isBad = bursts !== undefined && this.#isBad(unit, bursts);
      const usual = Math.min(1, rate * this.#uneven[unit]!);
      return [own, binomial(this.#random, own, isBad ? bursts.rate : usual)] as const;
    });
    const errors = counted.reduce((sum, [, errors]) => sum + errors, 0);
    if (!route) return { errors, units: counted };
    return route.callers === undefined
      ? { errors, units: this.#spread(requests, errors, UNIT_GROUPS), servers: counted }
      : { errors, units: grouped(counted), servers: this.#spread(requests, errors, BACKENDS) };
  }

  /** Over so many that have nothing to do with it. */
  #spread(requests: number, errors: number, groups: number): GroupCounts[] {
    let [wellLeft, errorsLeft] = [requests - errors, errors];
    return Array.from({ length: groups }, (_, group) => {
      const well = binomial(this.#random, wellLeft, 1 / (groups - group));
      const bad = binomial(this.#random, errorsLeft, 1 / (groups - group));
      wellLeft -= well;
      errorsLeft -= bad;
      return [well + bad, bad] as const;
    });
  }

  #isBad(unit: number, { chance, looks }: Bursts): boolean {
    if (this.#bad[unit]! > 0) this.#bad[unit]!--;
    else if (this.#random.number() < chance) this.#bad[unit] = looks;
    return this.#bad[unit]! > 0;
  }
}

/** As the gateway keeps them. */
function grouped(callers: readonly GroupCounts[]): GroupCounts[] {
  const groups: [number, number][] = Array.from({ length: UNIT_GROUPS }, () => [0, 0]);
  for (const [index, [requests, errors]] of callers.entries()) {
    const group = groups[groupOf(mix(index))]!;
    group[0] += requests;
    group[1] += errors;
  }
  return groups;
}

/** Of groups, those of the same hash are one; instances and backends are each their own. */
function sum(a: Counts, b: Counts, { route }: Scenario): Counts {
  const all = (of: "units" | "servers") => [...(a[of] ?? []), ...(b[of] ?? [])];
  const merged = a.units?.map(([requests, errors], at): GroupCounts => {
    const [more = 0, worse = 0] = b.units?.[at] ?? [];
    return [requests + more, errors + worse];
  });
  return {
    requests: a.requests + b.requests,
    errors: a.errors + b.errors,
    latency: a.latency!.map((count, bucket) => count + b.latency![bucket]!),
    ...(a.units && { units: route ? merged! : all("units") }),
    ...(a.servers && { servers: all("servers") }),
    ...(a.slow !== undefined && { slow: a.slow + b.slow! }),
    ...(a.custom && { custom: { counter: a.custom.counter! + b.custom!.counter! } }),
    ...(a.unitEvents && {
      unitEvents: Object.fromEntries(
        Object.entries(a.unitEvents).map(([metric, counts]) => [
          metric,
          [...counts, ...b.unitEvents![metric]!],
        ]),
      ),
    }),
  };
}

export function* stream(random: Random, scenario: Scenario): Generator<Observed> {
  const same = { errors: 1, p99: 1 };
  const part = scenario.share(0);
  const worse = { errors: scenario.timesErrors, p99: scenario.timesP99 };
  const canary = new Cohort(random, scenario, worse, part);
  const baseline = new Cohort(random, scenario, same, part);
  const rest = new Cohort(random, scenario, same, 1 - 2 * part);
  for (let look = 0; look < scenario.looks; look++) {
    const share = scenario.share(look);
    const requests = scenario.requests * (scenario.traffic?.(look) ?? 1);
    const like = baseline.draw(requests * Math.min(share, 1 - share), look);
    const others = rest.draw(requests * Math.max(0, 1 - 2 * share), look);
    yield {
      at: (look + 1) * lookMs,
      canary: canary.draw(requests * share, look),
      control: sum(like, others, scenario),
      baseline: like,
      latencyBoundsMs: boundsMs,
    };
  }
}
