/** Rows of replays. Each function runs inside the caller's transaction, which knows its tenant. */
import type { Selectable } from "kysely";
import type { Tx } from "../stores/sql/port.ts";
import type { MessagingTables, ReplaysTable } from "./tables.ts";

export type ReplayRow = Selectable<ReplaysTable>;
type MessagingTx = Tx<MessagingTables>;
export type NewReplay = Pick<
  ReplayRow,
  "id" | "topic" | "action" | "selection" | "rate" | "matched" | "created_by"
> & { until: number };

/** Undefined when one is running for this topic. */
export function insertReplay(tx: MessagingTx, tenant: string, replay: NewReplay, now: Date) {
  return tx
    .insertInto("messaging_replays")
    .values({
      ...replay,
      tenant_id: tenant,
      selection: JSON.stringify(replay.selection),
      status: "running",
      created_at: now,
      updated_at: now,
    })
    .onConflict((conflict) =>
      conflict.columns(["tenant_id", "topic"]).where("status", "=", "running").doNothing(),
    )
    .returningAll()
    .executeTakeFirst();
}

export function selectReplay(tx: MessagingTx, tenant: string, id: string) {
  return tx
    .selectFrom("messaging_replays")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("id", "=", id)
    .executeTakeFirst();
}

export function selectReplays(
  tx: MessagingTx,
  tenant: string,
  topic: string,
  page: { after: string | undefined; limit: number },
) {
  let query = tx
    .selectFrom("messaging_replays")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("topic", "=", topic);
  if (page.after !== undefined) query = query.where("id", "<", page.after);
  return query.orderBy("id", "desc").limit(page.limit).execute();
}

export function selectRunning(tx: MessagingTx) {
  return tx.selectFrom("messaging_replays").selectAll().where("status", "=", "running").execute();
}

/** Changes one that is running; undefined when it is not any more. */
export function updateReplay(
  tx: MessagingTx,
  tenant: string,
  id: string,
  values: Partial<Pick<ReplayRow, "status" | "processed" | "failed" | "error">>,
  now: Date,
) {
  return tx
    .updateTable("messaging_replays")
    .set({ ...values, updated_at: now })
    .where("tenant_id", "=", tenant)
    .where("id", "=", id)
    .where("status", "=", "running")
    .returningAll()
    .executeTakeFirst();
}
