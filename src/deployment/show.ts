/** Deployments as the API shows them. */
import { Type } from "typebox";
import { planFor } from "./deployments.ts";
import { shareOf, statuses } from "./state.ts";
import type { DeploymentRow, EventRow, FreezeRow, HealthRow } from "./tables.ts";
import { hintOf } from "./traffic.ts";

const orNull = <Schema extends Parameters<typeof Type.Union>[0][number]>(schema: Schema) =>
  Type.Union([schema, Type.Null()]);
const time = Type.String({ format: "date-time" });
const text = Type.String();
const version = Type.Object({ id: text, hash: text });
const open = Type.Object({}, { additionalProperties: true });

const verdict = Type.Object(
  {
    at: time,
    step: Type.Integer(),
    outcome: Type.Enum(["pass", "fail", "insufficient", "inconclusive"]),
    reasons: Type.Array(text),
    winner: Type.Optional(text),
    comparison: Type.Optional(text),
    evidence: Type.Optional(Type.Array(open)),
  },
  { title: "DeploymentVerdict" },
);

const progress = Type.Object(
  {
    at: time,
    units: Type.Integer({ description: "0 when they cannot be counted." }),
    exposed: Type.Integer(),
    applied: Type.Integer(),
    restored: Type.Integer(),
    failed: Type.Integer(),
    crashed: Type.Optional(
      Type.Integer({ description: "Of the failed, how many ended just after they took it." }),
    ),
    failures: Type.Array(Type.Object({ unit: text, reason: text })),
  },
  { title: "DeploymentProgress" },
);

const summary = {
  id: Type.String({ format: "uuid" }),
  kind: text,
  target: text,
  targetName: Type.String({ description: "As people know it: of a route, the name that it had." }),
  environment: orNull(text),
  strategy: text,
  summary: text,
  note: orNull(text),
  status: Type.Enum([...statuses]),
  phase: Type.Integer({ description: "Exposures that it has come to; 0 before the first." }),
  phases: Type.Integer({ description: "Exposures that there are." }),
  share: Type.Number({ description: "Percent of units that should have the new version." }),
  holdReasons: Type.Array(text),
  version,
  from: orNull(version),
  group: orNull(text),
  createdBy: text,
  createdAt: time,
  startedAt: orNull(time),
  endedAt: orNull(time),
};

export const deploymentSummary = Type.Object(summary, { title: "DeploymentSummary" });
export const deployment = Type.Object(
  {
    ...summary,
    holds: Type.Array(Type.Object({ reason: text, since: time, detail: orNull(text) })),
    step: orNull(Type.Object({ index: Type.Integer(), kind: text, since: time })),
    verdicts: Type.Array(verdict),
    progress: orNull(progress),
    plan: Type.Array(open, { description: "Compiled for the units that there are when it starts." }),
    rollback: orNull(Type.Object({ cause: text, reason: text, by: orNull(text), at: time })),
    detail: orNull(text),
    hint: orNull(Type.String({ description: "Whether there is too little traffic to judge by." })),
    trouble: orNull(Type.Object({ since: time, attempts: Type.Integer(), message: text })),
    approvalId: orNull(text),
    requires: Type.Array(open),
    startAt: orNull(time),
    seed: text,
    failureBudget: Type.Number(),
    analysis: open,
    generation: Type.Integer(),
  },
  { title: "Deployment" },
);

const iso = (ms: number) => new Date(ms).toISOString();
const isoOrNull = (date: Date | null) => date?.toISOString() ?? null;

export function toSummary(row: DeploymentRow) {
  const { state, spec } = row;
  const isExposure = ({ kind }: { kind: string }) => kind === "expose" || kind === "switch";
  const plan = planFor(row, row.progress?.units ?? 0);
  return {
    ...{
      id: row.id,
      kind: row.kind,
      target: row.target,
      targetName: spec.targetName ?? row.target,
      environment: row.environment,
      strategy: row.strategy,
    },
    ...{ summary: spec.summary, note: spec.note ?? null, status: row.status },
    phase: plan.slice(0, state.step + 1).filter(isExposure).length,
    phases: plan.filter(isExposure).length,
    share: percentOf(row),
    holdReasons: state.holds.map(({ reason }) => reason),
    ...{ version: row.version_to, from: row.version_from, group: row.group_name },
    ...{ createdBy: row.created_by, createdAt: row.created_at.toISOString() },
    ...{ startedAt: isoOrNull(row.started_at), endedAt: isoOrNull(row.ended_at) },
  };
}

/** Of counted units the bound is a position among them, and says less than their number. */
function percentOf({ state, progress }: DeploymentRow): number {
  const isCounted = progress !== null && progress.units > 0 && progress.generation >= state.generation;
  const share = isCounted ? progress.exposed / progress.units : shareOf(state);
  return Math.round(share * 10_000) / 100;
}

export function toDeployment(
  row: DeploymentRow,
  approvalId: string | undefined,
  plan = planFor(row, row.progress?.units ?? 0),
) {
  const { state, spec, progress: seen, trouble } = row;
  const step = state.plan[state.step];
  return {
    ...toSummary(row),
    holds: state.holds.map(({ reason, since, detail }) => ({
      reason,
      since: iso(since),
      detail: detail ?? null,
    })),
    step: step ? { index: state.step, kind: step.kind, since: iso(state.stepAt) } : null,
    verdicts: row.verdicts.map((one) => ({ ...one, at: iso(one.at) })),
    progress: seen && toProgress(seen),
    plan,
    rollback: state.rollback ? toRollback(state.rollback) : null,
    detail: state.detail ?? null,
    hint: hintOf(row) ?? null,
    trouble: trouble && { ...trouble, since: iso(trouble.since) },
    approvalId: approvalId ?? null,
    requires: [...spec.requires],
    startAt: spec.startAt === undefined ? null : iso(spec.startAt),
    ...{ seed: spec.seed, failureBudget: spec.failureBudget, analysis: spec.analysis },
    generation: state.generation,
  };
}

const toRollback = ({ cause, reason, by, at }: NonNullable<DeploymentRow["state"]["rollback"]>) => ({
  ...{ cause, reason, by: by ?? null, at: iso(at) },
});

export function toProgress({ at, crashed, ...seen }: NonNullable<DeploymentRow["progress"]>) {
  const { units, exposed, applied, restored, failed, failures } = seen;
  const told = { at: iso(at), units, exposed, applied, restored, failed, failures };
  return { ...told, ...(crashed !== undefined && { crashed }) };
}

export const deploymentEvent = Type.Object(
  { seq: Type.Integer(), at: time, type: text },
  { additionalProperties: true, title: "DeploymentEvent" },
);

export function toEvent({ seq, at, type, payload }: EventRow) {
  return { ...payload, seq, at: at.toISOString(), type };
}

const counts = Type.Object(
  { requests: Type.Number(), errors: Type.Number() },
  { additionalProperties: true },
);
export const healthItem = Type.Object(
  {
    number: Type.Integer(),
    at: time,
    canary: counts,
    control: counts,
    latencyBoundsMs: Type.Optional(Type.Array(Type.Number())),
    verdict: orNull(open),
  },
  { title: "DeploymentHealth" },
);

export function toHealth({ number, at, sample, verdict: said }: HealthRow) {
  const { canary, control, latencyBoundsMs } = sample;
  return {
    ...{ number, at: at.toISOString(), canary, control, verdict: said },
    ...(latencyBoundsMs && { latencyBoundsMs }),
  };
}

export const freeze = Type.Object(
  {
    id: Type.String({ format: "uuid" }),
    kind: orNull(text),
    environment: orNull(text),
    target: orNull(text),
    from: time,
    to: time,
    reason: text,
    createdBy: text,
    createdAt: time,
  },
  { title: "Freeze" },
);

export function toFreeze({ id, kind, environment, target, reason, ...row }: FreezeRow) {
  return {
    ...{
      id,
      kind,
      environment,
      target,
      reason,
      from: row.from_at.toISOString(),
      to: row.to_at.toISOString(),
    },
    ...{ createdBy: row.created_by, createdAt: row.created_at.toISOString() },
  };
}
