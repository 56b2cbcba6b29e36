/** What belongs to one service in one environment, and its revisions; see migrations/0002. */
import { sql } from "kysely";
import type { AnyTx } from "../stores/sql/port.ts";
import type { DeliveryTx, PinRow } from "./delivery.tables.ts";
import { bySpecificity, type Wanted } from "./desired.ts";

export interface ScopeName {
  readonly tenant: string;
  readonly service: string;
  readonly environment: string;
}

/** A trial that still waits for answers. */
export interface OpenTrial {
  readonly id: string;
  readonly config: string;
  /** Null: a draft. */
  readonly version: number | null;
  readonly instances: ReadonlySet<string>;
  readonly expiresAt: number;
}

/** Immutable: replaced as a whole. */
export interface ScopeState {
  readonly revision: number;
  readonly configs: ReadonlyMap<string, Wanted>;
  readonly trials: readonly OpenTrial[];
}

/** No name has a line end. */
export const scopeKey = ({ tenant, service, environment }: ScopeName) =>
  `${tenant}\n${service}\n${environment}`;

/** The next revision. Others that change the same scope wait until this transaction ends. */
export async function nextRevision(tx: AnyTx, { tenant, service, environment }: ScopeName): Promise<number> {
  const { revision } = await (tx as DeliveryTx)
    .insertInto("config_scopes")
    .values({ tenant_id: tenant, service, environment, revision: 1 })
    .onConflict((conflict) =>
      conflict
        .columns(["tenant_id", "service", "environment"])
        .doUpdateSet({ revision: sql<number>`config_scopes.revision + 1` }),
    )
    .returning("revision")
    .executeTakeFirstOrThrow();
  return revision;
}

/** Reads the revision first: what is read after it may be newer, and then comes once more. */
export async function loadScope(tx: DeliveryTx, scope: ScopeName, now: Date): Promise<ScopeState> {
  const { tenant, service, environment } = scope;
  const row = await tx
    .selectFrom("config_scopes")
    .select("revision")
    .where("tenant_id", "=", tenant)
    .where("service", "=", service)
    .where("environment", "=", environment)
    .executeTakeFirst();
  const configs = await tx
    .selectFrom("configs as c")
    .leftJoin("config_assignments as a", (join) =>
      join.onRef("a.tenant_id", "=", "c.tenant_id").onRef("a.config", "=", "c.name"),
    )
    .select(["c.name", "c.format", "c.current_version"])
    .select(["a.revision", "a.deployment", "a.seed", "a.bound", "a.from_version", "a.to_version"])
    .select("a.traceparent")
    .where("c.tenant_id", "=", tenant)
    .where("c.service", "=", service)
    .where("c.environment", "=", environment)
    .execute();
  const names = configs.map(({ name }) => name);
  const pins = Map.groupBy(await selectPins(tx, tenant, names), ({ config }) => config);
  const trials = await openTrials(tx, tenant, names, now);
  const wanted = configs.map((config): [string, Wanted] => [config.name, toWanted(config, pins)]);
  return { revision: row?.revision ?? 0, configs: new Map(wanted), trials };
}

interface ConfigRow {
  name: string;
  format: string;
  current_version: number | null;
  revision: number | null;
  deployment: string | null;
  seed: string | null;
  bound: number | null;
  from_version: number | null;
  to_version: number | null;
  traceparent: string | null;
}

function toWanted(row: ConfigRow, pins: ReadonlyMap<string, PinRow[]>): Wanted {
  const { deployment, seed, bound, from_version: from, to_version: to, traceparent } = row;
  const runs = deployment !== null && seed !== null && bound !== null && to !== null;
  return {
    config: row.name,
    format: row.format,
    revision: row.revision ?? 0,
    current: row.current_version ?? undefined,
    rollout: runs
      ? { deployment, seed, bound, from: from ?? undefined, to, traceparent: traceparent ?? undefined }
      : undefined,
    pins: bySpecificity(pins.get(row.name) ?? []),
  };
}

export function selectPins(tx: DeliveryTx, tenant: string, configs: readonly string[]): Promise<PinRow[]> {
  if (configs.length === 0) return Promise.resolve([]);
  return tx
    .selectFrom("config_pins")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("config", "in", configs)
    .execute();
}

async function openTrials(tx: DeliveryTx, tenant: string, configs: readonly string[], now: Date) {
  if (configs.length === 0) return [];
  const rows = await tx
    .selectFrom("config_trials")
    .select(["id", "config", "version", "instances", "expires_at"])
    .where("tenant_id", "=", tenant)
    .where("config", "in", configs)
    .where("expires_at", ">", now)
    .execute();
  return rows.map(({ id, config, version, instances, expires_at }): OpenTrial => {
    return { id, config, version, instances: new Set(instances), expiresAt: expires_at.getTime() };
  });
}

/** Revisions of these scopes, of any tenant; one that is missing has never changed. */
export async function selectRevisions(tx: DeliveryTx, scopes: readonly ScopeName[]) {
  const { rows } = await sql<ScopeName & { revision: number }>`
    select s.tenant_id as tenant, s.service, s.environment, s.revision
    from config_scopes s
    join unnest(${scopes.map(({ tenant }) => tenant)}::text[], ${scopes.map(({ service }) => service)}::text[],
                ${scopes.map(({ environment }) => environment)}::text[]) as k (tenant, service, environment)
      on s.tenant_id = k.tenant and s.service = k.service and s.environment = k.environment
  `.execute(tx);
  return rows;
}
