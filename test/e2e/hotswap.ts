/** HotSwap as its users run it: real processes of the launcher, each server with a data folder of its own. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import { fastFolder } from "../../src/stores/sql/testing.ts";
import * as templates from "../server-folder.ts";

const launcher = fileURLToPath(new URL("../../bin/hotswap.js", import.meta.url));

export type Variables = Record<string, string>;

/** Without the caller's own HotSwap variables, which a test must not depend on; servers side by side share no port. */
export function environment(more: Variables = {}): Variables {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("HOTSWAP_"));
  return { ...(Object.fromEntries(own) as Variables), HOTSWAP_GATEWAY_PORT: "0", ...more };
}

const running = new Set<ChildProcessWithoutNullStreams>();

// A test that fails in the middle must leave nothing behind that keeps the file from ending.
after(() => {
  for (const child of running) child.kill("SIGKILL");
});

export function spawnHotswap(args: string[], env: Variables = {}, cwd = tmpdir()) {
  const child = spawn(process.execPath, [launcher, ...args], { env: environment(env), cwd });
  running.add(child);
  child.once("exit", () => running.delete(child));
  child.stdin.on("error", () => {}); // it ended early; its exit code says why
  return child;
}

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

export async function finished(child: ChildProcessWithoutNullStreams): Promise<Finished> {
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

/** Runs a command to its end. */
export function hotswap(args: string[], env: Variables = {}, input = ""): Promise<Finished> {
  const child = spawnHotswap(args, env);
  child.stdin.end(input);
  return finished(child);
}

export interface ServerFacts {
  api: string;
  /** Of the API gateway. */
  gateway: string;
  console: string;
  token: string;
  mode: string;
  pid: number;
  readyMs: number;
}

export interface ServerOptions {
  data: string;
  command?: "dev" | "start";
  port?: number;
  env?: Variables;
  args?: readonly string[];
}

export class Server {
  readonly facts: ServerFacts;
  readonly data: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<unknown[]>;
  stderr = "";

  /** Resolves when it says that it is ready; rejects with its last words when it ends before. */
  static async start({
    data,
    command = "dev",
    port = 0,
    env = {},
    args: more = [],
  }: ServerOptions): Promise<Server> {
    const args = [command, "--data", data, "--port", String(port), "--json", ...more];
    const child = spawnHotswap(args, env);
    const ended = once(child, "close");
    let stderr = "";
    const early = (text: string) => (stderr += text);
    child.stderr.setEncoding("utf8").on("data", early);
    const line = once(createInterface(child.stdout), "line") as Promise<[string]>;
    const first = await Promise.race([line, ended.then(() => undefined)]);
    if (!first) throw new Error(`The server ended before it was ready:\n${stderr}`);
    child.stderr.off("data", early);
    return new Server(child, ended, data, JSON.parse(first[0]));
  }

  private constructor(
    child: ChildProcessWithoutNullStreams,
    ended: Promise<unknown[]>,
    data: string,
    facts: ServerFacts,
  ) {
    this.#child = child;
    this.#ended = ended;
    this.data = data;
    this.facts = facts;
    child.stderr.on("data", (text: string) => (this.stderr += text));
  }

  /** For commands that are to reach it as its administrator. */
  get env(): Variables {
    return { HOTSWAP_URL: this.facts.api, HOTSWAP_TOKEN: this.facts.token };
  }

  /** kill -9; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null> {
    this.#child.kill("SIGTERM");
    return this.exit();
  }

  /** The exit code, when it ends. */
  async exit(): Promise<number | null> {
    const [code] = (await this.#ended) as [number | null];
    return code;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

export interface Folder extends AsyncDisposable {
  path: string;
}

/** Empty: a server's first start there makes everything. */
export async function temporaryFolder(): Promise<Folder> {
  return removed(await mkdtemp(join(await fastFolder(), "hotswap-e2e-")));
}

/** For a server whose first start is not what is tested. */
export async function serverFolder(): Promise<Folder> {
  return removed(await templates.serverFolder("hotswap-e2e-"));
}

function removed(path: string): Folder {
  // The children of a killed server may still be writing there for a moment.
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 20 }) };
}

/** Below what the system gives to outgoing connections, so that it is still free after a restart. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await Promise.race([
      once(server, "listening").then(() => true),
      once(server, "error").then(() => false),
    ]).catch(() => false);
    server.close();
    if (isFree) return port;
  }
}
