/**
 * What happens in a history of the simulation, as plain data from its seed: deployments, how their versions behave,
 * what people ask for and when, which units come and go, and the faults. Everything but the faults happens at a
 * moment of the deployment, so that the undisturbed history of the same schedule can be told; a `timed` one asks at
 * any time instead, and has no such twin.
 */
import { type Random, seededRandom } from "../core/random.ts";
import { type StrategyName, type StrategySpec, strategies } from "./plan.ts";
import { endings, type Quality } from "./simulation.target.ts";
import type { Fault, FaultKind } from "./simulation.world.ts";

export type Ask =
  | { readonly ask: "pause"; readonly resumeAfterMs: number }
  | { readonly ask: "promote"; readonly full: boolean }
  | { readonly ask: "rollback" }
  | { readonly ask: "supersede" | "queue"; readonly next: Planned }
  | { readonly ask: "freeze"; readonly forMs: number }
  | { readonly ask: "join" | "leave"; readonly unit: string };

export type Asked = Ask & {
  /** When the deployment comes to this step, or so many milliseconds after its creation. */
  readonly at: number;
};

export interface Planned {
  readonly target: string;
  readonly strategy: StrategySpec;
  readonly version: string;
  readonly quality: Quality;
  readonly failureBudget: number;
  readonly onInconclusive: "hold" | "pass" | "rollback";
  readonly onInsufficient: "hold" | "pass" | "rollback";
  readonly asks: readonly Asked[];
}

export interface Schedule {
  readonly isTimed: boolean;
  readonly inventory: "counted" | "shares";
  readonly units: readonly { readonly id: string; readonly delayMs: number }[];
  /** Two form a group. */
  readonly first: readonly Planned[];
  readonly isGroup: boolean;
  readonly nodes: number;
  readonly skewsMs: readonly number[];
  readonly faults: readonly Fault[];
}

export function scheduleOf(seed: number): Schedule {
  return new Maker(seededRandom(seed)).schedule();
}

class Maker {
  readonly #random: Random;
  #isTimed = false;
  #units: { id: string; delayMs: number }[] = [];
  #inventory: "counted" | "shares" = "counted";
  #versions = 1;

  constructor(random: Random) {
    this.#random = random;
  }

  schedule(): Schedule {
    this.#isTimed = this.#chance(3);
    this.#inventory = this.#chance(4) ? "shares" : "counted";
    const count = this.#inventory === "shares" ? 0 : this.#pick(0, 1, 2, 3, 5, 8, 13, 20);
    this.#units = Array.from({ length: count }, (_, i) => ({
      id: `u${i}`,
      delayMs: this.#random.below(800),
    }));
    const isGroup = this.#chance(5);
    const nodes = this.#pick(1, 2, 3);
    return {
      ...{ isTimed: this.#isTimed, inventory: this.#inventory, units: this.#units, isGroup, nodes },
      first: (isGroup ? ["a", "b"] : ["a"]).map((target) => this.#planned(target, !isGroup)),
      skewsMs: Array.from({ length: 16 }, () => this.#random.below(20_000) - 10_000),
      faults: this.#faults(),
    };
  }

  #faults(): Fault[] {
    return Array.from({ length: this.#random.below(6) }, () => {
      const kind = this.#pick<FaultKind>("kill", "kill", "kill", "freeze", "freeze", "outage");
      return {
        ...{ kind, when: this.#pick<Fault["when"]>("before", "after"), ...this.#place() },
        forMs: this.#pick(50, 1_000, 4_000, 9_000, 20_000),
      };
    });
  }

  /** Most calls only look; of those that change something each has its turn. */
  #place(): Pick<Fault, "of" | "call"> {
    const of = this.#pick("any", "boundOf", "expose", "apply", "save", "smoke", "settle", "end");
    return { of, call: this.#random.below(of === "any" ? 150 : of === "save" ? 12 : 4) };
  }

  #planned(target: string, mayFollow: boolean): Planned {
    const strategy = this.#strategy();
    const quality = this.#quality(strategy);
    // Whether there were figures enough is a matter of moments.
    const undecided = () =>
      this.#isTimed || quality.errors === undefined ? this.#pick("pass", "rollback", "hold") : "pass";
    const asks = Array.from({ length: this.#random.below(3) }, () => this.#ask(target, quality, mayFollow));
    return {
      ...{ target, strategy, quality, asks, version: `v${++this.#versions}` },
      failureBudget: this.#pick(0, 0, 0.3),
      ...{ onInconclusive: undecided(), onInsufficient: undecided() },
    };
  }

  #strategy(): StrategySpec {
    const size = this.#pick(1, 2, 3);
    return {
      strategy: this.#pick<StrategyName>(...strategies),
      phases: this.#pick([10, 30, 50, 100], [10, 50, 100], [25, 50, 75, 100], [100]),
      bakeSeconds: this.#pick(0, 3, 3, 6),
      bakeMaxSeconds: 8,
      ackTimeoutSeconds: 5,
      probeSeconds: this.#pick(1, 2),
      ...{ concurrency: this.#pick(1, 2, 5, 1000), batchSize: size, maxUnavailable: this.#pick(size, 1, 4) },
      intervalSeconds: 1,
      smoke: this.#chance(2) ? { path: "/", requests: 1 } : undefined,
      verifySeconds: 1,
      keepWarmSeconds: this.#pick(0, 4),
      split: this.#pick(20, 50),
      isManual: this.#chance(4),
    };
  }

  #quality({ strategy, phases, bakeSeconds }: StrategySpec): Quality {
    const isCounted = this.#inventory === "counted";
    const isWatched = this.#units.length > 2;
    const answer = isCounted
      ? this.#pick<Quality["answer"]>(
          ...(["applies", "applies", "refused", isWatched ? "crashes" : "refused"] as const),
          ...(isWatched ? (["ends late", "ends silently"] as const) : []),
          ...(["refused by one", "silent in one"] as const),
        )
      : "applies";
    // It is found for sure where a part is compared with the rest, for a while.
    const isCompared = strategy === "canary" && phases[0]! <= 50 && bakeSeconds > 0;
    const errors =
      strategy === "ab"
        ? this.#pick(0, 400)
        : this.#pick(undefined, undefined, undefined, undefined, 10, this.#isTimed || isCompared ? 400 : 10);
    return { answer, errors, smoke: this.#chance(6) ? "fails" : "passes" };
  }

  #ask(target: string, quality: Quality, mayFollow: boolean): Asked {
    const at = this.#isTimed ? this.#random.below(30_000) : this.#random.below(6);
    // What is left out of a judged or ending version's time depends on when it is seen.
    const isPlain =
      this.#isTimed || (quality.errors === undefined && !endings.some((ending) => ending === quality.answer));
    const kinds: Ask["ask"][] = ["pause", "rollback", "freeze"];
    if (isPlain) kinds.push("promote", "promote");
    // Of a group, it depends on the other one how far each comes.
    if (mayFollow)
      kinds.push("supersede", "queue", ...(this.#inventory === "counted" ? (["leave"] as const) : []));
    // Whether one that comes late refuses the version before or after the end is a matter of moments too.
    if (mayFollow && this.#inventory === "counted" && (this.#isTimed || quality.answer === "applies"))
      kinds.push("join");
    const ask = this.#pick(...kinds);
    switch (ask) {
      case "pause":
        return { ask, at, resumeAfterMs: 500 + this.#random.below(6_000) };
      case "promote":
        return { ask, at, full: this.#chance(2) };
      case "freeze":
        return { ask, at, forMs: 500 + this.#random.below(6_000) };
      case "supersede":
      case "queue":
        // How far a version comes that ends its units, or is judged, is a matter of moments too.
        return { ask, at: isPlain ? at : 0, next: this.#planned(target, false) };
      case "join":
        return { ask, at, unit: `n${this.#random.below(9)}` };
      case "leave":
        return { ask, at, unit: `u${this.#random.below(9)}` };
      default:
        return { ask, at };
    }
  }

  #chance(oneOf: number): boolean {
    return this.#random.below(oneOf) === 0;
  }

  #pick<Value>(...values: readonly Value[]): Value {
    return values[this.#random.below(values.length)]!;
  }
}
