/**
 * A real PostgreSQL for the tests of every room: one embedded server per test process, an own empty database per
 * call. The server keeps nothing on disk for long: it does not sync, and its folder goes away with the process,
 * also when that is killed.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, stat, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { systemClock } from "../../core/clock.ts";
import { findBinaries } from "./embedded/binaries.ts";
import { type Connection, PostgresServer, type ServerOptions } from "./embedded/server.ts";
import { findUnprivileged } from "./embedded/unprivileged.ts";
import { ensureApplication } from "./embedded.ts";
import { type Migration, openSql, type Sql } from "./index.ts";

export interface TestDatabase {
  /** Started, as the application's role, with the migrations applied. */
  sql: Sql;
  /** For a second connection, or a second node. */
  url: string;
  /** Disconnects and drops the database. */
  close(): Promise<void>;
}

let server: Promise<PostgresServer> | undefined;
let databases = 0;

export async function testDatabase(migrations: readonly Migration[] = []): Promise<TestDatabase> {
  server ??= startServer();
  const { connection } = await server;
  const database = `test_${++databases}`;
  await ensureApplication(connection, database);
  const url = urlOf(connection, database);
  const sql = openSql({ sql: url, data: "" });
  await sql.start();
  if (migrations.length > 0) await sql.migrate(migrations);
  return {
    sql,
    url,
    async close() {
      await sql.stop();
      await asSuperuser(connection, `drop database if exists ${database} with (force)`);
    },
  };
}

function urlOf({ host, port }: Connection, database: string): string {
  return `postgres://hotswap@localhost:${port}/${database}?host=${encodeURIComponent(host)}`;
}

/** For what the application's role may not do, such as ending a backend from outside. */
export async function asSuperuser(connection: Connection, text: string): Promise<void> {
  const client = new pg.Client({ ...connection, user: "postgres", database: "postgres" });
  await client.connect();
  await client.query(text).finally(() => client.end());
}

export const withoutSync = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  autovacuum: "off",
};

async function startServer(): Promise<PostgresServer> {
  const home = await dataFolder("hotswap-test-");
  const started = new PostgresServer({
    ...(await serverOptions(home)),
    folder: join(home, "postgres"),
    removeAfterwards: home,
  });
  await started.start();
  return started;
}

async function serverOptions(home: string): Promise<Omit<ServerOptions, "folder">> {
  const binaries = await findBinaries();
  const unprivileged = await findUnprivileged(binaries.postgres, home);
  return { binaries, unprivileged, clock: systemClock, settings: withoutSync };
}

/** What the application's database holds from the start. */
export interface Schema {
  /** Another one for other migrations. */
  name: string;
  migrations(): Promise<readonly Migration[]>;
}

const empty: Schema = { name: "application", migrations: async () => [] };

/**
 * A new data folder as a first start leaves it, for servers whose first start is not what is tested: it takes
 * longer than all that follows.
 */
export async function dataFolder(prefix: string, schema = empty): Promise<string> {
  const home = await mkdtemp(join(await fastFolder(), prefix));
  await promisify(execFile)("cp", ["-R", await template(schema), join(home, "postgres")]);
  return home;
}

/** Memory where there is plenty of it: to copy the cluster onto a disk takes longer than all the rest. */
export async function fastFolder(): Promise<string> {
  const memory = await statfs("/dev/shm").catch(() => undefined);
  const free = memory ? memory.bavail * memory.bsize : 0;
  return free > 2 ** 31 ? "/dev/shm" : tmpdir();
}

/** A cluster with the application's role and database: made once per checkout and schema, and copied ever after. */
async function template({ name, migrations }: Schema): Promise<string> {
  const cache = fileURLToPath(new URL("../../../node_modules/.cache/hotswap/", import.meta.url));
  await mkdir(cache, { recursive: true });
  const options = await serverOptions(cache);
  const folder = join(cache, `postgres-${options.binaries.version}-${name}`);
  const exists = await stat(folder).then(
    () => true,
    () => false,
  );
  if (exists) return folder;
  const draft = await mkdtemp(join(await fastFolder(), "hotswap-template-"));
  const made = new PostgresServer({ ...options, folder: join(draft, "postgres") });
  await made.start();
  await prepare(made.connection, await migrations()).finally(() => made.stop());
  const near = await mkdtemp(join(cache, "draft-"));
  await promisify(execFile)("cp", ["-R", join(draft, "postgres"), near]);
  // Another test process may have been quicker; its folder is as good.
  await rename(join(near, "postgres"), folder).catch(() => {});
  for (const left of [near, draft]) await rm(left, { recursive: true });
  return folder;
}

async function prepare(connection: Connection, migrations: readonly Migration[]): Promise<void> {
  await ensureApplication(connection);
  if (migrations.length === 0) return;
  const sql = openSql({ sql: urlOf(connection, "hotswap"), data: "" });
  await sql.start();
  await sql.migrate(migrations).finally(() => sql.stop());
}
