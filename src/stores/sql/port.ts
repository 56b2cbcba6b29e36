/**
 * PostgreSQL, embedded or external, behind one door. All work happens in a transaction that knows its tenant:
 * row-level security is forced on tenant tables and reads `hotswap.tenant`, which is set with
 * `set_config(…, true)` inside the transaction only, so it is safe behind PgBouncer.
 */
import type { Transaction } from "kysely";
import type { Service } from "../../core/lifecycle.ts";

/** A transaction over the tables of one room. */
export type Tx<Tables> = Transaction<Tables>;

/** For code that writes to its own tables inside another room's transaction, such as the audit. */
// biome-ignore lint/suspicious/noExplicitAny: Kysely's Transaction is invariant in its tables
export type AnyTx = Transaction<any>;

/** One step of the schema: plain SQL, applied once, in the order of the names. */
export interface Migration {
  /** `<room>/<number>_<what>`, such as `messaging/0001_topics`. */
  name: string;
  sql: string;
}

export interface Sql extends Service {
  /** Which PostgreSQL this is, such as 180004. Known after start. */
  readonly serverVersion: number;

  /** Runs `work` in a transaction that sees and writes this tenant's rows only. Annotate `tx` with the room's tables. */
  tenant<Tables, Result>(tenantId: string, work: (tx: Tx<Tables>) => Promise<Result>): Promise<Result>;

  /** Runs `work` in a transaction that sees all tenants: for start-up, sweeps and platform tables. */
  system<Tables, Result>(work: (tx: Tx<Tables>) => Promise<Result>): Promise<Result>;

  /** Applies what is missing, under a lock so that nodes starting together do not collide. Resolves to the names applied. */
  migrate(migrations: readonly Migration[]): Promise<string[]>;

  /** Resolves when a trivial query answers within `timeoutMs`, rejects with `store_unavailable` otherwise. */
  ping(timeoutMs: number): Promise<void>;
}
