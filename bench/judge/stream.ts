/**
 * Streams of samples as a gateway reports them: requests of two versions with errors and a latency histogram with the
 * gateway's own bounds. Every request is independent of the others, but in the scenarios that say otherwise. Seeded:
 * the same seed is the same stream for every judge.
 */
import type { Random } from "../../src/core/random.ts";
import type { Counts, Sample } from "../../src/deployment/target.ts";
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

/** The chance of each bucket, given that the ones before were missed. */
function bucketChances(p50Ms: number, p99Ms: number): number[] {
  const sigma = Math.log(p99Ms / p50Ms) / Z99;
  let before = 0;
  return boundsMs.map((bound) => {
    const below = normalBelow(Math.log(bound / p50Ms) / sigma);
    const chance = before < 1 ? (below - before) / (1 - before) : 1;
    before = below;
    return Math.min(1, Math.max(0, chance));
  });
}

class Cohort {
  readonly #random: Random;
  readonly #scenario: Scenario;
  readonly #chances: readonly number[];
  readonly #times: number;
  /** Looks for which each unit is still bad. */
  readonly #bad: number[];
  /** Times the error rate, of each unit. */
  readonly #uneven: readonly number[];

  constructor(random: Random, scenario: Scenario, times: { errors: number; p99: number }) {
    this.#random = random;
    this.#scenario = scenario;
    this.#chances = bucketChances(scenario.p50Ms, scenario.p99Ms * times.p99);
    this.#times = times.errors;
    const { units = 0, uneven } = scenario;
    this.#bad = new Array(units).fill(0);
    const timesOf = () => (uneven && random.number() < uneven.chance ? uneven.timesErrors : 1);
    this.#uneven = Array.from({ length: units }, timesOf);
  }

  draw(mean: number, look: number): Counts {
    const requests = poisson(this.#random, mean);
    let left = requests;
    const latency = this.#chances.map((chance) => {
      const count = binomial(this.#random, left, chance);
      left -= count;
      return count;
    });
    return { requests, ...this.#errors(requests, look), latency: [...latency, left] };
  }

  #errors(requests: number, look: number): Pick<Counts, "errors" | "units"> {
    const { errorRate, drift, units, bursts } = this.#scenario;
    const rate = errorRate * this.#times * (drift?.(look) ?? 1);
    if (units === undefined) return { errors: binomial(this.#random, requests, Math.min(1, rate)) };
    let left = requests;
    const counted = Array.from({ length: units }, (_, unit) => {
      const own = binomial(this.#random, left, 1 / (units - unit));
      left -= own;
      const isBad = bursts !== undefined && this.#isBad(unit, bursts);
      const usual = Math.min(1, rate * this.#uneven[unit]!);
      return [own, binomial(this.#random, own, isBad ? bursts.rate : usual)] as const;
    });
    return { errors: counted.reduce((sum, [, errors]) => sum + errors, 0), units: counted };
  }

  #isBad(unit: number, { chance, looks }: Bursts): boolean {
    if (this.#bad[unit]! > 0) this.#bad[unit]!--;
    else if (this.#random.number() < chance) this.#bad[unit] = looks;
    return this.#bad[unit]! > 0;
  }
}

const sum = (a: Counts, b: Counts): Counts => ({
  requests: a.requests + b.requests,
  errors: a.errors + b.errors,
  latency: a.latency!.map((count, bucket) => count + b.latency![bucket]!),
  ...(a.units && b.units && { units: [...a.units, ...b.units] }),
});

export function* stream(random: Random, scenario: Scenario): Generator<Observed> {
  const same = { errors: 1, p99: 1 };
  const canary = new Cohort(random, scenario, { errors: scenario.timesErrors, p99: scenario.timesP99 });
  const [baseline, rest] = [new Cohort(random, scenario, same), new Cohort(random, scenario, same)];
  for (let look = 0; look < scenario.looks; look++) {
    const share = scenario.share(look);
    const requests = scenario.requests * (scenario.traffic?.(look) ?? 1);
    const like = baseline.draw(requests * Math.min(share, 1 - share), look);
    const others = rest.draw(requests * Math.max(0, 1 - 2 * share), look);
    yield {
      at: (look + 1) * lookMs,
      canary: canary.draw(requests * share, look),
      control: sum(like, others),
      baseline: like,
      latencyBoundsMs: boundsMs,
    };
  }
}
