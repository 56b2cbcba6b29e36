/**
 * The whole brain of the engine: from what a deployment is and what can be seen, what is to be done now. Pure, so that
 * a simulation can run every schedule of crashes (simulation.ts), and level-triggered: it says what should be, however
 * often it is asked, and doing it twice is harmless.
 *
 * What comes back is facts to be written first, then at most one effect. Rollback comes before everything else and waits
 * for nothing: no gate, no freeze, no pause.
 */
import { SPAN } from "../core/cohort.ts";
import type { Step } from "./plan.ts";
import { type Cause, type Event, type HoldReason, isEnded, type State } from "./state.ts";
import type { Observation } from "./target.ts";

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
  /** So many of the exposed units, as a share, may fail. */
  readonly failureBudget: number;
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
  /** "end": all others have come to their end, or there are none. "failed": one rolls back. */
  readonly group: { readonly state: "end" | "pending" | "failed"; readonly detail: string };
  /** Members of the group that began later roll back first. */
  readonly mayRollBack: boolean;
}

export interface Facts {
  readonly now: number;
  readonly gates: Gates;
  /** Of the desired assignment, which exposes nobody at first; undefined when the target cannot be reached. */
  readonly observed: Observation | undefined;
  /** Undefined when nothing was judged yet. */
  readonly verdict: Verdict | undefined;
  readonly rules: Rules;
  /** Compiled for the units that there are; used when it starts. */
  readonly plan: readonly Step[];
}

export type Effect =
  /** Ask the target for the bound, write `exposed`, apply. */
  | { readonly type: "expose"; readonly wanted: { readonly share: number } | { readonly count: number } }
  /** Apply what is desired once more: the target does not have it yet. */
  | { readonly type: "apply" }
  | { readonly type: "smoke" }
  /** Settle, then write `ended`. */
  | { readonly type: "settle"; readonly version: "from" | "to" };

export interface Decision {
  readonly events: readonly Event[];
  readonly effect?: Effect;
  /** Look again no later than then; undefined: when something happens. */
  readonly wakeAt?: number;
}

/** How long a rollback waits for units that do not answer. They get the old version when they come back. */
const RESTORE_MS = 30_000;

const NOTHING: Decision = { events: [] };

export function decide(state: State, facts: Facts): Decision {
  if (isEnded(state)) return NOTHING;
  if (state.rollback) return rollBack(state, facts);
  if (state.startedAt === undefined) return begin(state, facts);
  return failure(state, facts) ?? proceed(state, facts);
}

// Before it starts

function begin(state: State, { gates, now, plan }: Facts): Decision {
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
  const isPaused = state.holds.some(({ reason }) => reason === "manual");
  if (isPaused || closed.some(([, detail]) => detail !== undefined)) return { events, wakeAt: now + 1_000 };
  return { events: [...events, { type: "started", plan }, { type: "step", index: 0 }], wakeAt: now };
}

/** Makes the hold be there exactly while there is a detail. */
function holdWhile(state: State, reason: HoldReason, detail: string | undefined): Event[] {
  const isHeld = state.holds.some((hold) => hold.reason === reason);
  if (detail !== undefined && !isHeld) return [{ type: "held", reason, detail }];
  return detail === undefined && isHeld ? [{ type: "released", reason }] : [];
}

// Going back

function rollBack(state: State, { observed, gates, now }: Facts): Decision {
  if (state.generation === 0) return end("cancelled", state.rollback!.reason);
  if (!gates.mayRollBack) return { events: [], wakeAt: now + 250 };
  if (state.bound !== 0) return { events: [], effect: { type: "expose", wanted: { share: 0 } }, wakeAt: now };
  if (state.settling) return { events: [], effect: { type: "settle", version: "from" } };
  if (!observed || observed.generation < state.generation) {
    return { events: [], effect: { type: "apply" }, wakeAt: now + 250 };
  }
  const isRestored = observed.restored >= observed.units || now - state.exposedAt > RESTORE_MS;
  if (!isRestored) return { events: [], wakeAt: now + 250 };
  return { events: [{ type: "settling", version: "from" }], effect: { type: "settle", version: "from" } };
}

/** What takes a deployment back by itself; undefined when nothing does. */
function failure(state: State, { observed, verdict, gates, rules }: Facts): Decision | undefined {
  if (gates.group.state === "failed") return goBack("group", gates.group.detail);
  const { smoked } = state;
  if (smoked && smoked.length > 0)
    return goBack("smoke", `${smoked[0]!.unit}: ${smoked[0]!.reason}${others(smoked.length - 1)}`);
  const isSeen = observed !== undefined && observed.generation >= state.generation;
  if (isSeen && observed.failed > budgetOf(observed, rules)) {
    const [first] = observed.failures;
    const what = first ? `${first.unit}: ${first.reason}` : "units did not take the version";
    return goBack("failures", what + others(observed.failed - 1));
  }
  if (verdict?.outcome === "fail") return goBack("judge", verdict.reasons.join(" "));
  return undefined;
}

const others = (count: number) => (count > 0 ? ` (and ${count} more)` : "");

const budgetOf = ({ units }: Observation, { failureBudget }: Rules) => Math.floor(units * failureBudget);

function goBack(cause: Cause, reason: string): Decision {
  return { events: [{ type: "rollback", cause, reason }], wakeAt: 0 };
}

// Going on

function proceed(state: State, facts: Facts): Decision {
  const step = state.plan[state.step];
  if (!step) return end("failed", `There is no step ${state.step}.`);
  const isPaused = state.holds.some(({ reason }) => reason === "manual" || reason === "inconclusive");
  if (isPaused) return { events: [], wakeAt: facts.now + 1_000 };
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
      return { events: holdWhile(state, "manual", "Promote it when it may go on.") };
    case "smoke":
      return state.smoked
        ? advance(state, facts, "smoke test passed")
        : { events: [], effect: { type: "smoke" } };
    case "retire":
      return retire(state, step, facts);
  }
}

type StepOf<Kind extends Step["kind"]> = Extract<Step, { kind: Kind }>;

/** Done when all that are exposed run it, or so few do not that the budget allows it. */
function expose(state: State, step: StepOf<"expose">, facts: Facts): Decision {
  const { observed, rules, now } = facts;
  const seen = observed && observed.generation >= state.generation ? observed : undefined;
  if (state.exposedIn !== state.step) return { events: [], effect: exposure(step, seen), wakeAt: now };
  if (!seen) return { events: [], effect: { type: "apply" }, wakeAt: now + 100 };
  const silent = Math.max(0, seen.exposed - seen.applied - seen.failed);
  const isWhole = step.count !== undefined || state.bound >= Math.round(step.share * SPAN);
  if (silent > 0 && now - state.exposedAt > step.timeoutMs) {
    const allowed = budgetOf(seen, rules);
    if (seen.failed + silent > allowed) {
      return goBack(
        "timeout",
        `${silent} of ${seen.exposed} units did not answer in ${step.timeoutMs / 1000} s.`,
      );
    }
  } else if (silent > 0 && !mayGoOn(step, silent, isWhole, seen)) return { events: [], wakeAt: now + 250 };
  const target = Math.ceil(step.share * seen.units);
  if (step.concurrency !== undefined && seen.units > 0 && seen.exposed < target) {
    const count = Math.min(target, seen.exposed - silent + step.concurrency);
    return {
      events: [],
      effect: { type: "expose", wanted: count >= target ? { share: step.share } : { count } },
    };
  }
  return silent > 0 && now - state.exposedAt <= step.timeoutMs
    ? { events: [], wakeAt: now + 250 }
    : advance(state, facts, `${seen.applied} of ${seen.exposed} run it`);
}

/** With a limit of how many are on their way, the next ones follow before all of the last are there. */
function mayGoOn(
  { concurrency, share }: StepOf<"expose">,
  silent: number,
  isWhole: boolean,
  seen: Observation,
) {
  return concurrency !== undefined && !isWhole && silent < concurrency && seen.exposed < share * seen.units;
}

function exposure(step: StepOf<"expose">, seen: Observation | undefined): Effect {
  if (step.count !== undefined) return { type: "expose", wanted: { count: step.count } };
  const { concurrency } = step;
  const isLimited = concurrency !== undefined && seen !== undefined && seen.units > 0;
  const already = isLimited ? seen.exposed : 0;
  const isAll = !isLimited || already + concurrency >= Math.ceil(step.share * seen.units);
  return { type: "expose", wanted: isAll ? { share: step.share } : { count: already + concurrency } };
}

function bake(state: State, { minMs, maxMs, checks }: StepOf<"bake">, facts: Facts): Decision {
  const { now, verdict, rules } = facts;
  const elapsed = now - state.stepAt;
  if (checks === "winner" && verdict?.winner === "control")
    return goBack("judge", `The old version is better. ${verdict.reasons.join(" ")}`);
  if (checks === "winner" && verdict?.winner === "canary")
    return advance(state, facts, "the new version won");
  if (elapsed < minMs) return { events: [], wakeAt: Math.min(state.stepAt + minMs, now + 1_000) };
  if (checks === "signals") return advance(state, facts, "no unit failed");
  const outcome = verdict?.outcome ?? "insufficient";
  if (checks === "judge" && outcome === "pass") return advance(state, facts, "passed");
  if (elapsed < maxMs) return { events: [], wakeAt: now + 1_000 };
  const policy = outcome === "insufficient" ? rules.onInsufficient : rules.onInconclusive;
  const why = verdict?.reasons.join(" ") ?? "Nothing was measured.";
  if (policy === "pass") return advance(state, facts, `${outcome}, and the policy is to go on`);
  if (policy === "rollback") return goBack("judge", `${outcome}: ${why}`);
  return { events: holdWhile(state, "inconclusive", why) };
}

function retire(state: State, { delayMs }: StepOf<"retire">, { now, gates }: Facts): Decision {
  if (state.settling) return { events: [], effect: { type: "settle", version: "to" } };
  const events = holdWhile(state, "dependency", gates.group.state === "end" ? undefined : gates.group.detail);
  if (gates.group.state !== "end") return { events, wakeAt: now + 1_000 };
  if (now - state.stepAt < delayMs && !state.promotion)
    return { events, wakeAt: Math.min(state.stepAt + delayMs, now + 1_000) };
  return {
    events: [...events, { type: "settling", version: "to" }],
    effect: { type: "settle", version: "to" },
  };
}

/** On to the next step. A freeze holds it where that would expose more. */
function advance(state: State, { now, gates }: Facts, why: string): Decision {
  const index = state.promotion === "full" ? lastExposure(state) : state.step + 1;
  const step = state.plan[index];
  const exposes = step?.kind === "expose" || step?.kind === "switch";
  const freeze = exposes ? gates.freeze : undefined;
  const events = holdWhile(state, "freeze", freeze);
  if (freeze !== undefined) return { events, wakeAt: now + 1_000 };
  return { events: [...events, { type: "step", index, why }], wakeAt: now };
}

/** A full promotion leaves out what lies between; what is at the last exposure already goes on from there. */
function lastExposure({ plan, step }: State): number {
  const last = plan.findLastIndex(({ kind }) => kind === "expose" || kind === "switch");
  return Math.max(last, step + 1);
}

function end(status: "cancelled" | "failed", detail: string): Decision {
  return { events: [{ type: "ended", status, detail }] };
}
