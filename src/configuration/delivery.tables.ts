/** The tables of instances and of what they should have, as Kysely sees them; migrations/0002 is the truth. */
import type { ColumnType, Selectable } from "kysely";
import type { Json as Value } from "../core/json.ts";
import type { Tx } from "../stores/sql/port.ts";
import type { ConfigsTable, EventsTable, VersionsTable } from "./tables.ts";

/** Written as JSON text, read as what it holds. */
type Json<Value> = ColumnType<Value, string, string>;

export type Labels = Readonly<Record<string, string>>;

export interface InstancesTable {
  tenant_id: string;
  id: string;
  service: string;
  environment: string;
  labels: Json<Labels>;
  process: string | null;
  registered_at: Date;
  changed_at: Date;
  seen_at: Date;
  /** When its process last became another one; null: it is the first that is known. */
  started_at: Date | null;
}

export interface StatesTable {
  tenant_id: string;
  config: string;
  instance: string;
  /** Null: nothing. */
  running: number | null;
  applied_at: Date | null;
  refused: number | null;
  reason: string | null;
  refused_at: Date | null;
  crashed: number | null;
  reported_at: Date;
}

export interface AssignmentsTable {
  tenant_id: string;
  config: string;
  /** bigint, as revision and bound: far below 2^53. */
  generation: number;
  revision: number;
  /** Null, as what follows, while nothing is deployed. */
  deployment: string | null;
  began_at: Date | null;
  /** When the units that should have the version last became more. */
  exposed_at: Date | null;
  seed: string | null;
  bound: number | null;
  from_version: number | null;
  to_version: number | null;
  /** W3C, of the deployment's step. */
  traceparent: string | null;
}

export interface PinsTable {
  tenant_id: string;
  config: string;
  key: string;
  labels: Json<Labels>;
  version: number;
  reason: string;
  subject: string;
  created_at: Date;
}

export type Cohort = "canary" | "control";

export interface TrialsTable {
  tenant_id: string;
  id: string;
  config: string;
  /** Null: a draft. */
  version: number | null;
  /** Of what is tried; null in trials of before. */
  hash: string | null;
  /** Of a draft: whose, at which of its revisions, and what it said; JSON. */
  author: string | null;
  revision: number | null;
  value: ColumnType<Value | null, string | null, string | null>;
  instances: Json<readonly string[]>;
  subject: string;
  created_at: Date;
  expires_at: Date;
}

export interface TrialAnswersTable {
  tenant_id: string;
  trial: string;
  instance: string;
  ok: boolean;
  reason: string | null;
  answered_at: Date;
}

export interface DeliveryTables {
  config_scopes: { tenant_id: string; service: string; environment: string; revision: number };
  config_instances: InstancesTable;
  config_instance_states: StatesTable;
  config_assignments: AssignmentsTable;
  config_pins: PinsTable;
  config_counts: {
    tenant_id: string;
    config: string;
    deployment: string;
    cohort: Cohort;
    metric: string;
    total: number;
  };
  config_trials: TrialsTable;
  config_trial_answers: TrialAnswersTable;
  configs: ConfigsTable;
  config_versions: VersionsTable;
  config_events: EventsTable;
}

export type DeliveryTx = Tx<DeliveryTables>;
export type InstanceRow = Selectable<InstancesTable>;
export type StateRow = Selectable<StatesTable>;
export type AssignmentRow = Selectable<AssignmentsTable>;
export type PinRow = Selectable<PinsTable>;
export type TrialRow = Selectable<TrialsTable>;
