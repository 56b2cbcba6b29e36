/** The tables of configurations as Kysely sees them; migrations/ is the truth. */
import type { ColumnType, Generated, Selectable } from "kysely";
import type { Json as JsonValue } from "../core/json.ts";
import type { Tx } from "../stores/sql/port.ts";
import type { Format } from "./formats/format.ts";

/** Written as JSON text, read as what it holds. */
type Json<Value> = ColumnType<Value, string, string>;

export interface ConfigsTable {
  tenant_id: string;
  name: string;
  service: string;
  environment: string;
  format: Format;
  description: string;
  labels: Json<Record<string, string>>;
  schema_subject: string | null;
  schema_version: number | null;
  /** What is in force; null before the first deployment. */
  current_version: number | null;
  /** The one to go on from: written last, or what it was rolled back to. */
  latest_version: number | null;
  /** The last number that was given out: no number comes twice. */
  last_version: Generated<number>;
  /** Its ETag: 1, 2, …, with every change of its values by people. */
  revision: Generated<number>;
  created_at: ColumnType<Date, Date, never>;
  updated_at: Date;
}

export interface Origin {
  config: string;
  version: number;
  hash: string;
}

export interface VersionsTable {
  tenant_id: string;
  config: string;
  version: number;
  hash: string;
  text: string;
  value: Json<JsonValue>;
  note: string;
  author: string;
  parent: number | null;
  schema_subject: string | null;
  schema_version: number | null;
  secrets: Json<string[]>;
  origin: ColumnType<Origin | null, string | null, never>;
  created_at: ColumnType<Date, Date, never>;
}

export interface DraftsTable {
  tenant_id: string;
  config: string;
  author: string;
  text: string;
  parent: number | null;
  revision: Generated<number>;
  updated_at: Date;
}

export const eventTypes = ["version", "promoted", "current", "rolled_back", "deleted"] as const;
export type EventType = (typeof eventTypes)[number];

export interface EventsTable {
  tenant_id: string;
  config: string;
  id: string;
  type: EventType;
  version: number;
  from_version: number | null;
  author: string;
  note: string;
  deployment: string | null;
  created_at: Date;
}

export interface SecretsTable {
  tenant_id: string;
  name: string;
  /** Under which name the store of secrets has the value. */
  stored_as: string;
  revision: Generated<number>;
  author: string;
  created_at: ColumnType<Date, Date, never>;
  updated_at: Date;
}

export interface ConfigurationTables {
  configs: ConfigsTable;
  config_versions: VersionsTable;
  config_drafts: DraftsTable;
  config_events: EventsTable;
  config_secrets: SecretsTable;
}

export type ConfigurationTx = Tx<ConfigurationTables>;
export type ConfigRow = Selectable<ConfigsTable>;
export type VersionRow = Selectable<VersionsTable>;
export type DraftRow = Selectable<DraftsTable>;
export type EventRow = Selectable<EventsTable>;
export type SecretRow = Selectable<SecretsTable>;
