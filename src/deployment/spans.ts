/**
 * One trace of a deployment, over all nodes that have a part in it: deployment → step → units, apply, judge, and the
 * way back. Its context is stored with the deployment, and the ids of its spans follow from the deployment's, so that
 * whichever node sees the end of a span can send it.
 */
import { createHash } from "node:crypto";
import type { Random } from "../core/random.ts";
import {
  type Attributes,
  activeTrace,
  type FinishedSpan,
  type TraceContext,
  type Traces,
} from "../platform/telemetry/index.ts";
import { type Event, isEnded, type State } from "./state.ts";
import type { DeploymentRow, DeploymentTrace } from "./tables.ts";
import { type Observation, UNITS_TRACED } from "./target.ts";

export type Tracer = Pick<Traces, "enabled" | "span" | "record">;

/** Below the span of the request that asks for it; undefined when nobody traces that. */
export function newTrace(random: Random): DeploymentTrace | undefined {
  const caller = activeTrace();
  if (!caller || (caller.flags & 1) === 0) return undefined;
  const spanId = Buffer.from(random.bytes(8)).toString("hex");
  return { ...caller, spanId, parentSpanId: caller.spanId };
}

/** The span that the deployment is in now: its step, or its way back. */
export function contextOf({ id, trace, state }: DeploymentRow): TraceContext | undefined {
  if (!trace) return undefined;
  const { traceId, flags } = trace;
  return {
    traceId,
    flags,
    spanId: state.startedAt === undefined ? trace.spanId : spanIdOf(id, partOf(state)),
  };
}

const partOf = (state: State) => (state.rollback ? "rollback" : `step ${state.step}`);

function spanIdOf(deployment: string, part: string): string {
  return createHash("sha256").update(`${deployment} ${part}`).digest("hex").slice(0, 16);
}

export interface After {
  readonly state: State;
  /** What was seen of the target when that was decided; undefined when nothing was. */
  readonly observed: Observation | undefined;
  readonly now: number;
}

/** Sends what came to its end with these events. */
export function recordEnds(tracer: Tracer, row: DeploymentRow, events: readonly Event[], after: After): void {
  const { trace, state: before } = row;
  if (!trace || !tracer.enabled) return;
  const isLeft = before.step >= 0 && !before.rollback;
  const spans = [
    ...(isLeft && events.some(({ type }) => type === "step" || type === "rollback" || type === "ended")
      ? [stepSpan(row, trace, after), ...unitSpans(row, trace, after)]
      : []),
    ...(isEnded(after.state) && isLeftByPeople(before) ? [stepSpan(row, trace, after)] : []),
    ...(isEnded(after.state) ? endSpans(row, trace, after) : []),
  ];
  if (spans.length > 0) tracer.record(spans);
}

const attributesOf = ({ id, kind, target, strategy }: DeploymentRow): Attributes => ({
  "hotswap.deployment.id": id,
  "hotswap.deployment.kind": kind,
  "hotswap.deployment.target": target,
  "hotswap.deployment.strategy": strategy,
});

function stepSpan(row: DeploymentRow, trace: DeploymentTrace, { state: after, now }: After): FinishedSpan {
  const { id, state } = row;
  const { step, plan, rollback } = state;
  return {
    ...{ traceId: trace.traceId, spanId: spanIdOf(id, `step ${step}`), parentSpanId: trace.spanId },
    ...{ name: `deployment step ${plan[step]?.kind ?? "none"}`, kind: "internal" },
    ...{ startMs: rollback?.stepAt ?? state.stepAt, endMs: rollback?.at ?? now },
    failed: after.rollback?.cause,
    attributes: { ...attributesOf(row), "hotswap.deployment.step": step },
  };
}

/** What people ended by a rollback they wrote themselves, and no look has seen: the step is sent with the end. */
const isLeftByPeople = ({ step, rollback }: State) => step >= 0 && rollback?.by !== undefined;

/** Of some of the units that took the version in this step, or did not: a trace of ten thousand could not be read. */
function unitSpans(row: DeploymentRow, trace: DeploymentTrace, { observed, now }: After): FinishedSpan[] {
  const { id, state } = row;
  const kind = state.plan[state.step]?.kind;
  if (!observed || (kind !== "expose" && kind !== "switch")) return [];
  const { taken = [], failures } = observed;
  const span = (unit: string, endMs: number, reason?: string): FinishedSpan => ({
    ...{ traceId: trace.traceId, spanId: spanIdOf(id, `${partOf(state)} ${unit}`) },
    ...{ parentSpanId: spanIdOf(id, partOf(state)), name: "deployment unit", kind: "internal" },
    ...{ startMs: state.stepAt, endMs: Math.min(now, endMs), failed: reason && "unit_failed" },
    attributes: {
      ...{ ...attributesOf(row), "hotswap.deployment.unit": unit },
      ...(reason !== undefined && { "hotswap.deployment.reason": reason }),
    },
  });
  return [
    ...taken.filter(({ at }) => at >= state.stepAt).map(({ unit, at }) => span(unit, at)),
    ...failures.slice(0, UNITS_TRACED).map(({ unit, reason }) => span(unit, now, reason)),
  ];
}

function endSpans(row: DeploymentRow, trace: DeploymentTrace, { state: after, now }: After): FinishedSpan[] {
  const { traceId, spanId, parentSpanId } = trace;
  const { rollback, status } = after;
  const attributes = attributesOf(row);
  const shared = { traceId, endMs: now, kind: "internal" } as const;
  const back: FinishedSpan | undefined = rollback && {
    ...{ ...shared, spanId: spanIdOf(row.id, "rollback"), parentSpanId: spanId },
    ...{ name: "deployment rollback", startMs: rollback.at, failed: undefined },
    attributes: { ...attributes, "hotswap.deployment.cause": rollback.cause },
  };
  const whole: FinishedSpan = {
    ...{ ...shared, spanId, parentSpanId, name: `deploy ${row.kind} ${row.target}` },
    ...{ startMs: row.created_at.getTime(), failed: status === "succeeded" ? undefined : status },
    attributes: { ...attributes, "hotswap.deployment.status": status },
  };
  return back ? [back, whole] : [whole];
}
