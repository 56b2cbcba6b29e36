/** Rows of webhooks. Each function runs inside the caller's transaction, which knows its tenant. */
import type { Selectable } from "kysely";
import type { Tx } from "../../stores/sql/port.ts";
import type { MessagingTables, PushTable } from "../tables.ts";
import type { Pace } from "./pace.ts";
import type { PushTarget } from "./pusher.ts";

export type PushRow = Selectable<PushTable>;
type MessagingTx = Tx<MessagingTables>;

export function upsertPush(
  tx: MessagingTx,
  tenant: string,
  id: string,
  target: PushTarget,
  pace: Pace,
  now: Date,
) {
  const values = {
    url: target.url,
    format: target.format,
    batch: target.batch,
    concurrency: target.concurrency,
    timeout_seconds: target.timeoutSeconds,
    pace: JSON.stringify(pace),
    updated_at: now,
  };
  return tx
    .insertInto("messaging_push")
    .values({ tenant_id: tenant, subscription_id: id, created_at: now, ...values })
    .onConflict((conflict) => conflict.columns(["tenant_id", "subscription_id"]).doUpdateSet(values))
    .returningAll()
    .executeTakeFirstOrThrow();
}

export function selectPush(tx: MessagingTx, tenant: string, id: string) {
  return tx
    .selectFrom("messaging_push")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("subscription_id", "=", id)
    .executeTakeFirst();
}

export async function updatePace(tx: MessagingTx, tenant: string, id: string, pace: Pace) {
  await tx
    .updateTable("messaging_push")
    .set({ pace: JSON.stringify(pace) })
    .where("tenant_id", "=", tenant)
    .where("subscription_id", "=", id)
    .execute();
}

/** Undefined when there was none. */
export function deletePush(tx: MessagingTx, tenant: string, id: string) {
  return tx
    .deleteFrom("messaging_push")
    .where("tenant_id", "=", tenant)
    .where("subscription_id", "=", id)
    .returningAll()
    .executeTakeFirst();
}
