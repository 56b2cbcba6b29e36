/** Rows of service instances. Each function runs inside the caller's transaction, which knows its tenant. */
import { type Selectable, sql } from "kysely";
import type { GatewayTx } from "./revisions.sql.ts";
import type { InstancesTable } from "./tables.ts";

export type InstanceRow = Selectable<InstancesTable>;

export interface InstanceValues {
  service: string;
  id: string;
  url: string;
  weight: number;
  labels: Record<string, string>;
  ttlSeconds: number;
}

/** Registers it, or brings it up to date. */
export function upsertInstance(
  tx: GatewayTx,
  tenant: string,
  { service, id, url, weight, labels, ttlSeconds }: InstanceValues,
  now: Date,
): Promise<InstanceRow> {
  const values = {
    ...{ url, weight, labels: JSON.stringify(labels), ttl_seconds: ttlSeconds },
    expires_at: new Date(now.getTime() + ttlSeconds * 1_000),
  };
  return tx
    .insertInto("gateway_instances")
    .values({ tenant_id: tenant, service, id, ...values, created_at: now })
    .onConflict((conflict) => conflict.columns(["tenant_id", "service", "id"]).doUpdateSet(values))
    .returningAll()
    .executeTakeFirstOrThrow();
}

export function selectInstance(tx: GatewayTx, tenant: string, service: string, id: string) {
  return tx
    .selectFrom("gateway_instances")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("service", "=", service)
    .where("id", "=", id)
    .executeTakeFirst();
}

/** In order of service and id; of one service when it is named. */
export function selectInstances(
  tx: GatewayTx,
  tenant: string,
  filter: {
    service?: string | undefined;
    after?: readonly [string, string] | undefined;
    limit?: number;
  } = {},
): Promise<InstanceRow[]> {
  let query = tx.selectFrom("gateway_instances").selectAll().where("tenant_id", "=", tenant);
  if (filter.service !== undefined) query = query.where("service", "=", filter.service);
  if (filter.after) {
    const [service, id] = filter.after;
    query = query.where(sql<boolean>`(service collate "C", id collate "C") > (${service}, ${id})`);
  }
  query = query.orderBy(sql`service collate "C"`).orderBy(sql`id collate "C"`);
  return (filter.limit === undefined ? query : query.limit(filter.limit)).execute();
}

/** Moves the end of its time; undefined when it is not registered. */
export function touchInstance(tx: GatewayTx, tenant: string, service: string, id: string, now: Date) {
  return tx
    .updateTable("gateway_instances")
    .set({ expires_at: sql<Date>`${now}::timestamptz + ttl_seconds * interval '1 second'` })
    .where("tenant_id", "=", tenant)
    .where("service", "=", service)
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirst();
}

export async function deleteInstance(tx: GatewayTx, tenant: string, service: string, id: string) {
  const { numDeletedRows } = await tx
    .deleteFrom("gateway_instances")
    .where("tenant_id", "=", tenant)
    .where("service", "=", service)
    .where("id", "=", id)
    .executeTakeFirst();
  return numDeletedRows > 0n;
}

export async function countInstances(tx: GatewayTx, tenant: string): Promise<number> {
  const { count } = await tx
    .selectFrom("gateway_instances")
    .select((select) => select.fn.countAll<number>().as("count"))
    .where("tenant_id", "=", tenant)
    .executeTakeFirstOrThrow();
  return count;
}

/** Tenants with instances whose time is over. */
export async function tenantsWithExpired(tx: GatewayTx, now: Date): Promise<string[]> {
  const rows = await tx
    .selectFrom("gateway_instances")
    .select("tenant_id")
    .distinct()
    .where("expires_at", "<", now)
    .execute();
  return rows.map(({ tenant_id }) => tenant_id);
}

/** Only those whose time to live is not longer than `ttlSecondsMax`. */
export async function deleteExpired(
  tx: GatewayTx,
  tenant: string,
  now: Date,
  ttlSecondsMax: number,
): Promise<number> {
  const { numDeletedRows } = await tx
    .deleteFrom("gateway_instances")
    .where("tenant_id", "=", tenant)
    .where("expires_at", "<", now)
    .where("ttl_seconds", "<=", Math.floor(ttlSecondsMax))
    .executeTakeFirst();
  return Number(numDeletedRows);
}
