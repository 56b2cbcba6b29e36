/**
 * Who carries a deployment now. Leases are told by the clock of the database alone; a new owner is a new epoch, which
 * whoever writes must name.
 */
import { sql } from "kysely";
import { whole } from "./deployments.sql.ts";
import type { DeploymentRow, DeploymentTx } from "./tables.ts";

/** Deployments under way that nobody holds, now held by this owner. A claim from another owner moves the epoch on. */
export async function claim(
  tx: DeploymentTx,
  owner: string,
  leaseMs: number,
  limit: number,
): Promise<DeploymentRow[]> {
  const free = tx
    .selectFrom("deployments")
    .select(["tenant_id", "id"])
    .where("ended_at", "is", null)
    .where((or) =>
      or.or([or("lease_until", "is", null), or("lease_until", "<=", sql<Date>`clock_timestamp()`)]),
    )
    .orderBy("wake_at")
    .limit(limit)
    .forUpdate()
    .skipLocked();
  const rows = await tx
    .with("free", () => free)
    .updateTable("deployments")
    .from("free")
    .set({
      epoch: sql`deployments.epoch + case when deployments.lease_owner = ${owner} then 0 else 1 end`,
      lease_owner: owner,
      lease_until: sql`clock_timestamp() + ${leaseMs} * interval '1 millisecond'`,
    })
    .whereRef("deployments.tenant_id", "=", "free.tenant_id")
    .whereRef("deployments.id", "=", "free.id")
    .returningAll("deployments")
    .execute();
  return rows.map(whole);
}

/** Those of them that are still this owner's. */
export async function renew(tx: DeploymentTx, owner: string, leaseMs: number): Promise<string[]> {
  const rows = await tx
    .updateTable("deployments")
    .set({ lease_until: sql`clock_timestamp() + ${leaseMs} * interval '1 millisecond'` })
    .where("lease_owner", "=", owner)
    .where("ended_at", "is", null)
    .returning("id")
    .execute();
  return rows.map(({ id }) => id);
}

export async function release(tx: DeploymentTx, owner: string): Promise<void> {
  await tx
    .updateTable("deployments")
    .set({ lease_owner: null, lease_until: null })
    .where("lease_owner", "=", owner)
    .execute();
}
