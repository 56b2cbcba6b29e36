/**
 * The outbox of the approvals: a notice is a row, written in the transaction that it tells of, and removed
 * when the receiver has taken it. Until then it is tried again, after 15 s, 30 s, 1 min … up to an hour,
 * for ever and across restarts, so nothing is lost; after a crash in between it may arrive twice, under
 * the same id. Notices may overtake one another; each carries its time.
 */
import { sql } from "kysely";
import type { Clock, Timer } from "../../core/clock.ts";
import type { MakeId } from "../../core/ids.ts";
import type { Service } from "../../core/lifecycle.ts";
import type { AnyTx, Sql } from "../../stores/sql/port.ts";
import type { ApprovalTables, NoticeRow } from "./approvals.sql.ts";
import { checkTarget, postWebhook, type WebhookTarget } from "./webhook.ts";

export interface NoticesOptions {
  sql: Sql;
  clock: Clock;
  makeId: MakeId;
  /** Without it no notice is written. */
  webhook?: WebhookTarget | undefined;
  onError: (error: unknown) => void;
}

const pollIntervalMs = 1_000;
const batchSize = 10;
/** Longer than one attempt may take, so that no other node begins the next one meanwhile. */
const firstRetrySeconds = 15;
const lastRetrySeconds = 3_600;

export class Notices implements Service {
  readonly name = "approval-notices";
  readonly #options: NoticesOptions;
  readonly #stopping = new AbortController();
  #timer: Timer | undefined;
  #delivering: Promise<void> = Promise.resolve();

  constructor(options: NoticesOptions) {
    if (options.webhook) checkTarget(options.webhook);
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#options.webhook) this.#arm();
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#stopping.abort();
    await this.#delivering.catch(() => {}); // has been reported
  }

  /** Writes a notice into this transaction, which may be of any room. */
  async add(tx: AnyTx, tenant: string, type: string, data: object): Promise<void> {
    const { webhook, clock, makeId } = this.#options;
    if (!webhook) return;
    const now = new Date(clock.now());
    const payload = JSON.stringify({ type, timestamp: now.toISOString(), data });
    const row = {
      tenant_id: tenant,
      id: makeId(),
      payload,
      attempts: 0,
      next_attempt_at: now,
      last_error: null,
    };
    await tx.insertInto("approval_notices").values(row).execute();
  }

  /** Tries once what is due now. */
  deliver(): Promise<void> {
    this.#delivering = this.#delivering.catch(() => {}).then(() => this.#deliverDue());
    return this.#delivering;
  }

  async #deliverDue(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const due = await this.#claim();
      await Promise.all(due.map((notice) => this.#attempt(notice)));
      if (due.length < batchSize) return;
    }
  }

  /** Takes due notices by setting when they are due again, so that a crash here only delays them. */
  #claim(): Promise<NoticeRow[]> {
    const now = new Date(this.#options.clock.now());
    return this.#options.sql.system<ApprovalTables, NoticeRow[]>(async (tx) => {
      const due = tx
        .selectFrom("approval_notices")
        .select(["tenant_id", "id"])
        .where("next_attempt_at", "<=", now)
        .orderBy("next_attempt_at")
        .limit(batchSize)
        .forUpdate()
        .skipLocked();
      const delay = sql`make_interval(secs => least(${lastRetrySeconds}::float8,
        ${firstRetrySeconds} * 2 ^ least(attempts, 20)))`;
      return tx
        .updateTable("approval_notices")
        .set((row) => ({
          attempts: row("attempts", "+", 1),
          next_attempt_at: sql<Date>`${now}::timestamptz + ${delay}`,
        }))
        .where((row) => row(row.refTuple("tenant_id", "id"), "in", due.$asTuple("tenant_id", "id")))
        .returningAll()
        .execute();
    });
  }

  async #attempt({ tenant_id, id, payload }: NoticeRow): Promise<void> {
    const { sql: store, clock, webhook } = this.#options;
    const message = { id, timestamp: Math.floor(clock.now() / 1000), body: payload };
    const failure = await postWebhook(webhook!, message, this.#stopping.signal).then(
      () => undefined,
      (error: Error) => error,
    );
    if (failure) this.#options.onError(failure);
    await store.tenant<ApprovalTables, unknown>(tenant_id, (tx) => {
      if (!failure) return tx.deleteFrom("approval_notices").where("id", "=", id).execute();
      const last_error = failure.message.slice(0, 200);
      return tx.updateTable("approval_notices").set({ last_error }).where("id", "=", id).execute();
    });
  }

  #arm(): void {
    this.#timer = this.#options.clock.after(pollIntervalMs, () => {
      this.deliver()
        .catch(this.#options.onError)
        .finally(() => {
          if (!this.#stopping.signal.aborted) this.#arm();
        });
    });
  }
}
