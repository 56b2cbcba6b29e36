/** The SQL store: PostgreSQL, embedded under the data folder or external by URL. */
import { type Clock, systemClock } from "../../core/clock.ts";
import { Database, defaultLimits, type PoolLimits } from "./database.ts";
import { embeddedServer } from "./embedded.ts";
import { externalServer } from "./external.ts";
import type { Sql } from "./port.ts";

export { allowIdle } from "./database.ts";
export { isUniqueViolation } from "./failures.ts";
export { loadMigrations } from "./migrations.ts";
export type { AnyTx, Migration, MigrationReport, Sql, Tx } from "./port.ts";

export interface SqlOptions extends Partial<PoolLimits> {
  /** `embedded` (the default), or postgres://user:password@host:port/database. */
  sql?: string | undefined;
  /** The data folder, which the embedded server locks and keeps its files in. */
  data: string;
  clock?: Clock;
}

/** Nothing is opened, started or checked before `start`. */
export function openSql({ sql = "embedded", data, clock = systemClock, ...limits }: SqlOptions): Sql {
  const pool = { ...defaultLimits, ...limits };
  const server = sql === "embedded" ? embeddedServer(data, pool.poolSize, clock) : externalServer(sql);
  return new Database(server, pool, clock);
}
