/**
 * Test support: a real Redis in a folder and on a socket of its own. Not part of the product.
 *
 *   const missing = redisServerMissing();          // the reason to skip, by name, or false
 *   const server = await startRedisServer();       // server.url, server.kill(), await server.stop()
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const binary = process.env.HOTSWAP_TEST_REDIS_SERVER ?? "redis-server";

/** Why tests that need Redis cannot run here, for the `skip` option of a test; false when they can. */
export function redisServerMissing(): string | false {
  const found = spawnSync(binary, ["--version"]).status === 0;
  return found ? false : `${binary} was not found (Debian package redis-server)`;
}

export class RedisServer {
  readonly folder: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;

  constructor(folder: string, args: readonly string[]) {
    this.folder = folder;
    this.#args = args;
  }

  /** For clients of this repository and of npm `redis`. */
  get url(): string {
    return `unix://${this.folder}/redis.sock`;
  }

  /** Starts it, or starts it again on the same folder after `kill`. Resolves when it accepts connections. */
  async start(more: readonly string[] = []): Promise<void> {
    const socket = ["--port", "0", "--unixsocket", join(this.folder, "redis.sock")];
    const child = spawn(binary, [...socket, "--dir", this.folder, ...this.#args, ...more], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child = child;
    // A test that fails must neither wait for its server nor leave it behind.
    child.unref();
    const killChild = () => child.kill("SIGKILL");
    process.once("exit", killChild);
    child.once("exit", () => process.off("exit", killChild));
    let output = "";
    for await (const chunk of child.stdout.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
      output += chunk;
      if (!/ready to accept connections/i.test(output)) continue;
      child.stdout.resume();
      (child.stdout as Socket).unref();
      return;
    }
    throw new Error(`redis-server did not start:\n${output}`);
  }

  /** As a crash: no farewell, nothing saved. Resolves when the process is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.ref(); // somebody waits for it now
    child.kill("SIGKILL");
    await exited;
  }

  /** Freezes it: connections stay open and are accepted, nothing is answered. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Ends it and removes its folder. */
  async stop(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A started server without persistence unless `args` say so, such as `["--appendonly", "yes"]`. */
export async function startRedisServer(args: readonly string[] = ["--save", ""]): Promise<RedisServer> {
  const server = new RedisServer(await mkdtemp(join(tmpdir(), "hotswap-redis-")), args);
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}
