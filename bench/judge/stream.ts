/**
 * Streams of samples as a gateway reports them: requests of two versions with errors and a latency histogram with the
 * gateway's own bounds. Every request is independent of the others, but in the scenarios that say otherwise. Seeded:
 * the same seed is the same stream for every judge.
 */
import type { Random } from "../../src/core/random.ts";
import type { Counts, Sample } from "../../src/deployment/target.ts";
import { latencyBoundsSeconds } from "../../src/gateway/proxy/snapshot.ts";
import { binomial, normalBelow, poisson } from "./draw.ts";
import type { Scenario } from "./scenarios.ts";

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

  constructor(random: Random, scenario: Scenario, times: { errors: number; p99: number }) {
    this.#random = random;
    this.#scenario = scenario;
    this.#chances = bucketChances(scenario.p50Ms, scenario.p99Ms * times.p99);
    this.#times = times.errors;
    this.#bad = new Array(scenario.bursts?.units ?? 0).fill(0);
  }

  draw(mean: number, look: number): Counts {
    const requests = poisson(this.#random, mean);
    let left = requests;
    const latency = this.#chances.map((chance) => {
      const count = binomial(this.#random, left, chance);
      left -= count;
      return count;
    });
    return { requests, errors: this.#errors(requests, look), latency: [...latency, left] };
  }

  #errors(requests: number, look: number): number {
    const { errorRate, drift, bursts } = this.#scenario;
    const rate = Math.min(1, errorRate * this.#times * (drift?.(look) ?? 1));
    const hit = bursts ? binomial(this.#random, requests, this.#badUnits() / bursts.units) : 0;
    return binomial(this.#random, hit, bursts?.rate ?? 0) + binomial(this.#random, requests - hit, rate);
  }

  #badUnits(): number {
    const { chance, looks } = this.#scenario.bursts!;
    let count = 0;
    for (let unit = 0; unit < this.#bad.length; unit++) {
      if (this.#bad[unit]! > 0) this.#bad[unit]!--;
      else if (this.#random.number() < chance) this.#bad[unit] = looks;
      if (this.#bad[unit]! > 0) count++;
    }
    return count;
  }
}

const sum = (a: Counts, b: Counts): Counts => ({
  requests: a.requests + b.requests,
  errors: a.errors + b.errors,
  latency: a.latency!.map((count, bucket) => count + b.latency![bucket]!),
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
