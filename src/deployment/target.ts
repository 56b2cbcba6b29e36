/**
 * What a system implements so that the engine can deploy its things: routes, configurations, plugins. The engine knows
 * nothing else of them. Desired state is an assignment with a generation; applying it is idempotent, and a target
 * refuses a generation below the highest that it has seen, so an engine that was frozen changes nothing when it wakes.
 */

import type { Actor } from "../platform/http/change.ts";
import type { AnyTx } from "../stores/sql/port.ts";

export const kinds = ["route", "config", "plugin"] as const;
export type Kind = (typeof kinds)[number];

/** One thing that can be deployed to, such as the configuration `checkout` of a tenant. */
export interface TargetRef {
  readonly tenant: string;
  readonly kind: Kind;
  /** Unique within tenant and kind: the name of a configuration, the id of a route. */
  readonly name: string;
}

/** An immutable, content-addressed version of the thing. */
export interface Version {
  /** As people know it: `7`. */
  readonly id: string;
  /** SHA-256 of its canonical text, hexadecimal. */
  readonly hash: string;
}

/** Who has which version: units below `bound` have `to`, the others `from` (core/cohort.ts). */
export interface Assignment {
  readonly seed: string;
  /** From 0 (nobody) to SPAN (everybody). */
  readonly bound: number;
  /** Undefined when there was none before: units that are not exposed have nothing. */
  readonly from: Version | undefined;
  readonly to: Version;
  /** Grows with every change of what this target should be, over all its deployments. */
  readonly generation: number;
  readonly deployment: string;
  /** W3C, of the step that this belongs to, or of the way back; undefined when nobody traces the deployment. */
  readonly traceparent?: string | undefined;
}

/** What a request to deploy comes to, checked and with its version made. */
export interface Resolved {
  readonly ref: TargetRef;
  /** As people know it, where the reference has an id. */
  readonly targetName?: string;
  readonly from: Version | undefined;
  readonly to: Version;
  /** For freezes, approvals and restricted tokens; undefined is none. */
  readonly environment: string | undefined;
  /** Instances can be counted; callers cannot. */
  readonly inventory: "counted" | "shares";
  /** Percent; the defaults of a canary of this kind. */
  readonly phases: readonly number[];
  /** Whether somebody else must approve before it starts. */
  readonly needsApproval: boolean;
  /** For people, and true however long it waits: "configuration checkout, version 7". */
  readonly summary: string;
  /** What was asked to change, where the version is that change of what is there. JSON; made anew at the start. */
  readonly change?: object;
}

export type Started = Pick<Resolved, "to" | "summary">;

/** Counts of one cohort within one interval. Whole numbers ≥ 0; errors and slow are among requests. */
export interface Counts {
  readonly requests: number;
  readonly errors: number;
  /** Requests that were slower than the unit's own bound, when it counts them itself. */
  readonly slow?: number;
  /** How many requests took at most `latencyBoundsMs[i]` and more than the one before; the last is everything above. */
  readonly latency?: readonly number[];
  /** Events by name, among requests as errors are. */
  readonly custom?: Readonly<Record<string, number>>;
  /**
   * Requests and errors of each unit, or of units that a hash puts together, in the same order in every sample; at most
   * `UNIT_GROUPS`. A judge that knows them does not take one bad unit for a bad version.
   */
  readonly units?: readonly GroupCounts[];
  /** The same by what answered, where units are those who ask: one bad server is no bad version either. */
  readonly servers?: readonly GroupCounts[];
  /** What else is counted by unit, and by server, each in the order above. */
  readonly unitEvents?: GroupEvents;
  readonly serverEvents?: GroupEvents;
}

export type GroupCounts = readonly [requests: number, errors: number];

/** By metric (`slow`, `custom.NAME`): events of each group, among its requests. */
export type GroupEvents = Readonly<Record<string, readonly number[]>>;

/** Both cohorts in the same interval. */
export interface Sample {
  /** Milliseconds since 1970 at its end. */
  readonly at: number;
  readonly canary: Counts;
  readonly control: Counts;
  /** Upper bounds of `latency`, ascending; one fewer than its entries. */
  readonly latencyBoundsMs?: readonly number[];
}

/** A unit that did not take the version. */
export interface UnitFailure {
  readonly unit: string;
  readonly reason: string;
}

/** When an exposed unit said that it runs the version; milliseconds since 1970. */
export interface UnitTaken {
  readonly unit: string;
  readonly at: number;
}

/** Of so many units at most a look says when they took the version: what a trace can show. */
export const UNITS_TRACED = 32;

export interface Observation {
  /** The highest generation that the target has taken up. */
  readonly generation: number;
  /** Units that there are; 0 when they cannot be counted. */
  readonly units: number;
  /** Of these, how many should have `to`. */
  readonly exposed: number;
  /** Of the exposed, how many say that they run it. */
  readonly applied: number;
  /** Of the others, how many say that they run `from` (or nothing, when there was none). */
  readonly restored: number;
  /** Exposed units that refused it, or ended just after they took it. All of them are counted, some are named. */
  readonly failed: number;
  readonly failures: readonly UnitFailure[];
  /** Of the failed, how many ended just after they took it; 0 where that cannot be told. */
  readonly crashed?: number;
  /**
   * Of the exposed that have not failed, how many were not heard of since they were told of the version, or since
   * they said that they run it: they may have ended by it. Each becomes one of the failed, or is heard of, in time.
   */
  readonly unproven?: number;
  /** The last of the exposed that took it, where that is known; at most `UNITS_TRACED`. */
  readonly taken?: readonly UnitTaken[];
  /** Since the last observation with this cursor; empty when nothing is measured. */
  readonly samples: readonly Sample[];
  /** To be handed back with the next call. JSON. */
  readonly cursor: unknown;
}

export interface Smoke {
  /** A path at the new version's backends; default `/`. */
  readonly path: string;
  /** How often each is asked; all must answer below 400. */
  readonly requests: number;
}

export interface Target {
  readonly kind: Kind;
  /**
   * Checks what the body says of the thing itself and makes or finds the version, within the transaction that creates
   * the deployment. Throws errors of the catalogue with pointers into the body.
   */
  resolve(tx: AnyTx, actor: Actor, body: Readonly<Record<string, unknown>>): Promise<Resolved>;
  /**
   * Within the transaction that starts the deployment, when it is known what gives way: the version that it brings out,
   * which is another than was asked for where that was a change of what was there then; and the summary,
   * "configuration checkout, version 6 to 7".
   */
  start(tx: AnyTx, ref: TargetRef, asked: Pick<Resolved, "to" | "change">): Promise<Started>;
  /** Makes the assignment the desired state. Idempotent. Throws `deployment_fenced` for an old generation. */
  apply(ref: TargetRef, assignment: Assignment): Promise<void>;
  /** The bound that exposes `count` units or this share of them, never below `floor`. */
  boundOf(
    ref: TargetRef,
    seed: string,
    wanted: { readonly share: number } | { readonly count: number },
    floor: number,
  ): Promise<number>;
  observe(ref: TargetRef, assignment: Assignment, cursor: unknown): Promise<Observation>;
  /** Requests to the new version that no caller sees. Undefined when the kind has nothing to ask. */
  smoke?(ref: TargetRef, assignment: Assignment, smoke: Smoke): Promise<readonly UnitFailure[]>;
  /**
   * The end: `version` is the only one from now on, and what was kept for the other may go. Idempotent, fenced as
   * `apply` is. The target audits it in the name of the deployment.
   */
  settle(ref: TargetRef, assignment: Assignment, version: "from" | "to"): Promise<void>;
}

/** Adds one to the last that took the version, and leaves out the earliest of too many. */
export function keepTaken(taken: UnitTaken[], one: UnitTaken): void {
  if (taken.length < UNITS_TRACED) return void taken.push(one);
  let earliest = 0;
  for (let index = 1; index < taken.length; index++)
    if (taken[index]!.at < taken[earliest]!.at) earliest = index;
  if (taken[earliest]!.at < one.at) taken[earliest] = one;
}
