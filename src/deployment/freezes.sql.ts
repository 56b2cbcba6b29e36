/** Rows of freezes: windows in which nothing goes forward. Each function runs inside the caller's transaction. */
import { sql } from "kysely";
import type { DeploymentTx, FreezeRow } from "./tables.ts";
import type { Kind } from "./target.ts";

/** What a freeze may be about; what it leaves open it is about all of. */
export interface FreezeScope {
  kind: Kind;
  environment: string | null;
  target: string;
}

/** That are in force at this moment of the database's clock and fit the scope. */
export function selectFreezesOf(tx: DeploymentTx, tenant: string, scope: FreezeScope): Promise<FreezeRow[]> {
  return tx
    .selectFrom("deployment_freezes")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("from_at", "<=", sql<Date>`clock_timestamp()`)
    .where("to_at", ">", sql<Date>`clock_timestamp()`)
    .where((or) => or.or([or("kind", "is", null), or("kind", "=", scope.kind)]))
    .where((or) => or.or([or("environment", "is", null), or("environment", "=", scope.environment)]))
    .where((or) => or.or([or("target", "is", null), or("target", "=", scope.target)]))
    .orderBy("to_at", "desc")
    .execute();
}

export function selectFreezes(tx: DeploymentTx, tenant: string, before: string | undefined, limit: number) {
  let query = tx.selectFrom("deployment_freezes").selectAll().where("tenant_id", "=", tenant);
  if (before !== undefined) query = query.where("id", "<", before);
  return query.orderBy("id", "desc").limit(limit).execute();
}

export async function countFreezes(tx: DeploymentTx, tenant: string): Promise<number> {
  const { count } = await tx
    .selectFrom("deployment_freezes")
    .select((select) => select.fn.countAll<number>().as("count"))
    .where("tenant_id", "=", tenant)
    .executeTakeFirstOrThrow();
  return count;
}

export function lockFreeze(tx: DeploymentTx, tenant: string, id: string): Promise<FreezeRow | undefined> {
  return tx
    .selectFrom("deployment_freezes")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("id", "=", id)
    .forUpdate()
    .executeTakeFirst();
}

export function insertFreeze(tx: DeploymentTx, row: FreezeRow): Promise<FreezeRow> {
  return tx.insertInto("deployment_freezes").values(row).returningAll().executeTakeFirstOrThrow();
}

export function updateFreeze(tx: DeploymentTx, { tenant_id, id, ...row }: FreezeRow): Promise<FreezeRow> {
  return tx
    .updateTable("deployment_freezes")
    .set(row)
    .where("tenant_id", "=", tenant_id)
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

export async function deleteFreeze(tx: DeploymentTx, tenant: string, id: string): Promise<void> {
  await tx.deleteFrom("deployment_freezes").where("tenant_id", "=", tenant).where("id", "=", id).execute();
}
