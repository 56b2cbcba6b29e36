/**
 * PostgreSQL, embedded or external, behind one door. All work happens in a transaction that knows its tenant:
 * row-level security is forced on tenant tables and reads `hotswap.tenant`, which is set with
 * `set_config(…, true)` inside the transaction only, so it is safe behind PgBouncer.
 *
 * What comes back: `bigint` is a number (an error beyond 2^53), `date` and `numeric` are strings, `timestamptz`
 * is a Date. An error of the database reaches the caller as it is (`isUniqueViolation` of failures.ts names the
 * common one); losing the server becomes `store_unavailable`. When that happens at commit, the outcome is unknown.
 */
import type { Transaction } from "kysely";
import type { Service } from "../../core/lifecycle.ts";

/** A transaction over the tables of one room. */
export type Tx<Tables> = Transaction<Tables>;

/** For code that writes to its own tables inside another room's transaction, such as the audit. */
// biome-ignore lint/suspicious/noExplicitAny: Kysely's Transaction is invariant in its tables
export type AnyTx = Transaction<any>;

/** One step of the schema: plain SQL, applied once, in a transaction of its own. */
export interface Migration {
  /** `<room>/<number>_<what>`, such as `messaging/0001_topics`. */
  name: string;
  sql: string;
}

export interface MigrationReport {
  /** Names of what was applied by this call, in order. */
  applied: string[];
  /** Names in the database that this call did not list: a newer HotSwap has been here. */
  unknown: string[];
}

export interface Sql extends Service {
  /** Which PostgreSQL this is, such as 180004. Known after start. */
  readonly serverVersion: number;

  /**
   * Runs `work` in a transaction that sees and writes this tenant's rows only. Annotate `tx` with the room's tables.
   * After a deadlock or a serialization failure `work` runs again, three times in all: it changes nothing but the
   * database.
   */
  tenant<Tables, Result>(tenantId: string, work: (tx: Tx<Tables>) => Promise<Result>): Promise<Result>;

  /** As `tenant`, over the rows of all tenants: for start-up, sweeps and platform tables. */
  system<Tables, Result>(work: (tx: Tx<Tables>) => Promise<Result>): Promise<Result>;

  /**
   * Applies what is missing in the order given, under a lock so that nodes starting together do not collide.
   * Rejects with `migration_failed` when one fails, or when one that was applied has been edited since.
   */
  migrate(migrations: readonly Migration[]): Promise<MigrationReport>;

  /** Resolves when a trivial query answers within `timeoutMs`, rejects with `store_unavailable` otherwise. */
  ping(timeoutMs: number): Promise<void>;
}
