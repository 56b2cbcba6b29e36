/** Rows of instances and of what they run. Each function runs inside the caller's transaction. */
import { sql } from "kysely";
import type { DeliveryTx, InstanceRow, StateRow } from "./delivery.tables.ts";

export interface InstanceFilter {
  service?: string | undefined;
  environment?: string | undefined;
  /** Those that say something of this configuration. */
  config?: string | undefined;
  /** Those that run this version of it, or with `status: "rejected"` refused it. */
  version?: number | undefined;
  status?: "live" | "silent" | "applied" | "rejected" | undefined;
}

/** By id. Seen before `silentBefore` is silent. */
export function selectInstances(
  tx: DeliveryTx,
  tenant: string,
  { service, environment, config, version, status }: InstanceFilter,
  page: { after?: string | undefined; limit: number; silentBefore: Date },
): Promise<InstanceRow[]> {
  let query = tx.selectFrom("config_instances as i").selectAll("i").where("i.tenant_id", "=", tenant);
  if (service !== undefined) query = query.where("i.service", "=", service);
  if (environment !== undefined) query = query.where("i.environment", "=", environment);
  if (status === "live") query = query.where("i.seen_at", ">=", page.silentBefore);
  if (status === "silent") query = query.where("i.seen_at", "<", page.silentBefore);
  if (config !== undefined) {
    query = query.where(({ exists, selectFrom }) => {
      let states = selectFrom("config_instance_states as s")
        .select("s.instance")
        .whereRef("s.tenant_id", "=", "i.tenant_id")
        .whereRef("s.instance", "=", "i.id")
        .where("s.config", "=", config);
      if (status === "rejected") states = states.where("s.refused", "is not", null);
      if (status === "applied") states = states.where("s.running", "is not", null);
      if (version !== undefined)
        states = states.where(status === "rejected" ? "s.refused" : "s.running", "=", version);
      return exists(states);
    });
  }
  if (page.after !== undefined) query = query.where(sql<boolean>`i.id collate "C" > ${page.after}`);
  return query.orderBy(sql`i.id collate "C"`).limit(page.limit).execute();
}

export function selectInstance(tx: DeliveryTx, tenant: string, id: string): Promise<InstanceRow | undefined> {
  return tx
    .selectFrom("config_instances")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("id", "=", id)
    .executeTakeFirst();
}

export async function selectStates(
  tx: DeliveryTx,
  tenant: string,
  instances: readonly string[],
): Promise<StateRow[]> {
  if (instances.length === 0) return [];
  return tx
    .selectFrom("config_instance_states")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("instance", "in", instances)
    .orderBy("config")
    .execute();
}

export async function deleteInstance(tx: DeliveryTx, tenant: string, id: string): Promise<boolean> {
  const { numDeletedRows } = await tx
    .deleteFrom("config_instances")
    .where("tenant_id", "=", tenant)
    .where("id", "=", id)
    .executeTakeFirst();
  return numDeletedRows > 0n;
}

/** Of every tenant. */
export async function deleteSilent(tx: DeliveryTx, seenBefore: Date): Promise<number> {
  const { numDeletedRows } = await tx
    .deleteFrom("config_instances")
    .where("seen_at", "<", seenBefore)
    .executeTakeFirst();
  return Number(numDeletedRows);
}

/** Of every tenant. */
export function countByScope(tx: DeliveryTx) {
  return tx
    .selectFrom("config_instances")
    .select((select) => ["tenant_id", "service", "environment", select.fn.countAll<number>().as("count")])
    .groupBy(["tenant_id", "service", "environment"])
    .execute();
}

/**
 * What a deployment needs to know of each instance of a scope. Times are milliseconds since 1970: of ten thousand rows
 * most of what a look costs would be the making of dates from text.
 */
export interface UnitRow {
  id: string;
  labels: Readonly<Record<string, string>>;
  seenAt: number;
  startedAt: number | null;
  running: number | null;
  appliedAt: number | null;
  refused: number | null;
  reason: string | null;
  crashed: number | null;
}

/**
 * Two reads and no join: before the database has statistics of a young table it compares every instance with every
 * state, which for ten thousand of them takes half a minute.
 */
export async function selectUnits(
  tx: DeliveryTx,
  tenant: string,
  { config, service, environment }: { config: string; service: string; environment: string },
): Promise<UnitRow[]> {
  const instances = await tx
    .selectFrom("config_instances")
    .select([
      "id",
      "labels",
      ms<number>("seen_at").as("seenAt"),
      ms<number | null>("started_at").as("startedAt"),
    ])
    .where("tenant_id", "=", tenant)
    .where("service", "=", service)
    .where("environment", "=", environment)
    .execute();
  const states = await tx
    .selectFrom("config_instance_states")
    .select([
      "instance",
      "running",
      ms<number | null>("applied_at").as("appliedAt"),
      "refused",
      "reason",
      "crashed",
    ])
    .where("tenant_id", "=", tenant)
    .where("config", "=", config)
    .execute();
  const stateOf = new Map(states.map(({ instance, ...state }) => [instance, state]));
  return instances.map((row) => ({ ...row, ...(stateOf.get(row.id) ?? UNHEARD) }));
}

const ms = <Value extends number | null>(column: string) =>
  sql<Value>`round(date_part('epoch', ${sql.ref(column)}) * 1000)`;

const UNHEARD = { running: null, appliedAt: null, refused: null, reason: null, crashed: null };
