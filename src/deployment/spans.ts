/**
 * One trace of a deployment, over all nodes that have a part in it: deployment → step → apply, observe, judge, and the
 * way back. Its context is stored with the deployment, and the ids of its spans follow from the deployment's, so that
 * whichever node sees the end of a span can send it.
 */
import { createHash } from "node:crypto";
import type { Random } from "../core/random.ts";
import { type Attributes, activeTrace, type TraceContext, type Traces } from "../platform/telemetry/index.ts";
import { type Event, isEnded, type State } from "./state.ts";
import type { DeploymentRow, DeploymentTrace } from "./tables.ts";

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

/** Sends what came to its end with these events. */
export function recordEnds(
  tracer: Tracer,
  row: DeploymentRow,
  events: readonly Event[],
  after: State,
  now: number,
): void {
  const { trace, state: before } = row;
  if (!trace || !tracer.enabled) return;
  const { traceId } = trace;
  const attributes: Attributes = {
    "hotswap.deployment.id": row.id,
    "hotswap.deployment.kind": row.kind,
    "hotswap.deployment.target": row.target,
    "hotswap.deployment.strategy": row.strategy,
  };
  const send = (name: string, part: string, startMs: number, failed?: string, more: Attributes = {}) =>
    tracer.record([
      {
        ...{ traceId, name, startMs, endMs: now, kind: "internal" as const, failed },
        spanId: spanIdOf(row.id, part),
        parentSpanId: trace.spanId,
        attributes: { ...attributes, ...more },
      },
    ]);
  const isLeft = before.step >= 0 && !before.rollback;
  if (isLeft && events.some(({ type }) => type === "step" || type === "rollback" || type === "ended")) {
    const kind = before.plan[before.step]?.kind ?? "none";
    const failed = after.rollback?.cause;
    send(`deployment step ${kind}`, partOf(before), before.stepAt, failed, {
      "hotswap.deployment.step": before.step,
    });
  }
  if (!isEnded(after)) return;
  const { rollback } = after;
  if (rollback) {
    const why = { "hotswap.deployment.cause": rollback.cause };
    send("deployment rollback", "rollback", rollback.at, undefined, why);
  }
  const parentSpanId = trace.parentSpanId;
  const isBad = after.status !== "succeeded";
  tracer.record([
    {
      ...{ traceId, spanId: trace.spanId, parentSpanId, name: `deploy ${row.kind} ${row.target}` },
      ...{ kind: "internal", startMs: row.created_at.getTime(), endMs: now },
      attributes: { ...attributes, "hotswap.deployment.status": after.status },
      failed: isBad ? after.status : undefined,
    },
  ]);
}
