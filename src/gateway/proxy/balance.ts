/**
 * Chooses a backend for a request. A balancer belongs to a route's target list; what it remembers is where the turn
 * is. It sees candidates through a narrow interface and asks for usability only of those that it looks at.
 *
 * Rules for every strategy: weight 0 and draining take nothing; unhealthy and ejected ones are passed over while
 * another is usable, and used when none is (panic: a wrong verdict must not make an outage of its own); an open
 * breaker is never passed.
 */
import { hash32, mix } from "../../core/hash.ts";
import type { Strategy } from "./snapshot.route.ts";

export interface Balanced {
  readonly id: string;
  readonly hash: number;
  readonly inFlight: number;
  /** Accepts requests at all: not draining, breaker lets one through. */
  admits(now: number): boolean;
  /** Neither unhealthy nor ejected. */
  isFit(now: number): boolean;
  /** In (0, 1]: less than 1 while it starts slowly. */
  warmth(now: number): number;
}

export interface Weighted<Backend extends Balanced> {
  readonly backend: Backend;
  readonly weight: number;
}

/** What of the request a strategy may look at; asked for only when it does. */
export interface Asker {
  readonly client: string;
  header(name: string): string | undefined;
  cookie(name: string): string | undefined;
}

export class Balancer<Backend extends Balanced> {
  readonly targets: readonly Weighted<Backend>[];
  readonly #strategy: Strategy;
  readonly #isEven: boolean;
  readonly #current: Float64Array;
  readonly #chance: () => number;
  #turn: number;

  constructor(strategy: Strategy, targets: readonly Weighted<Backend>[], chance: () => number) {
    this.targets = targets.filter(({ weight }) => weight > 0);
    this.#strategy = strategy;
    this.#isEven = this.targets.every(({ weight }) => weight === this.targets[0]!.weight);
    this.#current = new Float64Array(this.targets.length);
    this.#chance = chance;
    // Workers, and routes with the same targets, do not all begin with the first.
    this.#turn = Math.floor(chance() * Math.max(1, this.targets.length));
  }

  /** `not`: the backends that this request has been to. One of them is chosen only when there is no other. */
  choose(now: number, asker: Asker, not: readonly Backend[]): Backend | undefined {
    const { targets } = this;
    if (targets.length === 1) return targets[0]!.backend.admits(now) ? targets[0]!.backend : undefined;
    const turn = this.#turn;
    const chosen =
      this.#among(
        (backend) => backend.admits(now) && backend.isFit(now) && !not.includes(backend),
        now,
        asker,
      ) ??
      this.#among((backend) => backend.admits(now) && !not.includes(backend), now, asker) ??
      (not.length > 0 ? this.#among((backend) => backend.admits(now), now, asker) : undefined);
    // A retry takes nobody's turn; otherwise every first attempt would fall to the one that fails.
    if (not.length > 0) this.#turn = turn;
    return chosen;
  }

  #among(usable: (backend: Backend) => boolean, now: number, asker: Asker): Backend | undefined {
    const strategy = this.#strategy;
    switch (strategy.kind) {
      case "least-connections":
        return this.#least(usable, now);
      case "two-choices":
        return this.#twoChoices(usable, now);
      case "ip-hash":
        return this.#highest(usable, hash32(asker.client));
      case "header": {
        const { byValue, otherwise } = strategy;
        const value = asker.header(strategy.header) ?? "";
        const named = Object.hasOwn(byValue, value) ? this.#named(byValue[value], usable) : undefined;
        return named ?? this.#named(otherwise, usable) ?? this.#roundRobin(usable, now);
      }
      case "sticky": {
        const key = asker.cookie(strategy.cookie);
        const known =
          key && this.targets.find(({ backend }) => stickyKey(backend) === key && usable(backend));
        return known ? known.backend : this.#roundRobin(usable, now);
      }
      default:
        return this.#roundRobin(usable, now);
    }
  }

  #named(id: string | undefined, usable: (backend: Backend) => boolean): Backend | undefined {
    return this.targets.find(({ backend }) => backend.id === id && usable(backend))?.backend;
  }

  #roundRobin(usable: (backend: Backend) => boolean, now: number): Backend | undefined {
    const { targets } = this;
    if (!this.#isEven || targets.some(({ backend }) => backend.warmth(now) < 1))
      return this.#smooth(usable, now);
    for (let i = 0; i < targets.length; i++) {
      this.#turn = this.#turn + 1 < targets.length ? this.#turn + 1 : 0;
      const { backend } = targets[this.#turn]!;
      if (usable(backend)) return backend;
    }
    return undefined;
  }

  // Smooth weighted round-robin, as nginx has it: never two in a row where it can be avoided.
  #smooth(usable: (backend: Backend) => boolean, now: number): Backend | undefined {
    let total = 0;
    let best = -1;
    for (let i = 0; i < this.targets.length; i++) {
      const { backend, weight } = this.targets[i]!;
      if (!usable(backend)) continue;
      const share = weight * backend.warmth(now);
      total += share;
      this.#current[i]! += share;
      if (best < 0 || this.#current[i]! > this.#current[best]!) best = i;
    }
    if (best < 0) return undefined;
    this.#current[best]! -= total;
    return this.targets[best]!.backend;
  }

  // Begins at a moving place, so that equals take turns.
  #least(usable: (backend: Backend) => boolean, now: number): Backend | undefined {
    const { targets } = this;
    this.#turn = this.#turn + 1 < targets.length ? this.#turn + 1 : 0;
    let best: Backend | undefined;
    let bestLoad = Number.POSITIVE_INFINITY;
    for (let i = 0; i < targets.length; i++) {
      const { backend, weight } = targets[(this.#turn + i) % targets.length]!;
      if (!usable(backend)) continue;
      const load = loadOf(backend, weight, now);
      if (load < bestLoad) {
        best = backend;
        bestLoad = load;
      }
    }
    return best;
  }

  #twoChoices(usable: (backend: Backend) => boolean, now: number): Backend | undefined {
    const open = this.targets.filter(({ backend }) => usable(backend));
    if (open.length < 2) return open[0]?.backend;
    const first = Math.floor(this.#chance() * open.length);
    const second = (first + 1 + Math.floor(this.#chance() * (open.length - 1))) % open.length;
    const a = open[first]!;
    const b = open[second]!;
    return loadOf(a.backend, a.weight, now) <= loadOf(b.backend, b.weight, now) ? a.backend : b.backend;
  }

  // Weighted rendezvous hashing: when one goes, only its own callers move.
  #highest(usable: (backend: Backend) => boolean, key: number): Backend | undefined {
    let best: Backend | undefined;
    let bestScore = Number.NEGATIVE_INFINITY;
    for (const { backend, weight } of this.targets) {
      if (!usable(backend)) continue;
      const uniform = (mix(key ^ backend.hash) + 0.5) / 0x1_0000_0000;
      const score = -weight / Math.log(uniform);
      if (score > bestScore) {
        best = backend;
        bestScore = score;
      }
    }
    return best;
  }
}

const loadOf = (backend: Balanced, weight: number, now: number) =>
  (backend.inFlight + 1) / (weight * backend.warmth(now));

/** What a sticky cookie says: which backend, not its address. */
export function stickyKey(backend: Balanced): string {
  return mix(backend.hash ^ 0x5bd1e995).toString(36) + backend.hash.toString(36);
}
