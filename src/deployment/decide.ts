/**
 * The whole brain of the engine: from what a deployment is and what can be seen, what is to be done now. Pure, so that
 * a simulation can run every schedule of crashes (simulation.ts), and level-triggered: it says what should be, however
 * often it is asked, and doing it twice is harmless.
 *
 * What comes back is facts to be written first, then at most one effect. Rollback comes before everything else and
 * waits for nothing: no gate, no freeze, no pause.
 */
import { countOfShare, SPAN } from "../core/cohort.ts";
import type { Step } from "./plan.ts";
import { type Cause, type Event, elapsedOf, fold, type HoldReason, isEnded, type State } from "./state.ts";
import type { Observation, UnitFailure } from "./target.ts";

/** What the judge says of the samples since the exposure began. */
export interface Verdict {
  readonly outcome: "pass" | "fail" | "insufficient" | "inconclusive";
  /** For people. */
  readonly reasons: readonly string[];
  /** Of an A/B test that is decided. */
  readonly winner?: "canary" | "control";
}

export type Undecided = "hold" | "rollback" | "pass";

export interface Rules {
  /** So many of the units that a step is to expose, as a share, may fail. */
  readonly failureBudget: number;
  /** Fewer failed units than this are no failure, whatever the budget. */
  readonly minFailures: number;
  readonly onInsufficient: Undecided;
  readonly onInconclusive: Undecided;
}

/** Facts stored elsewhere that say whether it may go on. A text says why it may not. */
export interface Gates {
  readonly approval: "given" | "open" | "refused";
  readonly schedule: string | undefined;
  readonly freeze: string | undefined;
  /** Another deployment of the target that is under way. */
  readonly queue: string | undefined;
  readonly dependency: { readonly state: "met" | "pending" | "failed"; readonly detail: string };
  /**
   * "end": all others have come to their end, or there are none; the longest of them keeps the old version for warmMs.
   * "settled": one has no way back, and so none has that is at its end. "failed": one rolls back.
   */
  readonly group: {
    readonly state: "end" | "pending" | "settled" | "failed";
    readonly detail: string;
    readonly warmMs?: number;
  };
  /** Members of the group that began later roll back first. */
  readonly mayRollBack: boolean;
}

export interface Facts {
  readonly now: number;
  readonly gates: Gates;
  /** Of the desired assignment, which exposes nobody at first; undefined when the target cannot be reached. */
  readonly observed: Observation | undefined;
  /** Undefined while there is nothing to judge. */
  readonly verdict: Verdict | undefined;
  readonly rules: Rules;
  /** Compiled for the units that there are; used when it starts. Undefined while nobody can count them. */
  readonly plan: readonly Step[] | undefined;
}

export type Effect =
  /** Ask the target for the bound (a share of 0 is a bound of 0), write `exposed`, apply. */
  | { readonly type: "expose"; readonly wanted: { readonly share: number } | { readonly count: number } }
  /** Apply what is desired once more: the target does not have it yet. */
  | { readonly type: "apply" }
  | { readonly type: "smoke" }
  /** Settle, then write `ended`. */
  | { readonly type: "settle"; readonly version: "from" | "to" };

export interface Decision {
  readonly events: readonly Event[];
  readonly effect?: Effect;
  /** Look again no later than then, whatever becomes of the effect; undefined when it has ended. */
  readonly wakeAt?: number;
}

/** How long a rollback waits for units that do not answer. They get the old version when they come back. */
const RESTORE_MS = 30_000;

/** Between looks at what goes on, and at what stands still. */
const LOOK_MS = 250;
const IDLE_MS = 1_000;

export function decide(state: State, facts: Facts): Decision {
  if (isEnded(state)) return { events: [] };
  if (state.settling) return settle(state.settling, facts);
  const { generation, appliedAt } = state;
  if (generation === 0 || appliedAt !== undefined || !isTakenUp(state, facts.observed))
    return next(state, facts);
  const applied: Event = { type: "applied", generation };
  const decision = next(fold(state, applied, facts.now), facts);
  return { ...decision, events: [applied, ...decision.events] };
}

function next(state: State, facts: Facts): Decision {
  if (state.rollback) return rollBack(state, facts);
  if (state.startedAt === undefined) return begin(state, facts);
  const isLast = state.plan[state.step]?.kind === "retire";
  if (isLast && facts.gates.group.state === "settled")
    return settle("to", facts, [{ type: "settling", version: "to" }]);
  return failure(state, facts) ?? proceed(state, facts);
}

const wait = ({ now }: Facts, ms: number, events: readonly Event[] = []): Decision => ({
  events,
  wakeAt: now + ms,
});

const apply = ({ now }: Facts): Decision => ({
  events: [],
  effect: { type: "apply" },
  wakeAt: now + LOOK_MS,
});

const settle = (version: "from" | "to", { now }: Facts, events: readonly Event[] = []): Decision => ({
  events,
  effect: { type: "settle", version },
  wakeAt: now + LOOK_MS,
});

// Before it starts

function begin(state: State, facts: Facts): Decision {
  const { gates, plan } = facts;
  if (gates.approval === "refused") return end("cancelled", "The approval was refused.");
  if (gates.dependency.state === "failed") return end("cancelled", gates.dependency.detail);
  if (gates.group.state === "failed") return end("cancelled", gates.group.detail);
  const closed: [HoldReason, string | undefined][] = [
    ["approval", gates.approval === "open" ? "An approval is needed." : undefined],
    ["schedule", gates.schedule],
    ["freeze", gates.freeze],
    ["queue", gates.queue],
    ["dependency", gates.dependency.state === "pending" ? gates.dependency.detail : undefined],
  ];
  const events = closed.flatMap(([reason, detail]) => holdWhile(state, reason, detail));
  const isClosed = isHeld(state, "manual") || closed.some(([, detail]) => detail !== undefined);
  if (isClosed || !plan) return wait(facts, IDLE_MS, events);
  return wait(facts, 0, [...events, { type: "started", plan }, { type: "step", index: 0 }]);
}

const isHeld = (state: State, reason: HoldReason) => state.holds.some((hold) => hold.reason === reason);

/** Makes the hold be there exactly while there is a detail. */
function holdWhile(state: State, reason: HoldReason, detail: string | undefined): Event[] {
  if (detail !== undefined && !isHeld(state, reason)) return [{ type: "held", reason, detail }];
  return detail === undefined && isHeld(state, reason) ? [{ type: "released", reason }] : [];
}

// Going back

function rollBack(state: State, facts: Facts): Decision {
  const { observed, gates, now } = facts;
  if (state.generation === 0) return end("cancelled", state.rollback!.reason);
  if (!gates.mayRollBack) return wait(facts, LOOK_MS);
  if (state.bound !== 0) return { events: [], effect: { type: "expose", wanted: { share: 0 } }, wakeAt: now };
  if (!isTakenUp(state, observed)) return apply(facts);
  const isRestored = observed.restored >= observed.units || now - (state.appliedAt ?? now) > RESTORE_MS;
  return isRestored ? settle("from", facts, [{ type: "settling", version: "from" }]) : wait(facts, LOOK_MS);
}

function isTakenUp({ generation }: State, observed: Observation | undefined): observed is Observation {
  return observed !== undefined && observed.generation >= generation;
}

/** What takes a deployment back by itself; undefined when nothing does. */
function failure(state: State, facts: Facts): Decision | undefined {
  const { observed, verdict, gates } = facts;
  if (gates.group.state === "failed") return goBack(facts, "group", gates.group.detail);
  const [refusal, ...more] = state.smoked ?? [];
  if (refusal) return goBack(facts, "smoke", named(refusal, more.length));
  const step = state.plan[state.step];
  const isLate = step && "timeoutMs" in step && facts.now - state.exposedAt > step.timeoutMs;
  // Of what is not taken up yet in time, the failures say why.
  const isSeen = observed && (isTakenUp(state, observed) || isLate);
  if (isSeen && hasFailed(state, observed, facts.rules))
    return goBack(facts, "failures", named(observed.failures[0], observed.failed - 1));
  if (verdict?.outcome === "fail") return goBack(facts, "judge", verdict.reasons.join(" "));
  return undefined;
}

function named(failure: UnitFailure | undefined, others: number): string {
  const what = failure ? `${failure.unit}: ${failure.reason}` : "units did not take the version";
  return others > 0 ? `${what} (and ${others} more)` : what;
}

/** A version that ends the one unit that tries it first would end them all: no budget covers that. */
function hasFailed(state: State, observed: Observation, rules: Rules, silent = 0): boolean {
  if (isProbing(state) && (observed.crashed ?? 0) > 0) return true;
  const allowed = Math.max(Math.floor(goalOf(state, observed) * rules.failureBudget), rules.minFailures - 1);
  return observed.failed + silent > allowed;
}

/** One unit tries the version, or has just done so. */
function isProbing({ plan, step }: State): boolean {
  return [plan[step], plan[step - 1]].some((one) => one?.kind === "expose" && one.count !== undefined);
}

/** Whether units may have ended by it, and nobody knows yet. */
const isUnproven = ({ unproven = 0 }: Observation): boolean => unproven > 0;

/** How many units the step is to expose; a probe stands for the step that it opens. */
function goalOf(state: State, { units, exposed }: Observation): number {
  const isForMore = (step: Step) => step.kind === "switch" || (step.kind === "expose" && !step.count);
  const opened = state.plan.slice(state.step).find(isForMore);
  const step = isProbing(state) ? opened : state.plan[state.step];
  if (step?.kind === "switch") return Math.max(exposed, units);
  return step?.kind === "expose" ? Math.max(exposed, countOfShare(step.share, units)) : exposed;
}

function goBack(facts: Facts, cause: Cause, reason: string): Decision {
  return wait(facts, 0, [{ type: "rollback", cause, reason }]);
}

// Going on

function proceed(state: State, facts: Facts): Decision {
  const { observed, gates } = facts;
  const step = state.plan[state.step];
  if (!step) return goBack(facts, "failures", `There is no step ${state.step}.`);
  const isLagging = state.generation > 0 && observed !== undefined && !isTakenUp(state, observed);
  if (isLagging && !(step.kind === "expose" || step.kind === "switch")) return apply(facts);
  if (isHeld(state, "manual") || isHeld(state, "inconclusive")) return wait(facts, IDLE_MS);
  if (isHeld(state, "freeze")) {
    if (gates.freeze !== undefined) return wait(facts, IDLE_MS);
    return wait(facts, 0, [{ type: "released", reason: "freeze" }]);
  }
  if (state.promotion && step.kind !== "expose" && step.kind !== "switch" && step.kind !== "retire")
    return advance(state, facts, "promoted");
  switch (step.kind) {
    case "expose":
      return expose(state, step, facts);
    case "switch":
      return expose(state, { kind: "expose", share: 1, timeoutMs: step.timeoutMs }, facts);
    case "bake":
      return bake(state, step, facts);
    case "gate":
      return wait(facts, IDLE_MS, holdWhile(state, "manual", "Promote it when it may go on."));
    case "smoke":
      return state.smoked
        ? advance(state, facts, "smoke test passed")
        : { events: [], effect: { type: "smoke" }, wakeAt: facts.now + LOOK_MS };
    case "retire":
      return retire(state, step, facts);
  }
}

type StepOf<Kind extends Step["kind"]> = Extract<Step, { kind: Kind }>;

/** Done when all that are exposed run it, or so few do not that the budget allows it. */
function expose(state: State, step: StepOf<"expose">, facts: Facts): Decision {
  const { observed, rules, now } = facts;
  const isFirst = state.exposedIn !== state.step;
  if (isFirst && step.concurrency === undefined) return exposeMore(state, wantedOf(step), facts);
  if (!isTakenUp(state, observed)) return observed ? apply(facts) : wait(facts, LOOK_MS);
  const silent = Math.max(0, observed.exposed - observed.applied - observed.failed);
  // Silent units of earlier steps were waited for, and the budget allowed them.
  const isLate = isFirst || now - (state.appliedAt ?? now) > step.timeoutMs;
  if (isLate && !isFirst && silent > 0 && hasFailed(state, observed, rules, silent)) {
    const seconds = step.timeoutMs / 1000;
    return goBack(facts, "timeout", `${silent} of ${observed.exposed} units did not answer in ${seconds} s.`);
  }
  // One that ended by the version says nothing either: nobody follows it before that is known.
  if (step.count !== undefined && observed.applied < step.count && isUnproven(observed))
    return wait(facts, LOOK_MS);
  const onTheirWay = isLate ? 0 : silent;
  const more = moreOf(state, step, observed, onTheirWay);
  if (more) return exposeMore(state, more, facts);
  if (onTheirWay > 0) return wait(facts, LOOK_MS);
  return advance(state, facts, `${observed.applied} of ${observed.exposed} run it`);
}

type Wanted = Extract<Effect, { type: "expose" }>["wanted"];

const wantedOf = ({ share, count }: StepOf<"expose">): Wanted =>
  count === undefined ? { share } : { count };

/** A freeze holds it before more are exposed. */
function exposeMore(state: State, wanted: Wanted, { now, gates }: Facts): Decision {
  const events = holdWhile(state, "freeze", gates.freeze);
  if (gates.freeze !== undefined) return { events, wakeAt: now + IDLE_MS };
  return { events, effect: { type: "expose", wanted }, wakeAt: now + LOOK_MS };
}

/** Who follows before, or after, all of the last are there; undefined when nobody does. */
function moreOf(state: State, step: StepOf<"expose">, observed: Observation, onTheirWay: number) {
  const { share, count, concurrency } = step;
  const { units, exposed, applied } = observed;
  // A probe that refused the version proved nothing: another one tries.
  if (count !== undefined)
    return onTheirWay === 0 && applied < count && exposed < units ? { count: exposed + 1 } : undefined;
  if (concurrency === undefined) return undefined;
  const goal = countOfShare(share, units);
  const isWhole = state.exposedIn === state.step && (share < 1 || state.bound >= SPAN);
  if (exposed >= goal) return isWhole ? undefined : { share };
  const next = exposed + concurrency - onTheirWay;
  if (next <= exposed) return undefined;
  return next >= goal ? { share } : { count: next };
}

function bake(state: State, { minMs, maxMs, checks }: StepOf<"bake">, facts: Facts): Decision {
  const { now, observed, verdict, rules } = facts;
  const elapsed = elapsedOf(state, now);
  const winner = checks === "winner" ? verdict?.winner : undefined;
  if (winner === "control")
    return goBack(facts, "judge", `The old version is better. ${verdict!.reasons.join(" ")}`);
  if (elapsed < minMs) return wait(facts, Math.min(minMs - elapsed, IDLE_MS));
  // Nobody knows that no unit failed.
  if (!observed) return wait(facts, LOOK_MS);
  const probe = state.plan[state.step - 1];
  if (probe?.kind === "expose" && probe.count !== undefined && observed.units > 0) {
    // Who tried it is gone, or has not run it for so long: that proved nothing, and another one tries.
    if (observed.applied < probe.count) return expose({ ...state, exposedIn: state.step }, probe, facts);
    const run = now - (state.appliedAt ?? now);
    if (run < minMs) return wait(facts, Math.min(minMs - run, IDLE_MS));
    if (minMs > 0 && isUnproven(observed)) return wait(facts, LOOK_MS);
  }
  if (winner === "canary") return advance(state, facts, "the new version won");
  if (checks === "signals") return advance(state, facts, "no unit failed");
  const outcome = verdict?.outcome ?? "insufficient";
  if (checks === "judge" && outcome === "pass") return advance(state, facts, "passed");
  // Where nothing is measured, more time brings no more.
  if (checks === "judge" && !verdict && rules.onInsufficient === "pass")
    return advance(state, facts, "nothing was measured, and the policy is to go on");
  if (elapsed < maxMs) return wait(facts, Math.min(maxMs - elapsed, IDLE_MS));
  const policy = outcome === "insufficient" ? rules.onInsufficient : rules.onInconclusive;
  const why = verdict?.reasons.join(" ") ?? "Nothing was measured.";
  if (policy === "pass") return advance(state, facts, `${outcome}, and the policy is to go on`);
  if (policy === "rollback") return goBack(facts, "judge", `${outcome}: ${why}`);
  return wait(facts, IDLE_MS, holdWhile(state, "inconclusive", why));
}

/** Waits for its group, then keeps the old version for a while; after `settling` there is no way back. */
function retire(state: State, { delayMs }: StepOf<"retire">, facts: Facts): Decision {
  const { now, gates } = facts;
  const events = holdWhile(state, "dependency", gates.group.state === "end" ? undefined : gates.group.detail);
  if (gates.group.state !== "end") return wait(facts, IDLE_MS, events);
  const warmMs = Math.max(state.promotion ? 0 : delayMs, gates.group.warmMs ?? 0);
  const left = warmMs - elapsedOf(state, now);
  if (left > 0) return wait(facts, Math.min(left, IDLE_MS), events);
  return settle("to", facts, [...events, { type: "settling", version: "to" }]);
}

function advance(state: State, facts: Facts, why: string): Decision {
  const index = state.promotion === "full" ? lastExposure(state) : state.step + 1;
  return wait(facts, 0, [{ type: "step", index, why }]);
}

/** A full promotion leaves out what lies between; what is at the last exposure already goes on from there. */
function lastExposure({ plan, step }: State): number {
  const last = plan.findLastIndex(({ kind }) => kind === "expose" || kind === "switch");
  return Math.max(last, step + 1);
}

function end(status: "cancelled" | "failed", detail: string): Decision {
  return { events: [{ type: "ended", status, detail }] };
}
