/** Revisions of what a tenant has in the gateway; see migrations/0001_routes.sql. */
import { sql } from "kysely";
import type { Tx } from "../stores/sql/port.ts";
import type { GatewayTables, Part } from "./tables.ts";

export type GatewayTx = Tx<GatewayTables>;

/** The next revision. Others that change the same part of the tenant wait until this transaction ends. */
export async function nextRevision(tx: GatewayTx, tenant: string, part: Part, now: Date): Promise<number> {
  const { revision } = await tx
    .insertInto("gateway_revisions")
    .values({ tenant_id: tenant, part, revision: 1, updated_at: now })
    .onConflict((conflict) =>
      conflict
        .columns(["tenant_id", "part"])
        .doUpdateSet({ revision: sql<number>`gateway_revisions.revision + 1`, updated_at: now }),
    )
    .returning("revision")
    .executeTakeFirstOrThrow();
  return revision;
}

/** Gives the revision back that `nextRevision` made in this transaction. */
export async function keepRevision(tx: GatewayTx, tenant: string, part: Part): Promise<void> {
  await tx
    .updateTable("gateway_revisions")
    .set({ revision: sql<number>`revision - 1` })
    .where("tenant_id", "=", tenant)
    .where("part", "=", part)
    .execute();
}

/** 0 when nothing has ever been there. */
export async function currentRevision(tx: GatewayTx, tenant: string, part: Part): Promise<number> {
  const row = await tx
    .selectFrom("gateway_revisions")
    .select("revision")
    .where("tenant_id", "=", tenant)
    .where("part", "=", part)
    .executeTakeFirst();
  return row?.revision ?? 0;
}

/** Of all tenants and parts. */
export function selectRevisions(tx: GatewayTx) {
  return tx.selectFrom("gateway_revisions").select(["tenant_id", "part", "revision"]).execute();
}
