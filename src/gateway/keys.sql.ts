/** Rows of API keys. Each function runs inside the caller's transaction, which knows its tenant. */
import { type Selectable, sql } from "kysely";
import type { GatewayTx } from "./revisions.sql.ts";
import type { KeysTable } from "./tables.ts";

export type KeyRow = Selectable<KeysTable>;

export interface KeyValues {
  id: string;
  name: string;
  digest: string;
  hint: string;
  groups: string[];
  expiresAt: Date | undefined;
}

/** Undefined when the tenant has a key of this name. */
export function insertKey(
  tx: GatewayTx,
  tenant: string,
  { groups, expiresAt, ...values }: KeyValues,
  now: Date,
): Promise<KeyRow | undefined> {
  return tx
    .insertInto("gateway_keys")
    .values({
      ...values,
      tenant_id: tenant,
      groups: JSON.stringify(groups),
      created_at: now,
      expires_at: expiresAt ?? null,
    })
    .onConflict((conflict) => conflict.columns(["tenant_id", "name"]).doNothing())
    .returningAll()
    .executeTakeFirst();
}

export function selectKeys(
  tx: GatewayTx,
  tenant: string,
  page: { after?: string | undefined; limit?: number } = {},
): Promise<KeyRow[]> {
  let query = tx.selectFrom("gateway_keys").selectAll().where("tenant_id", "=", tenant);
  if (page.after !== undefined) query = query.where(sql<boolean>`name collate "C" > ${page.after}`);
  query = query.orderBy(sql`name collate "C"`);
  return (page.limit === undefined ? query : query.limit(page.limit)).execute();
}

export function deleteKey(tx: GatewayTx, tenant: string, id: string): Promise<KeyRow | undefined> {
  return tx
    .deleteFrom("gateway_keys")
    .where("tenant_id", "=", tenant)
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirst();
}

export async function countKeys(tx: GatewayTx, tenant: string): Promise<number> {
  const { count } = await tx
    .selectFrom("gateway_keys")
    .select((select) => select.fn.countAll<number>().as("count"))
    .where("tenant_id", "=", tenant)
    .executeTakeFirstOrThrow();
  return count;
}

/** Of all tenants: those whose time is over. */
export function deleteExpiredKeys(tx: GatewayTx, now: Date): Promise<{ tenant_id: string }[]> {
  return tx.deleteFrom("gateway_keys").where("expires_at", "<", now).returning("tenant_id").execute();
}
