/** A deployment over a small model of a target, for properties of the decision: no crashes, one node, exact time. */
import { boundOfCount, boundOfShare, countOfShare, isExposed, SPAN } from "../core/cohort.ts";
import { type Decision, decide, type Facts, type Gates, type Verdict } from "./decide.ts";
import { planOf, type StrategySpec } from "./plan.ts";
import { type Event, fold, initial, isEnded, type State } from "./state.ts";
import type { Observation } from "./target.ts";

export const open: Gates = {
  ...{ approval: "given", schedule: undefined, freeze: undefined, queue: undefined, mayRollBack: true },
  ...{ dependency: { state: "met", detail: "" }, group: { state: "end", detail: "" } },
};
export const rules = {
  failureBudget: 0,
  minFailures: 1,
  onInsufficient: "pass",
  onInconclusive: "hold",
} as const;

export type Behaviour = "applies" | "refuses" | "crashes" | "silent";

export interface ModelOptions {
  readonly spec: StrategySpec;
  readonly units: number;
  readonly behaviour?: (unit: string) => Behaviour;
  readonly verdict?: Verdict;
  readonly rules?: Partial<Facts["rules"]>;
}

/** One deployment, its units and its time. */
export class Model {
  state: State = fold(initial, { type: "created" }, 0);
  now = 0;
  gates: Gates = open;
  verdict: Verdict | undefined;
  isReachable = true;
  readonly events: Event[] = [];
  readonly effects: string[] = [];
  /** Most units that were on their way at once. */
  onTheirWay = 0;
  readonly ended = new Set<string>();
  /** So many of the exposed have not been heard of since. */
  unproven = 0;
  readonly #options: ModelOptions;
  #units: string[];
  readonly #runs = new Set<string>();
  /** Were told to run it. */
  readonly #told = new Set<string>();
  #known = { generation: 0, bound: 0 };
  #generations = 0;

  constructor(options: ModelOptions) {
    this.#options = options;
    this.verdict = options.verdict;
    this.#units = Array.from({ length: options.units }, (_, index) => `unit-${index}`);
  }

  get facts(): Facts {
    const { spec, units, rules: given } = this.#options;
    const plan = planOf(spec, { kind: units > 0 ? "counted" : "shares", units });
    const { now, gates, verdict } = this;
    const observed = this.isReachable ? this.#observe() : undefined;
    return { now, gates, observed, verdict, rules: { ...rules, ...given }, plan };
  }

  get exposed(): string[] {
    return this.#units.filter((unit) => isExposed("seed", unit, this.#known.bound));
  }

  #observe(): Observation {
    const exposed = this.#units.filter((unit) => isExposed("seed", unit, this.state.bound));
    const of = (wanted: Behaviour) => exposed.filter((unit) => this.#behaviour(unit) === wanted);
    const crashed = of("crashes").filter((unit) => this.ended.has(unit)).length;
    const failed = of("refuses").length + crashed;
    return {
      ...{ generation: this.#known.generation, units: this.#units.length, exposed: exposed.length },
      ...{ applied: exposed.filter((unit) => this.#runs.has(unit)).length, failed, crashed },
      restored: this.#units.length - exposed.length,
      ...{ failures: [], samples: [], cursor: null, unproven: this.unproven },
    };
  }

  #behaviour(unit: string): Behaviour {
    return this.#options.behaviour?.(unit) ?? "applies";
  }

  leave(unit: string): void {
    this.#units = this.#units.filter((other) => other !== unit);
  }

  tell(event: Event): void {
    this.state = fold(this.state, event, this.now);
    this.events.push(event);
  }

  /** One look: what is decided is written, then done. */
  look(): Decision {
    const decision = decide(this.state, this.facts);
    for (const event of decision.events) this.tell(event);
    const { effect } = decision;
    if (effect) this.effects.push(effect.type);
    if (effect?.type === "expose") {
      const bound = this.state.rollback ? 0 : this.#boundOf(effect.wanted);
      this.tell({ type: "exposed", bound, generation: ++this.#generations });
      this.#apply();
    }
    if (effect?.type === "apply") this.#apply();
    if (effect?.type === "smoke") this.tell({ type: "smoked", failures: [] });
    if (effect?.type === "settle")
      this.tell({ type: "ended", status: effect.version === "to" ? "succeeded" : "rolled_back" });
    this.now = Math.max(this.now + 1, decision.wakeAt ?? 0);
    return decision;
  }

  #boundOf(wanted: { share: number } | { count: number }): number {
    if (this.#units.length === 0)
      return Math.max(this.state.bound, "share" in wanted ? boundOfShare(wanted.share) : 0);
    if ("share" in wanted && wanted.share >= 1) return SPAN;
    const count = "count" in wanted ? wanted.count : countOfShare(wanted.share, this.#units.length);
    return boundOfCount("seed", this.#units, count, this.state.bound);
  }

  #apply(): void {
    this.#known = this.state;
    const fresh = this.exposed.filter((unit) => !this.#told.has(unit));
    this.onTheirWay = Math.max(
      this.onTheirWay,
      fresh.filter((unit) => this.#behaviour(unit) !== "silent").length,
    );
    for (const unit of fresh) {
      this.#told.add(unit);
      const behaviour = this.#behaviour(unit);
      if (behaviour === "applies" || behaviour === "crashes") this.#runs.add(unit);
      if (behaviour === "crashes") this.ended.add(unit);
    }
    if (this.#known.bound === 0) this.#runs.clear();
  }

  /** Until it ends, or so many looks are over. */
  run(looks = 5_000): this {
    for (let count = 0; count < looks && !isEnded(this.state); count++) this.look();
    return this;
  }

  /** To the first look after which it is so. */
  runTo(isThere: (state: State) => boolean): this {
    for (let count = 0; count < 5_000 && !isThere(this.state) && !isEnded(this.state); count++) this.look();
    return this;
  }
}
