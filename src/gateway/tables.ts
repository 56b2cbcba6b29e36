/** The tables of the gateway as Kysely sees them; migrations/ is the truth. */
import type { ColumnType, Generated, Selectable } from "kysely";
import type { RouteSpec } from "./routes.schema.ts";

/** Written as JSON text, read as what it holds. */
type Json<Value> = ColumnType<Value, string, string>;

export interface RoutesTable {
  tenant_id: string;
  id: string;
  /** Of this route: 1, 2, …; its ETag. */
  version: number;
  name: string;
  /** `*` for any. */
  host: string;
  labels: Json<Record<string, string>>;
  enabled: boolean;
  spec: Json<RouteSpec>;
  /** bigint: far below 2^53 in practice, as all revisions. */
  from_revision: number;
  /** Null while it is in force. */
  until_revision: number | null;
  created_at: Date;
  updated_at: Date;
}

/** What has revisions of its own. */
export type Part = "routes" | "keys" | "overrides" | "instances";

export interface KeysTable {
  tenant_id: string;
  id: string;
  name: string;
  /** SHA-256 of the key, lower-case hex. */
  digest: string;
  /** Its first characters, for people. */
  hint: string;
  groups: Json<string[]>;
  created_at: Date;
  expires_at: Date | null;
}

export interface OverridesTable {
  tenant_id: string;
  backend: string;
  breaker: "open" | "closed" | null;
  draining: boolean;
  reason: string;
  subject: string;
  created_at: Date;
  until: Date | null;
}

export interface InstancesTable {
  tenant_id: string;
  service: string;
  id: string;
  url: string;
  weight: number;
  labels: Json<Record<string, string>>;
  ttl_seconds: number;
  expires_at: Date;
  created_at: Date;
}

/** What tells callers of a route apart; `{}` is the client address. */
export interface Unit {
  header?: string;
  cookie?: string;
}

/** A header field whose value leads to the new version, whatever the share. */
export interface Tester {
  name: string;
  value: string;
}

type JsonOrNull<Value> = ColumnType<Value | null, string | null, string | null>;

export interface RouteVersionsTable {
  tenant_id: string;
  route: string;
  hash: string;
  spec: Json<RouteSpec>;
  unit: Json<Unit>;
  tester: JsonOrNull<Tester>;
  used_at: Date;
}

export interface SplitsTable {
  tenant_id: string;
  route: string;
  deployment: string;
  generation: number;
  /** Between the first apply of a deployment and its end. */
  active: boolean;
  seed: string;
  bound: number;
  to_hash: string;
  unit: Json<Unit>;
  tester: JsonOrNull<Tester>;
  revision: number;
  updated_at: Date;
}

export interface SplitNodesTable {
  tenant_id: string;
  route: string;
  node: string;
  deployment: string;
  /** Of the split that it serves. */
  generation: number;
  /** See `flat` of cohort-counts.ts. */
  totals: Json<number[]>;
  /** Why its data plane cannot serve it. */
  problem: string | null;
  updated_at: Generated<Date>;
}

export interface GatewayTables {
  gateway_route_versions: RouteVersionsTable;
  gateway_splits: SplitsTable;
  gateway_split_nodes: SplitNodesTable;
  gateway_nodes: { id: string; heartbeat_at: Generated<Date> };
  gateway_keys: KeysTable;
  gateway_overrides: OverridesTable;
  gateway_instances: InstancesTable;
  gateway_revisions: { tenant_id: string; part: Part; revision: number; updated_at: Date };
  gateway_routes: RoutesTable;
  gateway_hosts: { tenant_id: string; host: string };
}

export type RouteRow = Selectable<RoutesTable>;
