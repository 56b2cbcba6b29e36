/**
 * The audit of a tenant as NDJSON, made to be kept and verified elsewhere (verify.ts). Each line is
 * canonical JSON with one member: first `header` with the public keys and the signed head, so that a file
 * that is cut off is noticed; then each `entry` in order, and each `checkpoint` after the entry that it
 * signs.
 */
import { canonicalJson } from "../../core/json.ts";
import type { Audit } from "./audit.ts";
import { type AuditEntry, type Checkpoint, type CheckpointKey, checkpointKeys } from "./chain.ts";

export const exportFormat = "hotswap-audit-1";

export interface ExportHeader {
  format: typeof exportFormat;
  tenant: string;
  keys: readonly CheckpointKey[];
  /** The chain's end when the export began; later entries are not in it. */
  head: Checkpoint;
}

export type ExportLine = { header: ExportHeader } | { entry: AuditEntry } | { checkpoint: Checkpoint };

const entriesPerRead = 500;

/** Lines without line ends. Memory stays bounded, however long the chain is. */
export async function* exportLines(audit: Audit, tenant: string): AsyncGenerator<string> {
  const head = await audit.signedHead(tenant);
  yield lineOf({ header: { format: exportFormat, tenant, keys: checkpointKeys(audit.keys), head } });
  for (let after = 0; after < head.seq; after += entriesPerRead) {
    const until = Math.min(after + entriesPerRead, head.seq);
    const { entries, checkpoints } = await audit.range(tenant, after, until);
    const signed = new Map(checkpoints.map((checkpoint) => [checkpoint.seq, checkpoint]));
    for (const entry of entries) {
      yield lineOf({ entry });
      const checkpoint = signed.get(entry.seq);
      if (checkpoint) yield lineOf({ checkpoint });
    }
  }
}

const lineOf = (line: ExportLine): string => canonicalJson(line);
