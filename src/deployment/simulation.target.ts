/**
 * A target and its units for the simulation. A unit takes up what it should run after a while, or refuses it, ends
 * when it reads it, or says nothing; what it does depends on the version alone, so that an undisturbed history ends
 * the same. Nothing is scheduled: what units are at a moment follows from when their target last changed for them.
 */
import { boundOfCount, boundOfShare, countOfShare, isExposed, positionOf, SPAN } from "../core/cohort.ts";
import { HotSwapError } from "../core/errors.ts";
import { broken } from "./simulation.store.ts";
import type { Assignment, Observation, Sample, Target, TargetRef, UnitFailure, Version } from "./target.ts";

/** What ends its readers: seen soon; or late, after they said that they run it; or late, and they never said a word. */
export const endings = ["crashes", "ends late", "ends silently"] as const;
type Ending = (typeof endings)[number];
const isEnding = (answer: Quality["answer"]): answer is Ending => endings.some((ending) => ending === answer);

/** What becomes of a version. */
export interface Quality {
  readonly answer: "applies" | "refused" | "refused by one" | "silent in one" | Ending;
  /** Errors of a thousand requests; undefined when nothing is measured. */
  readonly errors: number | undefined;
  readonly smoke: "passes" | "fails";
}

interface Unit {
  readonly id: string;
  readonly delayMs: number;
  runs: string | undefined;
  /** What it should run, and since when. */
  wants: string | undefined;
  since: number;
  isAway: boolean;
}

interface Desired {
  readonly assignment: Assignment;
  readonly isActive: boolean;
  readonly since: number;
}

type Answer = "running" | "silent" | "refused" | "crashed";

/** How long after a unit took a version that ends it. */
const CRASH_MS = 300;
/** How long until the silence of one that ended is known as that: longer than a unit has to answer. */
const SILENCE_MS = 7_000;
/** Until a unit that lives is heard of again. */
const HEARD_MS = 400;
const REQUESTS_PER_SECOND = 4_000;
/** Of a thousand; of what is worse than a version without errors. */
const CONTROL_ERRORS = 10;
const BEATEN_ERRORS = 300;

export class SimulatedTarget {
  readonly name: string;
  readonly inventory: "counted" | "shares";
  readonly units = new Map<string, Unit>();
  /** Units that a version ended, by deployment. */
  readonly ended = new Map<string, Set<string>>();
  readonly settlements: { deployment: string; version: "from" | "to" }[] = [];
  /** Most units that were on their way at once, by deployment. */
  readonly onTheirWay = new Map<string, number>();
  desired: Desired | undefined;
  current: string | undefined;
  readonly #now: () => number;
  readonly #qualityOf: (version: string) => Quality;
  readonly #isLying: boolean;

  constructor(
    name: string,
    inventory: "counted" | "shares",
    now: () => number,
    qualityOf: (version: string) => Quality,
    isLying: boolean,
  ) {
    this.name = name;
    this.inventory = inventory;
    this.#now = now;
    this.#qualityOf = qualityOf;
    this.#isLying = isLying;
  }

  join(id: string, delayMs: number): void {
    const known = this.units.get(id);
    if (known) known.isAway = false;
    else {
      const runs = this.current;
      this.units.set(id, { id, delayMs, runs, wants: runs, since: this.#now(), isAway: false });
    }
    this.#turn();
  }

  leave(id: string): void {
    const unit = this.units.get(id);
    if (!unit) return;
    this.#settleUnit(unit);
    unit.isAway = true;
  }

  apply(assignment: Assignment): void {
    const { desired } = this;
    const known = desired?.assignment.generation ?? 0;
    const isSame = desired?.assignment.deployment === assignment.deployment && desired.isActive;
    const isOld = assignment.generation < known || (assignment.generation === known && !isSame);
    if (isOld && !this.#isLying) throw new HotSwapError("deployment_fenced", "It comes too late.");
    if (isOld) broken(`${this.name} took generation ${assignment.generation} after ${known}`);
    if (assignment.generation === known) return;
    if (desired?.isActive && desired.assignment.deployment !== assignment.deployment)
      broken(
        `${this.name}: ${assignment.deployment} begins before ${desired.assignment.deployment} is settled`,
      );
    this.desired = { assignment, isActive: true, since: this.#now() };
    this.#turn();
  }

  settle(assignment: Assignment, version: "from" | "to"): void {
    const { desired } = this;
    const known = desired?.assignment.generation ?? 0;
    if (assignment.generation < known) throw new HotSwapError("deployment_fenced", "It comes too late.");
    const { deployment } = assignment;
    const before = this.settlements.find((settlement) => settlement.deployment === deployment);
    if (before && before.version !== version)
      broken(`${deployment} is settled twice, ${before.version} and ${version}`);
    if (!desired?.isActive && assignment.generation === known) return;
    if (before) broken(`${deployment} is settled again after it was settled`);
    this.settlements.push({ deployment, version });
    this.current = version === "to" ? assignment.to.hash : assignment.from?.hash;
    this.desired = { assignment, isActive: false, since: this.#now() };
    this.#turn();
  }

  boundOf(seed: string, wanted: { share: number } | { count: number }, floor: number): number {
    if (this.inventory === "shares")
      return Math.max(floor, "share" in wanted ? boundOfShare(wanted.share) : boundOfShare(0.01));
    if ("share" in wanted && wanted.share >= 1) return SPAN;
    const ids = this.#present().map(({ id }) => id);
    const count = "count" in wanted ? wanted.count : countOfShare(wanted.share, ids.length);
    return boundOfCount(seed, ids, count, floor);
  }

  smoke(assignment: Assignment): readonly UnitFailure[] {
    return this.#qualityOf(assignment.to.hash).smoke === "passes" ? [] : [{ unit: "green", reason: "503" }];
  }

  observe(assignment: Assignment, cursor: unknown): Observation {
    const { desired } = this;
    const { seed, bound, to, from } = assignment;
    const isIn = desired?.assignment.deployment === assignment.deployment;
    const generation = isIn ? desired.assignment.generation : 0;
    const present = this.inventory === "counted" ? this.#present() : [];
    const exposed = present.filter(({ id }) => isExposed(seed, id, bound));
    const others = present.filter(({ id }) => !isExposed(seed, id, bound));
    const answers = exposed.map((unit) => ({ unit, answer: this.#answer(unit, to.hash) }));
    const failing = answers.filter(({ answer }) => answer === "refused" || answer === "crashed");
    const count = (wanted: Answer) => answers.filter(({ answer }) => answer === wanted).length;
    const sample = isIn ? this.#sample(assignment, cursor) : undefined;
    return {
      ...{ generation, units: present.length, exposed: exposed.length, failed: failing.length },
      ...{ applied: count("running"), crashed: count("crashed") },
      unproven: exposed.filter((unit) => this.#isUnproven(unit, to.hash)).length,
      restored: others.filter((unit) => this.#answer(unit, from?.hash) === "running").length,
      failures: failing.slice(0, 3).map(({ unit, answer }) => ({ unit: unit.id, reason: answer })),
      samples: sample ? [sample] : [],
      cursor: { at: this.#now() },
    };
  }

  /** What each unit runs once everything has come to rest. */
  rest(): Record<string, string | undefined> {
    return Object.fromEntries(this.#present().map(({ id, wants, runs }) => [id, wants ?? runs]));
  }

  #present(): Unit[] {
    return [...this.units.values()].filter(({ isAway }) => !isAway);
  }

  /** What a unit should run has changed, for some. */
  #turn(): void {
    const { desired } = this;
    let waiting = 0;
    for (const unit of this.#present()) {
      let wants = this.current;
      if (desired?.isActive) {
        const { seed, bound, to, from } = desired.assignment;
        wants = isExposed(seed, unit.id, bound) ? to.hash : from?.hash;
        const runs = this.#answer(unit, unit.wants) === "running" ? unit.wants : unit.runs;
        const known: (string | undefined)[] = [to.hash, from?.hash];
        if (!known.includes(runs)) broken(`${unit.id} runs ${runs}, not ${known.join(" or ")}`);
      }
      if (wants !== unit.wants) {
        this.#settleUnit(unit);
        unit.wants = wants;
        unit.since = this.#now();
      }
      if (desired?.isActive && wants === desired.assignment.to.hash && this.#answer(unit, wants) === "silent")
        waiting += 1;
    }
    if (!desired?.isActive) return;
    const { deployment } = desired.assignment;
    this.onTheirWay.set(deployment, Math.max(this.onTheirWay.get(deployment) ?? 0, waiting));
  }

  /** Keeps what it runs before it should run something else. */
  #settleUnit(unit: Unit): void {
    const answer = this.#answer(unit, unit.wants);
    if (answer === "running") unit.runs = unit.wants;
  }

  #answer(unit: Unit, version: string | undefined): Answer {
    if (unit.wants !== version) return unit.runs === version ? "running" : "silent";
    if (unit.runs === version) return "running";
    const elapsed = this.#now() - unit.since;
    if (elapsed < unit.delayMs) return "silent";
    if (version === undefined || version === this.current) return "running";
    const { answer } = this.#qualityOf(version);
    const isOne = positionOf("one", unit.id) < SPAN / 8;
    if (answer === "refused" || (answer === "refused by one" && isOne)) return "refused";
    if (answer === "silent in one" && isOne) return "silent";
    if (!isEnding(answer)) return "running";
    this.#crash(unit);
    if (elapsed >= unit.delayMs + (answer === "crashes" ? CRASH_MS : SILENCE_MS)) return "crashed";
    return answer === "ends silently" ? "silent" : "running";
  }

  /** It was not heard of since it was told, or since it said that it runs the version. */
  #isUnproven(unit: Unit, version: string): boolean {
    const answer = this.#answer(unit, version);
    if (unit.wants !== version || unit.runs === version) return false;
    if (answer === "crashed" || answer === "refused") return false;
    const isLive = !isEnding(this.#qualityOf(version).answer);
    return !isLive || this.#now() - unit.since < unit.delayMs + HEARD_MS;
  }

  #crash(unit: Unit): void {
    const { deployment } = this.desired!.assignment;
    const ended = this.ended.get(deployment) ?? new Set();
    this.ended.set(deployment, ended.add(unit.id));
  }

  #sample({ bound, to }: Assignment, cursor: unknown): Sample | undefined {
    const { errors } = this.#qualityOf(to.hash);
    if (errors === undefined || bound === 0) return undefined;
    const at = this.#now();
    const since = Math.max((cursor as { at: number } | null)?.at ?? 0, this.desired!.since);
    const requests = Math.floor(((at - since) * REQUESTS_PER_SECOND) / 1000);
    if (requests <= 0) return undefined;
    const canary = Math.ceil((requests * bound) / SPAN);
    const countsOf = (count: number, rate: number) => ({
      requests: count,
      errors: Math.round((count * rate) / 1000),
    });
    return {
      at,
      canary: countsOf(canary, errors),
      control: countsOf(requests - canary, errors === 0 ? BEATEN_ERRORS : CONTROL_ERRORS),
    };
  }
}

/** As one node reaches it. */
export function targetOf(
  targets: ReadonlyMap<string, SimulatedTarget>,
  call: <Value>(boundary: string, work: () => Value) => Promise<Value>,
): Target {
  const of = ({ name }: TargetRef) => targets.get(name)!;
  return {
    kind: "config",
    resolve: () => Promise.reject(new Error("nothing is asked for here")),
    start: () => Promise.reject(new Error("nobody reads it here")),
    apply: (ref, assignment) => call("apply", () => of(ref).apply(assignment)),
    boundOf: (ref, seed, wanted, floor) => call("boundOf", () => of(ref).boundOf(seed, wanted, floor)),
    observe: (ref, assignment, cursor) => call("observe", () => of(ref).observe(assignment, cursor)),
    smoke: (ref, assignment) => call("smoke", () => of(ref).smoke(assignment)),
    settle: (ref, assignment, version) => call("settle", () => of(ref).settle(assignment, version)),
  };
}

export const versionOf = (hash: string): Version => ({ id: hash, hash });
