/**
 * A deployment is its events; what it is now is their fold. Events are facts that were decided, so folding them again
 * gives the same state on any node, after any crash. Times are milliseconds of the database's clock.
 *
 *   pending ──started──▶ running ──settling──▶ succeeded
 *      │  ▲                │  ▲ │
 *      ▼  │                ▼  │ └──rollback──▶ rolling_back ──settling──▶ rolled_back
 *      held (reasons) ◀──▶ held ─────────────────▲
 *      └──cancelled
 */
import { SPAN } from "../core/cohort.ts";
import type { Step } from "./plan.ts";
import type { UnitFailure } from "./target.ts";

export const statuses = [
  "pending",
  "running",
  "held",
  "rolling_back",
  "succeeded",
  "rolled_back",
  "cancelled",
  "failed",
] as const;
export type Status = (typeof statuses)[number];

export const holdReasons = [
  "approval", // somebody else must agree
  "schedule", // its time has not come
  "freeze", // a window in which nothing goes forward
  "queue", // another deployment of the same target is under way
  "dependency", // what it requires, or its group, is not there yet
  "manual", // somebody paused it, or it waits for a promotion
  "inconclusive", // the judge could not decide in time
] as const;
export type HoldReason = (typeof holdReasons)[number];

export type Cause = "manual" | "judge" | "failures" | "timeout" | "smoke" | "group" | "superseded";

export interface Hold {
  readonly reason: HoldReason;
  readonly since: number;
  readonly detail?: string;
}

export interface Rollback {
  readonly cause: Cause;
  readonly reason: string;
  /** The subject of who asked for it; undefined when the engine did. */
  readonly by?: string;
}

export type Event =
  | { readonly type: "created" }
  | { readonly type: "held"; readonly reason: HoldReason; readonly detail?: string }
  | { readonly type: "released"; readonly reason: HoldReason; readonly by?: string }
  | { readonly type: "started"; readonly plan: readonly Step[] }
  /** The step with this index begins. */
  | { readonly type: "step"; readonly index: number; readonly why?: string }
  /** The target's desired state changes. */
  | { readonly type: "exposed"; readonly bound: number; readonly generation: number }
  /** The target has taken that up; units have their time from here. */
  | { readonly type: "applied"; readonly generation: number }
  | { readonly type: "smoked"; readonly failures: readonly UnitFailure[] }
  | { readonly type: "promoted"; readonly by: string; readonly reason?: string; readonly full: boolean }
  | ({ readonly type: "rollback" } & Rollback)
  | { readonly type: "settling"; readonly version: "from" | "to" }
  | { readonly type: "ended"; readonly status: Ended; readonly detail?: string };

export type Ended = "succeeded" | "rolled_back" | "cancelled" | "failed";

export interface State {
  readonly status: Status;
  readonly holds: readonly Hold[];
  readonly plan: readonly Step[];
  /** Index into the plan; -1 before it started. */
  readonly step: number;
  /** When the step began, moved on by the time that it was held. */
  readonly stepAt: number;
  readonly bound: number;
  /** Of the assignment that is desired; 0 when there was none yet. */
  readonly generation: number;
  /** When `bound` became what it is. */
  readonly exposedAt: number;
  /** When the target had taken that up; undefined until then. */
  readonly appliedAt: number | undefined;
  /** In which step the exposure was. */
  readonly exposedIn: number;
  /** It is to leave its step, whatever the step waits for. */
  readonly promotion: "next" | "full" | undefined;
  readonly smoked: readonly UnitFailure[] | undefined;
  /** `stepAt` is when the step began that it ended. */
  readonly rollback: (Rollback & { readonly at: number; readonly stepAt: number }) | undefined;
  readonly settling: "from" | "to" | undefined;
  readonly detail: string | undefined;
  readonly startedAt: number | undefined;
  readonly endedAt: number | undefined;
}

export const initial: State = {
  status: "pending",
  holds: [],
  plan: [],
  step: -1,
  stepAt: 0,
  bound: 0,
  generation: 0,
  exposedAt: 0,
  appliedAt: undefined,
  exposedIn: -1,
  promotion: undefined,
  smoked: undefined,
  rollback: undefined,
  settling: undefined,
  detail: undefined,
  startedAt: undefined,
  endedAt: undefined,
};

export const isEnded = ({ status }: Pick<State, "status">): boolean =>
  status === "succeeded" || status === "rolled_back" || status === "cancelled" || status === "failed";

/** From 0 to 1: how much of the target should have the new version. Of counted units it is nearly so. */
export const shareOf = ({ bound }: State): number => bound / SPAN;

/** How long the step has gone on, without the time that it was held. */
export function elapsedOf({ stepAt, holds }: State, now: number): number {
  return Math.max(0, Math.min(now, ...holds.map(({ since }) => since)) - stepAt);
}

/**
 * Pure and total: an event that does not fit changes nothing, as it was decided on another state. `settling` is the
 * point of no return: what comes after it, a rollback too, comes too late.
 */
export function fold(state: State, event: Event, at: number): State {
  if (isEnded(state) || (state.settling && event.type !== "ended")) return state;
  switch (event.type) {
    case "created":
      return { ...state, stepAt: at };
    case "held":
      return hold(state, event, at);
    case "released":
      return release(state, event.reason, at);
    case "started":
      return start(state, event.plan, at);
    case "step":
      return step(state, event.index, at);
    case "exposed":
      return expose(state, event, at);
    case "applied":
      return event.generation === state.generation && state.appliedAt === undefined
        ? { ...state, appliedAt: at }
        : state;
    case "smoked":
      return state.plan[state.step]?.kind === "smoke" ? { ...state, smoked: event.failures } : state;
    case "promoted":
      return promote(state, event.full, at);
    case "rollback": {
      const { cause, reason, by } = event;
      if (state.rollback) return state;
      const rollback = { cause, reason, at, stepAt: state.stepAt, ...(by !== undefined && { by }) };
      return { ...state, status: "rolling_back", rollback, holds: [], stepAt: at };
    }
    case "settling":
      return state.generation > 0 && (event.version === "from") === (state.rollback !== undefined)
        ? { ...state, settling: event.version }
        : state;
    case "ended":
      return end(state, event, at);
  }
}

function start(state: State, plan: readonly Step[], at: number): State {
  if (state.startedAt !== undefined || state.rollback) return state;
  return { ...state, status: "running", plan, step: -1, stepAt: at, startedAt: at, holds: [] };
}

/** Only on: a step that was left does not come again. */
function step(state: State, index: number, at: number): State {
  if (state.rollback || index <= state.step || index >= state.plan.length) return state;
  return { ...state, step: index, stepAt: at, promotion: next(state), smoked: undefined };
}

/** Who is exposed stays so, until it goes back for all. */
function expose(state: State, { bound, generation }: Extract<Event, { type: "exposed" }>, at: number): State {
  const fits = state.rollback ? bound === 0 : bound >= state.bound;
  if (generation <= state.generation || !fits) return state;
  return { ...state, bound, generation, exposedAt: at, appliedAt: undefined, exposedIn: state.step };
}

/** What the target knows of must be settled first. */
function end(state: State, { status, detail }: Extract<Event, { type: "ended" }>, at: number): State {
  const settled = status === "succeeded" ? "to" : status === "rolled_back" ? "from" : undefined;
  const fits = status === "failed" || (settled ? state.settling === settled : state.generation === 0);
  return fits ? { ...state, status, endedAt: at, holds: [], detail } : state;
}

const running = (state: State): Status => (state.startedAt === undefined ? "pending" : "running");

function hold(state: State, { reason, detail }: Extract<Event, { type: "held" }>, at: number): State {
  if (state.rollback || state.holds.some((held) => held.reason === reason)) return state;
  const held: Hold = { reason, since: at, ...(detail !== undefined && { detail }) };
  return { ...state, status: "held", holds: [...state.holds, held] };
}

/** The clock of the step stands still from the first hold to the last release. */
function release(state: State, reason: HoldReason, at: number): State {
  const holds = state.holds.filter((held) => held.reason !== reason);
  if (holds.length === state.holds.length) return state;
  const left = { ...state, holds };
  const stepAt = at - elapsedOf(state, at);
  if (holds.length === 0) return { ...left, stepAt, status: running(state) };
  // It stands still since the oldest of the others, and has stood since the one that is gone.
  const since = Math.min(...holds.map((held) => held.since));
  return { ...left, stepAt: since - elapsedOf(state, at) };
}

/** Ends what a person may decide about: a pause, a gate, an undecided judge. Freezes and the like stay. */
function promote(state: State, full: boolean, at: number): State {
  if (state.rollback) return state;
  const freed = release(release(state, "manual", at), "inconclusive", at);
  return { ...freed, promotion: full ? "full" : "next" };
}

/** A full promotion holds until the end; one to the next step is used up by it. */
const next = ({ promotion }: State) => (promotion === "full" ? "full" : undefined);
