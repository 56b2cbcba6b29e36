/** The audit's tables (migrations/0001_audit.sql) and what is asked of them. */
import { canonicalJson, type Json } from "../../core/json.ts";
import type { Tx } from "../../stores/sql/port.ts";
import { type AuditContent, type AuditEntry, type Checkpoint, contentDigest, type Outcome } from "./chain.ts";

interface EntryRow {
  tenant_id: string;
  seq: number;
  at: Date;
  actor: string;
  action: string;
  resource: string;
  request_id: string;
  outcome: string;
  detail: string | null;
  before_digest: string | null;
  after_digest: string | null;
  previous_hash: string;
  hash: string;
}

type PendingRow = Omit<EntryRow, "seq" | "previous_hash" | "hash"> & { digest: string };

interface HeadRow {
  tenant_id: string;
  seq: number;
  previous_hash: string;
  hash: string;
  checkpoint_seq: number;
}

interface CheckpointRow {
  tenant_id: string;
  seq: number;
  hash: string;
  at: Date;
  key_id: string;
  signature: string;
}

export interface AuditTables {
  audit_entries: EntryRow;
  audit_heads: HeadRow;
  audit_pending: PendingRow;
  audit_checkpoints: CheckpointRow;
}

export type AuditTx = Tx<AuditTables>;

/** What a list of entries can be narrowed to. */
export interface AuditFilter {
  actor?: string;
  action?: string;
  resource?: string;
  /** Inclusive. */
  from?: string;
  /** Exclusive. */
  to?: string;
}

export interface Head {
  seq: number;
  hash: string;
}

export interface AuditRange {
  entries: AuditEntry[];
  checkpoints: Checkpoint[];
}

/** The entry gets its place in the chain when the transaction commits. */
export async function insertPending(tx: AuditTx, { tenant, ...content }: AuditContent): Promise<void> {
  const row = {
    tenant_id: tenant,
    at: new Date(content.at),
    actor: content.actor,
    action: content.action,
    resource: content.resource,
    request_id: content.requestId,
    outcome: content.outcome,
    detail: content.detail === null ? null : canonicalJson(content.detail),
    before_digest: content.before,
    after_digest: content.after,
    digest: contentDigest({ tenant, ...content }),
  };
  await tx.insertInto("audit_pending").values(row).execute();
}

export async function tenantsWithoutCheckpoint(tx: AuditTx): Promise<string[]> {
  const rows = await tx
    .selectFrom("audit_heads")
    .select("tenant_id")
    .whereRef("seq", ">", "checkpoint_seq")
    .orderBy("tenant_id")
    .execute();
  return rows.map((row) => row.tenant_id);
}

export function readHead(tx: AuditTx, tenant: string): Promise<Head | undefined> {
  return tx
    .selectFrom("audit_heads")
    .select(["seq", "hash"])
    .where("tenant_id", "=", tenant)
    .executeTakeFirst();
}

/** Another node may have signed the same position meanwhile; both signatures are good and the first stays. */
export async function writeCheckpoint(tx: AuditTx, checkpoint: Checkpoint): Promise<void> {
  await tx
    .insertInto("audit_checkpoints")
    .values(toCheckpointRow(checkpoint))
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  await tx
    .updateTable("audit_heads")
    .set({ checkpoint_seq: checkpoint.seq })
    .where("tenant_id", "=", checkpoint.tenant)
    .where("checkpoint_seq", "<", checkpoint.seq)
    .execute();
}

/** Newest first, from before position `before`. */
export async function readNewest(
  tx: AuditTx,
  tenant: string,
  filter: AuditFilter,
  before: number | undefined,
  limit: number,
): Promise<AuditEntry[]> {
  let query = tx.selectFrom("audit_entries").selectAll().where("tenant_id", "=", tenant);
  for (const name of ["actor", "action", "resource"] as const) {
    const value = filter[name];
    if (value !== undefined) query = query.where(name, "=", value);
  }
  if (filter.from !== undefined) query = query.where("at", ">=", new Date(filter.from));
  if (filter.to !== undefined) query = query.where("at", "<", new Date(filter.to));
  if (before !== undefined) query = query.where("seq", "<", before);
  const rows = await query.orderBy("seq", "desc").limit(limit).execute();
  return rows.map(toEntry);
}

/** Entries and checkpoints of the positions after `after`, up to and including `until`, oldest first. */
export async function readRange(
  tx: AuditTx,
  tenant: string,
  after: number,
  until: number,
): Promise<AuditRange> {
  const entries = await tx
    .selectFrom("audit_entries")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("seq", ">", after)
    .where("seq", "<=", until)
    .orderBy("seq")
    .execute();
  const checkpoints = await tx
    .selectFrom("audit_checkpoints")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("seq", ">", after)
    .where("seq", "<=", until)
    .orderBy("seq")
    .execute();
  return { entries: entries.map(toEntry), checkpoints: checkpoints.map(toCheckpoint) };
}

function toEntry(row: EntryRow): AuditEntry {
  return {
    tenant: row.tenant_id,
    seq: row.seq,
    at: row.at.toISOString(),
    actor: row.actor,
    action: row.action,
    resource: row.resource,
    requestId: row.request_id,
    outcome: row.outcome as Outcome,
    detail: row.detail === null ? null : (JSON.parse(row.detail) as Json),
    before: row.before_digest,
    after: row.after_digest,
    previous: row.previous_hash,
    hash: row.hash,
  };
}

function toCheckpointRow(checkpoint: Checkpoint): CheckpointRow {
  const { tenant, seq, hash, at, keyId, signature } = checkpoint;
  return { tenant_id: tenant, seq, hash, at: new Date(at), key_id: keyId, signature };
}

function toCheckpoint(row: CheckpointRow): Checkpoint {
  return {
    tenant: row.tenant_id,
    seq: row.seq,
    hash: row.hash,
    at: row.at.toISOString(),
    keyId: row.key_id,
    signature: row.signature,
  };
}
