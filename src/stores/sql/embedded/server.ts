/**
 * One PostgreSQL server as a child process on a cluster folder: no TCP, a socket in a folder that only its
 * owner may enter. The caller holds the lock of the data folder. A server that ends unasked is started again
 * until `stop`.
 */
import { type FileHandle, open, readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, sleep } from "../../../core/clock.ts";
import { HotSwapError } from "../../../core/errors.ts";
import type { Binaries } from "./binaries.ts";
import { type Child, startChild } from "./child.ts";
import { ensureCluster } from "./cluster.ts";
import { endOrphans } from "./orphans.ts";
import { makeSocketFolder, removeSocketFolder } from "./socketfolder.ts";
import type { Unprivileged } from "./unprivileged.ts";

export interface ServerOptions {
  /** The cluster; made when it does not exist. Its parent folder must exist. */
  folder: string;
  binaries: Binaries;
  unprivileged: Unprivileged;
  clock: Clock;
  /** Settings of PostgreSQL on top of those below. */
  settings?: Record<string, string>;
  /** For tests: a folder that disappears when the server has ended, also after a kill of this process. */
  removeAfterwards?: string;
}

const maxLogBytes = 1024 * 1024;
const firstDelayMs = 50;

const baseSettings: Record<string, string> = {
  listen_addresses: "",
  port: "5432", // part of the socket's name
  max_connections: "50",
  shared_buffers: "64MB",
  // In the data folder: what lies in /dev/shm is removed under a running server when its user logs out (systemd's
  // RemoveIPC) or somebody tidies up, and no new connection would be possible from then on.
  dynamic_shared_memory_type: "mmap",
  timezone: "UTC",
  log_timezone: "UTC",
  // Only about the server itself: errors of statements reach the caller, and their text may hold private data.
  log_min_messages: "log",
  log_min_error_statement: "panic",
  log_checkpoints: "off",
  // Beside Node on one machine: no processes for parallel reads, which also need more of /dev/shm than containers have.
  max_parallel_workers_per_gather: "0",
  jit: "off",
};

/** io_method sync: three processes less, and the data is small. */
function newerSettings(major: number): Record<string, string> {
  return major >= 18 ? { io_method: "sync" } : {};
}

export interface Connection {
  host: string;
  port: number;
  ssl: false;
}

export class PostgresServer {
  #socketFolder = "";
  readonly #options: ServerOptions;
  readonly #logFile: string;
  readonly #settings: Record<string, string>;
  #child: Child | undefined;
  #stopping = new AbortController();
  #watching: Promise<void> = Promise.resolve();

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#logFile = `${options.folder}.log`;
    this.#settings = { ...baseSettings, ...newerSettings(options.binaries.major), ...options.settings };
  }

  /** How to connect, after start. Every part is given, so that no PGPORT or PGSSLMODE of the environment steps in. */
  get connection(): Connection {
    return { host: this.#socketFolder, port: Number(this.#settings.port), ssl: false };
  }

  async start(): Promise<void> {
    this.#stopping = new AbortController();
    const { folder, unprivileged, clock } = this.#options;
    await this.#rotateLog();
    await endOrphans(folder, clock);
    await this.#withLog((log) => ensureCluster({ ...this.#options, output: log.fd }));
    this.#socketFolder = await makeSocketFolder(folder, unprivileged.owner);
    const child = await this.#launch();
    this.#watching = this.#restartWhenEnded(child);
  }

  /** Ends the server orderly and waits for it. Idempotent; does nothing when it never ran. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#child?.end();
    await this.#child?.exited;
    await this.#watching;
    if (this.#socketFolder) await removeSocketFolder(this.#socketFolder);
    this.#socketFolder = "";
  }

  async #launch(): Promise<Child> {
    const { folder, binaries, unprivileged, removeAfterwards } = this.#options;
    const settings = {
      ...this.#settings,
      unix_socket_directories: `"${this.#socketFolder.replaceAll('"', '""')}"`, // else a list, by commas
      unix_socket_permissions: "0700",
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const child = await this.#withLog((log) =>
      startChild(unprivileged, [binaries.postgres, "-D", folder, ...flags], {
        output: log.fd,
        ...(removeAfterwards ? { removeAfterwards } : {}),
      }),
    );
    this.#child = child;
    await this.#ready(child);
    child.unref();
    return child;
  }

  /** Resolves when connections are accepted, however long the recovery takes; rejects when the server gives up. */
  async #ready(child: Child): Promise<void> {
    let ended = false;
    child.exited.then(() => {
      ended = true;
    });
    while (!ended) {
      const lines = await readFile(join(this.#options.folder, "postmaster.pid"), "utf8").catch(() => "");
      if (lines.split("\n")[7]?.trim() === "ready") return;
      await sleep(this.#options.clock, 2);
    }
    throw new HotSwapError(
      "store_unavailable",
      `The embedded PostgreSQL did not start: ${await this.#lastWords()}`,
    );
  }

  async #restartWhenEnded(child: Child): Promise<void> {
    const { folder, clock } = this.#options;
    const { signal } = this.#stopping;
    await child.exited;
    for (let delayMs = firstDelayMs; !signal.aborted; delayMs = Math.min(delayMs * 2, 5_000)) {
      try {
        await endOrphans(folder, clock);
        const next = await this.#launch();
        delayMs = firstDelayMs;
        await next.exited;
      } catch {
        // Its log says why; callers see `store_unavailable` until it is back.
      }
      await sleep(clock, delayMs, signal).catch(() => {}); // stopping
    }
  }

  async #withLog<Result>(use: (log: FileHandle) => Promise<Result>): Promise<Result> {
    const log = await open(this.#logFile, "a", 0o600);
    return use(log).finally(() => log.close());
  }

  async #rotateLog(): Promise<void> {
    const size = await stat(this.#logFile).then(
      (found) => found.size,
      () => 0,
    );
    if (size > maxLogBytes) await rename(this.#logFile, `${this.#logFile}.1`);
  }

  async #lastWords(): Promise<string> {
    const lines = (await readFile(this.#logFile, "utf8")).trim().split("\n");
    const said = lines.findLast((line) => /(FATAL|PANIC|error|could not)/.test(line)) ?? lines.at(-1) ?? "";
    return said.replace(/^.*?(FATAL|PANIC):\s*/, "");
  }
}
