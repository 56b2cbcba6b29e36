/**
 * PostgreSQL that comes with HotSwap, as a child process on a folder of its own. See embedded/README.md for how
 * it is owned, started after any kind of end, and kept from outliving its parent.
 */
import { mkdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import type { Clock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import { type FolderLock, lockFolder } from "../folderlock.ts";
import type { SqlServer } from "./database.ts";
import { findBinaries } from "./embedded/binaries.ts";
import { type Connection, PostgresServer } from "./embedded/server.ts";
import { findUnprivileged } from "./embedded/unprivileged.ts";

/** Role and database of the application. The role owns its database; a superuser would pass by row-level security. */
const application = "hotswap";

export function embeddedServer(data: string, poolSize: number, clock: Clock): SqlServer {
  let lock: FolderLock | undefined;
  let server: PostgresServer | undefined;

  async function stop() {
    await server?.stop();
    server = undefined;
    await lock?.release();
    lock = undefined;
  }

  async function start() {
    const folder = await makeFolder(data);
    lock = await lockFolder(folder);
    const binaries = await findBinaries();
    const unprivileged = await findUnprivileged(binaries.postgres, folder);
    const settings = { max_connections: String(poolSize + 10) };
    server = new PostgresServer({
      folder: join(folder, "postgres"),
      binaries,
      unprivileged,
      clock,
      settings,
    });
    await server.start();
    await ensureApplication(server.connection);
    return { ...server.connection, user: application, database: application };
  }

  return { start, stop };
}

async function makeFolder(data: string): Promise<string> {
  try {
    await mkdir(data, { recursive: true, mode: 0o700 });
    return await realpath(data); // one name, however it is reached
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code;
    throw new HotSwapError("setting_invalid", `The data folder ${data} cannot be made (${why}).`, { cause });
  }
}

/** The superuser is used for this alone. Idempotent: a first start that was cut off here is made good by the next. */
export async function ensureApplication(connection: Connection, database = application): Promise<void> {
  const client = new pg.Client({ ...connection, user: "postgres", database: "postgres" });
  await client.connect();
  try {
    const { rows } = await client.query<{ role: boolean; database: boolean }>(
      `select exists (select from pg_roles where rolname = $1) as role,
              exists (select from pg_database where datname = $2) as database`,
      [application, database],
    );
    if (!rows[0]!.role) await client.query(`create role ${application} login`);
    if (!rows[0]!.database) await client.query(`create database ${database} owner ${application}`);
  } finally {
    await client.end();
  }
}
