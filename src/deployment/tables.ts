/** The tables of deployments as Kysely sees them; migrations/ is the truth. */
import type { ColumnType, Selectable } from "kysely";
import type { TraceContext } from "../platform/telemetry/index.ts";
import type { Tx } from "../stores/sql/port.ts";
import type { DeploymentSpec } from "./deployments.schema.ts";
import type { JudgeState, Verdict } from "./judge/judge.ts";
import type { StrategyName } from "./plan.ts";
import type { State, Status } from "./state.ts";
import type { Kind, Observation, Sample, Version } from "./target.ts";

/** Written as JSON text, read as what it holds. */
type Json<Value> = ColumnType<Value, string | null, string | null>;

/** What the target said last, without its samples and single units. */
export type Progress = Omit<Observation, "samples" | "cursor" | "unproven" | "taken"> & {
  readonly at: number;
};

/** A verdict with when and in which step it was given. */
export interface Judged extends Verdict {
  readonly at: number;
  readonly step: number;
}

/** The target, or something else that the engine needs, fails; it is tried again. */
export interface Trouble {
  readonly since: number;
  readonly attempts: number;
  readonly message: string;
}

/** The span of the whole deployment; its steps are below it. */
export interface DeploymentTrace extends TraceContext {
  readonly parentSpanId?: string;
}

/** Somebody asked to go on in spite of these freezes. */
export interface FreezeOverride {
  readonly freezes: readonly string[];
  readonly reason: string;
  readonly by: string;
  readonly isGiven: boolean;
}

export interface DeploymentsTable {
  tenant_id: string;
  id: string;
  kind: Kind;
  target: string;
  environment: string | null;
  strategy: StrategyName;
  status: Status;
  occupies: boolean;
  spec: Json<DeploymentSpec>;
  version_from: Json<Version | null>;
  version_to: Json<Version>;
  state: Json<State>;
  seq: number;
  epoch: number;
  group_id: string | null;
  group_name: string | null;
  progress: Json<Progress | null>;
  judge: Json<{ since: number; number: number; state: JudgeState } | null>;
  verdicts: Json<readonly Judged[]>;
  cursor: Json<unknown>;
  trouble: Json<Trouble | null>;
  trace: Json<DeploymentTrace | null>;
  freeze_override: Json<FreezeOverride | null>;
  created_by: string;
  created_at: Date;
  started_at: Date | null;
  ended_at: Date | null;
  wake_at: Date;
  lease_owner: string | null;
  lease_until: Date | null;
}

export interface EventsTable {
  tenant_id: string;
  deployment: string;
  seq: number;
  epoch: number;
  at: Date;
  type: string;
  payload: Json<Record<string, unknown>>;
}

export interface HealthTable {
  tenant_id: string;
  deployment: string;
  number: number;
  at: Date;
  sample: Json<Sample>;
  verdict: Json<Verdict | null>;
}

export interface FreezesTable {
  tenant_id: string;
  id: string;
  version: number;
  kind: Kind | null;
  environment: string | null;
  target: string | null;
  from_at: Date;
  to_at: Date;
  reason: string;
  created_by: string;
  created_at: Date;
}

export interface DeploymentTables {
  deployments: DeploymentsTable;
  deployment_events: EventsTable;
  deployment_targets: {
    tenant_id: string;
    kind: Kind;
    target: string;
    generation: number;
    version: Json<Version | null>;
    settled_at: Date | null;
  };
  deployment_health: HealthTable;
  deployment_freezes: FreezesTable;
}

export type DeploymentTx = Tx<DeploymentTables>;
export type DeploymentRow = Selectable<DeploymentsTable>;
export type EventRow = Selectable<EventsTable>;
export type HealthRow = Selectable<HealthTable>;
export type FreezeRow = Selectable<FreezesTable>;

/** What an owner knows of a deployment; an append by an older one is refused. */
export interface Claim {
  readonly tenant: string;
  readonly id: string;
  readonly seq: number;
  readonly epoch: number;
}
