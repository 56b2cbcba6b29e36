/** Rows of what people set by hand on backends. */
import type { Selectable } from "kysely";
import type { GatewayTx } from "./revisions.sql.ts";
import type { OverridesTable } from "./tables.ts";

export type OverrideRow = Selectable<OverridesTable>;

export function upsertOverride(tx: GatewayTx, row: OverrideRow): Promise<OverrideRow> {
  const { tenant_id, backend, ...values } = row;
  return tx
    .insertInto("gateway_overrides")
    .values(row)
    .onConflict((conflict) => conflict.columns(["tenant_id", "backend"]).doUpdateSet(values))
    .returningAll()
    .executeTakeFirstOrThrow();
}

export async function deleteOverride(tx: GatewayTx, tenant: string, backend: string): Promise<boolean> {
  const { numDeletedRows } = await tx
    .deleteFrom("gateway_overrides")
    .where("tenant_id", "=", tenant)
    .where("backend", "=", backend)
    .executeTakeFirst();
  return numDeletedRows > 0n;
}

export function selectOverrides(tx: GatewayTx, tenant: string): Promise<OverrideRow[]> {
  return tx.selectFrom("gateway_overrides").selectAll().where("tenant_id", "=", tenant).execute();
}

/** Of all tenants: those whose time is over. */
export function deleteExpiredOverrides(tx: GatewayTx, now: Date): Promise<{ tenant_id: string }[]> {
  return tx.deleteFrom("gateway_overrides").where("until", "<", now).returning("tenant_id").execute();
}
