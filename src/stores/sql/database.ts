/**
 * The Sql port over a pool of connections to one PostgreSQL server. Where the server comes from is the business
 * of its `SqlServer`: a URL (external.ts) or a child process (embedded.ts).
 *
 * Nothing is left in a session: tenant and timeouts are set for one transaction, no statement is named, no lock
 * outlives a transaction. So PgBouncer in transaction mode may stand between.
 */
import { Kysely, PostgresDialect, sql } from "kysely";
import pg from "pg";
import type { Clock } from "../../core/clock.ts";
import { sleep } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import { isConflict, isCutOff, storeFailure } from "./failures.ts";
import { inspect } from "./inspection.ts";
import { migrate } from "./migrations.ts";
import type { AnyTx, Migration, MigrationReport, Sql, Tx } from "./port.ts";
import { parserOf } from "./values.ts";

export interface SqlServer {
  /** Resolves to how to connect, when the server accepts connections. */
  start(): Promise<pg.ClientConfig>;
  stop(): Promise<void>;
}

export interface PoolLimits {
  /** Connections held at most. */
  poolSize: number;
  /** How long a connection may take to be made, or to become free. */
  connectTimeoutMs: number;
  /** How long one statement may run. */
  statementTimeoutMs: number;
  /**
   * How long a transaction may wait for its next statement: a process that freezes in the middle of one keeps nobody
   * from its rows for longer. One that was only slow is begun anew.
   */
  idleInTransactionTimeoutMs: number;
}

export const defaultLimits: PoolLimits = {
  poolSize: 10,
  connectTimeoutMs: 5_000,
  statementTimeoutMs: 30_000,
  idleInTransactionTimeoutMs: 5_000,
};

const attempts = 3;

/** The tenant that stands for all; the policies of the tables know it. */
const everyTenant = "*";

// biome-ignore lint/suspicious/noExplicitAny: each room brings its own tables
type AnyKysely = Kysely<any>;

export class Database implements Sql {
  readonly name = "sql";
  serverVersion = 0;
  readonly #server: SqlServer;
  readonly #limits: PoolLimits;
  readonly #clock: Clock;
  #open: { config: pg.ClientConfig; pool: pg.Pool; kysely: AnyKysely } | undefined;

  constructor(server: SqlServer, limits: PoolLimits, clock: Clock) {
    this.#server = server;
    this.#limits = limits;
    this.#clock = clock;
  }

  async start(): Promise<void> {
    try {
      const config = await this.#server.start();
      // The server ends a slow statement; this ends the wait for a server that is gone without a word.
      const pool = this.#makePool({ ...config, query_timeout: this.#limits.statementTimeoutMs + 5_000 });
      this.#open = { config, pool, kysely: new Kysely({ dialect: new PostgresDialect({ pool }) }) };
      this.serverVersion = await inspect(pool);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.pool.end(); // Kysely's own end does nothing before its first query
    await this.#server.stop();
  }

  async tenant<Tables, Result>(tenantId: string, work: (tx: Tx<Tables>) => Promise<Result>): Promise<Result> {
    // Both would be read by the policies as something other than a tenant.
    if (tenantId === "" || tenantId === everyTenant) throw new TypeError(`"${tenantId}" is not a tenant`);
    return this.#transaction(this.#running().kysely, tenantId, work);
  }

  async system<Tables, Result>(work: (tx: Tx<Tables>) => Promise<Result>): Promise<Result> {
    return this.#transaction(this.#running().kysely, everyTenant, work);
  }

  async migrate(migrations: readonly Migration[]): Promise<MigrationReport> {
    // On a connection of its own, without time-outs: a step may take as long as it needs.
    const pool = this.#makePool(this.#running().config);
    const kysely = new Kysely({ dialect: new PostgresDialect({ pool }) });
    try {
      return await migrate((work) => this.#transaction(kysely, everyTenant, work, 0), migrations);
    } finally {
      await pool.end();
    }
  }

  async ping(timeoutMs: number): Promise<void> {
    const answered = new AbortController();
    const late = sleep(this.#clock, timeoutMs, answered.signal).then(() => {
      throw new HotSwapError("store_unavailable", `PostgreSQL did not answer within ${timeoutMs} ms.`);
    });
    try {
      await Promise.race([this.#running().pool.query("select 1"), late]);
    } catch (error) {
      throw storeFailure(error);
    } finally {
      answered.abort();
      late.catch(() => {}); // the abort's own rejection
    }
  }

  async #transaction<Tables, Result>(
    kysely: AnyKysely,
    tenant: string,
    work: (tx: Tx<Tables>) => Promise<Result>,
    statementTimeoutMs = this.#limits.statementTimeoutMs,
  ): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      // What is lost after this may have been committed.
      let isWorkDone = false;
      try {
        return await kysely.transaction().execute(async (tx) => {
          await this.#enter(tx, tenant, statementTimeoutMs);
          const result = await work(tx);
          isWorkDone = true;
          return result;
        });
      } catch (error) {
        const mayRepeat = isConflict(error) || (isCutOff(error) && !isWorkDone);
        if (attempt === attempts || !mayRepeat) throw storeFailure(error);
        // The other one is about to commit; to be back at once would be in its way again.
        await new Promise<void>((resolve) => this.#clock.after(10 * attempt, resolve, { keepAlive: true }));
      }
    }
  }

  /** Binds tenant and timeouts to this transaction, in one round trip. */
  #enter(tx: AnyTx, tenant: string, statementTimeoutMs: number): Promise<unknown> {
    const { idleInTransactionTimeoutMs } = this.#limits;
    return sql`select set_config('hotswap.tenant', ${tenant}, true),
      set_config('statement_timeout', ${String(statementTimeoutMs)}, true),
      set_config('idle_in_transaction_session_timeout', ${String(idleInTransactionTimeoutMs)}, true)`.execute(
      tx,
    );
  }

  #running() {
    if (!this.#open) throw new HotSwapError("store_unavailable", "The SQL store is not running.");
    return this.#open;
  }

  #makePool(config: pg.ClientConfig): pg.Pool {
    const pool = new pg.Pool({
      ...config,
      application_name: "hotswap",
      max: this.#limits.poolSize,
      connectionTimeoutMillis: this.#limits.connectTimeoutMs,
      maxLifetimeSeconds: 1_800, // so that after a fail-over nothing stays with the old primary
      keepAlive: true,
      allowExitOnIdle: true,
      types: { getTypeParser: parserOf },
    });
    // An idle connection was lost. The pool has dropped it already and makes another when one is needed.
    pool.on("error", () => {});
    // One that is in a transaction fails with its next statement; without a listener it would end the process.
    pool.on("connect", (client) => client.on("error", () => {}));
    return pool;
  }
}

/**
 * For the rest of this transaction: how long it may wait for its next statement. For work that computes for long
 * between two of them.
 */
export async function allowIdle(tx: AnyTx, ms: number): Promise<void> {
  await sql`select set_config('idle_in_transaction_session_timeout', ${String(ms)}, true)`.execute(tx);
}
