/** The table of idempotency keys (migrations/0001_idempotency.sql) and what is asked of it. */
import type { Tx } from "../../stores/sql/port.ts";
import type { StoredAnswer } from "./answer.ts";

export interface KeyId {
  tenant_id: string;
  subject: string;
  route: string;
  key: string;
}

export interface KeyRow extends KeyId, Pick<StoredAnswer, "body" | "status"> {
  fingerprint: string;
  run: string;
  deadline: Date;
  expires_at: Date;
  /** Null while the work is running. */
  body_type: StoredAnswer["body_type"] | null;
  headers: string | null;
}

export interface IdempotencyTables {
  idempotency_keys: KeyRow;
}

type IdempotencyTx = Tx<IdempotencyTables>;

const sweepBatch = 1_000;
const noAnswer = { body_type: null, body: null, status: null, headers: null };

/**
 * Takes a key that is new, whose answer is kept no longer, or whose run for the same request has missed
 * its deadline. Resolves to false when the key is somebody's. Two that come at once queue at the row: one
 * gets it.
 */
export async function takeKey(
  tx: IdempotencyTx,
  id: KeyId,
  fingerprint: string,
  run: string,
  { now, deadline, expires_at }: { now: Date; deadline: Date; expires_at: Date },
): Promise<boolean> {
  const fresh = { fingerprint, run, deadline, expires_at, ...noAnswer };
  const taken = await tx
    .insertInto("idempotency_keys")
    .values({ ...id, ...fresh })
    .onConflict((conflict) =>
      conflict
        .columns(["tenant_id", "subject", "route", "key"])
        .doUpdateSet(fresh)
        .where((is) =>
          is.or([
            is("idempotency_keys.expires_at", "<=", now),
            is.and([
              is("idempotency_keys.body_type", "is", null),
              is("idempotency_keys.deadline", "<=", now),
              is("idempotency_keys.fingerprint", "=", fingerprint),
            ]),
          ]),
        ),
    )
    .returning("run")
    .executeTakeFirst();
  return taken !== undefined;
}

export function findKey(tx: IdempotencyTx, id: KeyId): Promise<KeyRow | undefined> {
  return tx
    .selectFrom("idempotency_keys")
    .selectAll()
    .where((is) => is.and({ ...id }))
    .executeTakeFirst();
}

/** Does nothing when another run has taken over. */
export async function keepAnswer(
  tx: IdempotencyTx,
  id: KeyId,
  run: string,
  answer: StoredAnswer,
): Promise<void> {
  await tx
    .updateTable("idempotency_keys")
    .set(answer)
    .where((is) => is.and({ ...id, run }))
    .execute();
}

/** Does nothing when another run has taken over. */
export async function giveBack(tx: IdempotencyTx, id: KeyId, run: string): Promise<void> {
  await tx
    .deleteFrom("idempotency_keys")
    .where((is) => is.and({ ...id, run }))
    .execute();
}

/** Resolves to how many rows have been removed. */
export async function sweep(tx: IdempotencyTx, now: Date): Promise<number> {
  let removed = 0;
  for (;;) {
    const old = tx
      .selectFrom("idempotency_keys")
      .select(["tenant_id", "subject", "route", "key"])
      .where("expires_at", "<=", now)
      .limit(sweepBatch)
      .forUpdate()
      .skipLocked();
    const result = await tx
      .deleteFrom("idempotency_keys")
      .where((row) =>
        row(
          row.refTuple("tenant_id", "subject", "route", "key"),
          "in",
          old.$asTuple("tenant_id", "subject", "route", "key"),
        ),
      )
      .executeTakeFirst();
    const count = Number(result.numDeletedRows);
    removed += count;
    if (count < sweepBatch) return removed;
  }
}
