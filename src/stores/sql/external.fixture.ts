/** Servers that Debian brings, for the tests of the external store: PostgreSQL 15, and PgBouncer before it. */
import { existsSync } from "node:fs";
import { access, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../core/clock.ts";
import { startChild } from "./embedded/child.ts";
import { PostgresServer } from "./embedded/server.ts";
import { findUnprivileged } from "./embedded/unprivileged.ts";
import { ensureApplication } from "./embedded.ts";
import { withoutSync } from "./testing.ts";

// `npm test` unpacks the servers here for a user who may not install them.
const unpacked = process.env.HOTSWAP_TEST_SERVERS;

function locate(program: string, folder: string): string {
  const here = unpacked && join(unpacked, program);
  return here && existsSync(here) ? here : join(folder, program);
}

const bin = "/usr/lib/postgresql/15/bin";
const binaries = {
  initdb: locate("initdb", bin),
  postgres: locate("postgres", bin),
  version: "15",
  major: 15,
};
const pgbouncer = locate("pgbouncer", "/usr/sbin");

/** The first program that is not installed here. */
async function firstMissing(programs: string[]): Promise<string | undefined> {
  for (const program of programs) {
    const missing = await access(program).catch(() => program);
    if (missing) return missing;
  }
  return undefined;
}

export const missingServer = await firstMissing([binaries.postgres]);
export const missingBouncer = await firstMissing([binaries.postgres, pgbouncer]);
export const missingTls = await firstMissing([binaries.postgres, locate("openssl", "/usr/bin")]);

export interface ExternalServer {
  /** A folder for whatever else the test needs; removed at the end. */
  home: string;
  postgres: PostgresServer;
  url: string;
  close(): Promise<void>;
}

/** PostgreSQL 15 with role and database `hotswap`, on a socket. `prepare` makes settings out of the folder. */
export async function startDebianServer(
  prepare: (home: string) => Promise<Record<string, string>> = async () => ({}),
): Promise<ExternalServer> {
  const home = await mkdtemp(join(tmpdir(), "hotswap-external-"));
  const unprivileged = await findUnprivileged(binaries.postgres, home);
  const settings = { ...withoutSync, ...(await prepare(home)) };
  const folder = join(home, "postgres");
  const postgres = new PostgresServer({ folder, binaries, unprivileged, clock: systemClock, settings });
  await postgres.start();
  await ensureApplication(postgres.connection);
  return {
    home,
    postgres,
    url: overSocket(postgres.connection.host, 5432),
    async close() {
      await postgres.stop();
      await rm(home, { recursive: true });
    },
  };
}

/** The same behind PgBouncer in transaction mode, with fewer connections to the server than it accepts. */
export async function startBehindBouncer(): Promise<ExternalServer> {
  const server = await startDebianServer();
  const { home, postgres } = server;
  const settings = [
    "[databases]",
    `hotswap = host=${postgres.connection.host} port=5432 user=hotswap`,
    "[pgbouncer]",
    "listen_addr =",
    `unix_socket_dir = ${home}`,
    "auth_type = any",
    "pool_mode = transaction",
    "default_pool_size = 4",
    "server_login_retry = 0",
  ];
  await writeFile(join(home, "bouncer.ini"), settings.join("\n"));
  const unprivileged = await findUnprivileged(pgbouncer, home);
  const log = await open(join(home, "bouncer.log"), "a");
  const command = [pgbouncer, join(home, "bouncer.ini")];
  const bouncer = await startChild(unprivileged, command, { output: log.fd }).finally(() => log.close());
  return {
    ...server,
    url: overSocket(home, 6432),
    async close() {
      bouncer.end();
      await bouncer.exited;
      await server.close();
    },
  };
}

function overSocket(folder: string, port: number): string {
  return `postgres://hotswap@localhost:${port}/hotswap?host=${encodeURIComponent(folder)}`;
}
