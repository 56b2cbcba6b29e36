/**
 * The audit: what changed, by whom, written in the transaction of the change, so that neither can be without
 * the other. `record` writes the entry beside the chain; the database puts it into its place while the
 * transaction commits (migrations/0001_audit.sql), under the lock of the tenant's head row. So changes of one
 * tenant queue for the time of a commit, different tenants not at all, and `record` may stand anywhere in a
 * transaction: the lock is the last that it takes. (Refused: chaining at once, which holds the lock for the
 * rest of the transaction and can deadlock; chaining later, which leaves entries without protection.)
 *
 * The heads are signed every `checkpointEvery` entries, and every `checkpointIntervalMs` while there is
 * something new. What is cut off after the last checkpoint cannot be noticed from the chain alone.
 */
import type { Clock, Timer } from "../../core/clock.ts";
import type { Service } from "../../core/lifecycle.ts";
import type { SecretStore } from "../../stores/secrets/port.ts";
import type { AnyTx, Sql } from "../../stores/sql/port.ts";
import { type KeyRing, openKeyRing } from "../auth/key-ring.ts";
import type { Principal } from "../auth/principal.ts";
import {
  type AuditFilter,
  type AuditRange,
  type AuditTables,
  type Head,
  insertPending,
  readHead,
  readNewest,
  readRange,
  tenantsWithoutCheckpoint,
  writeCheckpoint,
} from "./audit.sql.ts";
import { type AuditEntry, type Checkpoint, genesis, type Outcome, signCheckpoint } from "./chain.ts";
import { boundedDetail, digestOf } from "./masking.ts";

export interface AuditOptions {
  sql: Sql;
  secrets: SecretStore;
  clock: Clock;
  /** Entries, of all tenants together, after which heads are signed; default 100. */
  checkpointEvery?: number;
  /** Default one minute. */
  checkpointIntervalMs?: number;
  /** Told of failures in the background; they are tried again at the next interval. */
  onError?: (error: unknown) => void;
}

export interface Change {
  /** Who; for what the server does by itself a subject `system:<part>`. */
  principal: Pick<Principal, "subject" | "tenant">;
  /** As in the route's audit rule, such as `topics.create`. */
  action: string;
  /** Path of the resource below the API's root, such as `topics/orders`. */
  resource: string;
  requestId: string;
  /** Default "success". */
  outcome?: Outcome;
  /** Anything JSON; fields named like secrets are masked, more than 16 KB is replaced by its digest. */
  detail?: unknown;
  /** The resource as it was and as it is now; only their digests are kept. */
  before?: unknown;
  after?: unknown;
}

/** Not at once: the transaction that made the number full has yet to commit. */
const soonMs = 1_000;

export class Audit implements Service {
  readonly name = "audit";
  readonly #options: Required<AuditOptions>;
  #sinceCheckpoint = 0;
  #keys: KeyRing | undefined;
  #timer: Timer | undefined;
  #checkpointing = Promise.resolve();

  constructor(options: AuditOptions) {
    this.#options = { checkpointEvery: 100, checkpointIntervalMs: 60_000, onError: () => {}, ...options };
  }

  async start(): Promise<void> {
    this.#keys = await openKeyRing(this.#options.secrets, "audit/checkpoints");
    this.#arm(this.#options.checkpointIntervalMs);
  }

  /** Signs what is new before it resolves. */
  async stop(): Promise<void> {
    if (!this.#timer) return;
    this.#timer.cancel();
    this.#timer = undefined;
    await this.checkpoint().catch(this.#options.onError);
  }

  get keys(): KeyRing {
    if (!this.#keys) throw new Error("the audit is not started");
    return this.#keys;
  }

  /** Writes what this transaction does; it counts when the transaction commits, and only then. */
  async record(tx: AnyTx, change: Change): Promise<void> {
    await insertPending(tx, {
      tenant: change.principal.tenant,
      at: new Date(this.#options.clock.now()).toISOString(),
      actor: change.principal.subject,
      action: change.action,
      resource: change.resource,
      requestId: change.requestId,
      outcome: change.outcome ?? "success",
      detail: boundedDetail(change.detail),
      before: digestOf(change.before),
      after: digestOf(change.after),
    });
    this.#sinceCheckpoint += 1;
    if (this.#timer && this.#sinceCheckpoint === this.#options.checkpointEvery) this.#arm(soonMs);
  }

  /** Signs the heads of all tenants that have entries since their last checkpoint. One run at a time. */
  checkpoint(): Promise<void> {
    this.#checkpointing = this.#checkpointing.catch(() => {}).then(() => this.#checkpointAll());
    return this.#checkpointing;
  }

  /** Entries of a tenant that fit the filter, newest first. */
  newest(
    tenant: string,
    filter: AuditFilter,
    before: number | undefined,
    limit: number,
  ): Promise<AuditEntry[]> {
    return this.#options.sql.tenant<AuditTables, AuditEntry[]>(tenant, (tx) =>
      readNewest(tx, tenant, filter, before, limit),
    );
  }

  /** The tenant's head as it is now, signed. */
  async signedHead(tenant: string): Promise<Checkpoint> {
    const head = await this.#options.sql.tenant<AuditTables, Head | undefined>(tenant, (tx) =>
      readHead(tx, tenant),
    );
    return this.#sign(tenant, head ?? { seq: 0, hash: genesis });
  }

  /** Entries and checkpoints from position `after` (exclusive) to `until` (inclusive), oldest first. */
  range(tenant: string, after: number, until: number): Promise<AuditRange> {
    return this.#options.sql.tenant<AuditTables, AuditRange>(tenant, (tx) =>
      readRange(tx, tenant, after, until),
    );
  }

  async #checkpointAll(): Promise<void> {
    const { sql } = this.#options;
    for (const tenant of await sql.system<AuditTables, string[]>(tenantsWithoutCheckpoint)) {
      await sql.tenant<AuditTables, void>(tenant, async (tx) => {
        const head = await readHead(tx, tenant);
        if (head) await writeCheckpoint(tx, this.#sign(tenant, head));
      });
    }
  }

  #sign(tenant: string, { seq, hash }: Head): Checkpoint {
    const at = new Date(this.#options.clock.now()).toISOString();
    return signCheckpoint(this.keys, { tenant, seq, hash, at });
  }

  /** Beside the transactions, so that no change waits for a signature. */
  #arm(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#sinceCheckpoint = 0;
      this.checkpoint().catch(this.#options.onError);
      this.#arm(this.#options.checkpointIntervalMs);
    });
  }
}
