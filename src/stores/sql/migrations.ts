/**
 * The schema, step by step. A room keeps its steps as `migrations/NNNN_what.sql`; each is applied once, in a
 * transaction of its own, and remembered with its checksum in `hotswap_migrations`.
 *
 * There is no lock around the whole run: every step takes the lock within its own transaction and looks again
 * what is missing. So nodes that start together share the work, a killed node leaves no lock behind, and
 * PgBouncer may stand between (refused: Kysely's Migrator, whose lock is one long transaction and whose
 * bookkeeping knows no checksums).
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { sql } from "kysely";
import { HotSwapError, hasCode } from "../../core/errors.ts";
import { storeFailure } from "./failures.ts";
import type { Migration, MigrationReport, Tx } from "./port.ts";

interface Tables {
  hotswap_migrations: { name: string; checksum: string };
}

type Transact = <Result>(work: (tx: Tx<Tables>) => Promise<Result>) => Promise<Result>;

/** Any number that no other user of advisory locks in this database takes. */
const lockKey = 4_871_532_081;

/** Reads a room's steps, in order. Every file of the folder must be named `NNNN_what.sql`. */
export async function loadMigrations(room: string, folder: URL): Promise<Migration[]> {
  const files = (await readdir(folder)).sort();
  const numbers = new Set<string>();
  for (const file of files) {
    const number = /^(\d{4})_[a-z0-9_]+\.sql$/.exec(file)?.[1];
    if (!number) throw new Error(`${room}: ${file} is not named NNNN_what.sql`);
    if (numbers.has(number)) throw new Error(`${room}: there are two migrations numbered ${number}`);
    numbers.add(number);
  }
  const base = new URL(folder.href.endsWith("/") ? folder.href : `${folder.href}/`);
  return Promise.all(
    files.map(async (file) => ({
      name: `${room}/${file.slice(0, -".sql".length)}`,
      sql: await readFile(new URL(file, base), "utf8"),
    })),
  );
}

/** Applies what is missing. See the port for order and errors. */
export async function migrate(
  transaction: Transact,
  migrations: readonly Migration[],
): Promise<MigrationReport> {
  const report: MigrationReport = { applied: [], unknown: [] };
  const known = new Set(migrations.map((migration) => migration.name));
  for (;;) {
    const step = await transaction(async (tx) => {
      const checksums = await lockAndRead(tx);
      for (const migration of migrations) refuseWhenChanged(migration, checksums);
      const next = migrations.find(({ name }) => !checksums.has(name));
      if (next) await apply(tx, next);
      return { name: next?.name, unknown: [...checksums.keys()].filter((name) => !known.has(name)) };
    });
    if (!step.name) return { ...report, unknown: step.unknown };
    report.applied.push(step.name);
  }
}

async function lockAndRead(tx: Tx<Tables>): Promise<Map<string, string>> {
  await sql`select pg_advisory_xact_lock(${lockKey})`.execute(tx);
  await sql`create table if not exists hotswap_migrations (
    name text primary key,
    checksum text not null,
    applied_at timestamptz not null default now()
  )`.execute(tx);
  const rows = await tx
    .selectFrom("hotswap_migrations")
    .select(["name", "checksum"])
    .orderBy("name")
    .execute();
  return new Map(rows.map((row) => [row.name, row.checksum]));
}

function refuseWhenChanged(migration: Migration, checksums: ReadonlyMap<string, string>): void {
  const applied = checksums.get(migration.name);
  if (applied === undefined || applied === checksumOf(migration)) return;
  throw new HotSwapError(
    "migration_failed",
    `${migration.name} was changed after it had been applied to this database. Add a new migration instead.`,
  );
}

async function apply(tx: Tx<Tables>, migration: Migration): Promise<void> {
  try {
    await sql.raw(migration.sql).execute(tx);
    await tx
      .insertInto("hotswap_migrations")
      .values({ name: migration.name, checksum: checksumOf(migration) })
      .execute();
  } catch (error) {
    const failure = storeFailure(error);
    if (hasCode(failure, "store_unavailable")) throw error; // so that a deadlock is tried again
    const why = error instanceof Error ? error.message : String(error);
    throw new HotSwapError("migration_failed", `${migration.name}: ${why}`, { cause: error });
  }
}

/** Of the text with plain line ends, so that a checkout on another system is the same migration. */
function checksumOf(migration: Migration): string {
  return createHash("sha256").update(migration.sql.replaceAll("\r\n", "\n")).digest("hex");
}
