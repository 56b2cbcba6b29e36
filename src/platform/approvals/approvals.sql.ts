/** The tables of the approvals (migrations/0001_approvals.sql) and what is asked of them. */
import type { Tx } from "../../stores/sql/port.ts";
import type { ApprovalState } from "./state.ts";

export interface ApprovalRow {
  tenant_id: string;
  id: string;
  kind: string;
  resource: string;
  environment: string | null;
  summary: string | null;
  content: string;
  content_hash: string;
  state: ApprovalState;
  author: string;
  requested_at: Date;
  expires_at: Date;
  decided_by: string | null;
  decided_at: Date | null;
  reason: string | null;
  ended_at: Date | null;
}

export interface NoticeRow {
  tenant_id: string;
  id: string;
  payload: string;
  attempts: number;
  next_attempt_at: Date;
  last_error: string | null;
}

export interface ApprovalTables {
  approvals: ApprovalRow;
  approval_notices: NoticeRow;
}

export type ApprovalTx = Tx<ApprovalTables>;

export interface ApprovalFilter {
  state?: ApprovalState;
  kind?: string;
  resource?: string;
}

/** Undefined when the resource has an open request already. */
export function insertApproval(tx: ApprovalTx, row: ApprovalRow): Promise<ApprovalRow | undefined> {
  return tx
    .insertInto("approvals")
    .values(row)
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst();
}

export function updateApproval(
  tx: ApprovalTx,
  { tenant_id, id }: ApprovalRow,
  change: Partial<ApprovalRow>,
): Promise<ApprovalRow> {
  return tx
    .updateTable("approvals")
    .set(change)
    .where("tenant_id", "=", tenant_id)
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

export function lockApproval(tx: ApprovalTx, tenant: string, id: string): Promise<ApprovalRow | undefined> {
  return tx
    .selectFrom("approvals")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("id", "=", id)
    .forUpdate()
    .executeTakeFirst();
}

/** The request that counts for this resource: the open one if there is one, else the newest. */
export function lockCurrent(
  tx: ApprovalTx,
  tenant: string,
  kind: string,
  resource: string,
): Promise<ApprovalRow | undefined> {
  return tx
    .selectFrom("approvals")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("kind", "=", kind)
    .where("resource", "=", resource)
    .orderBy((is) => is("state", "in", ["pending", "approved"]), "desc")
    .orderBy("id", "desc")
    .limit(1)
    .forUpdate()
    .executeTakeFirst();
}

export function readApproval(tx: ApprovalTx, tenant: string, id: string): Promise<ApprovalRow | undefined> {
  return tx
    .selectFrom("approvals")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("id", "=", id)
    .executeTakeFirst();
}

/** Newest first, from before id `before`. What is open in its row but past its end counts as expired. */
export function readNewest(
  tx: ApprovalTx,
  tenant: string,
  { state, kind, resource }: ApprovalFilter,
  now: Date,
  before: string | undefined,
  limit: number,
): Promise<ApprovalRow[]> {
  let query = tx.selectFrom("approvals").selectAll().where("tenant_id", "=", tenant);
  if (kind !== undefined) query = query.where("kind", "=", kind);
  if (resource !== undefined) query = query.where("resource", "=", resource);
  if (before !== undefined) query = query.where("id", "<", before);
  if (state === "expired") {
    query = query.where((is) =>
      is.or([
        is("state", "=", state),
        is.and([is("state", "in", ["pending", "approved"]), is("expires_at", "<=", now)]),
      ]),
    );
  } else if (state !== undefined) {
    query = query.where("state", "=", state);
    if (state === "pending" || state === "approved") query = query.where("expires_at", ">", now);
  }
  return query.orderBy("id", "desc").limit(limit).execute();
}
