/**
 * A server of the benchmark as a child process: in its own process group, on loopback, ended by pid. Its output
 * goes to a file in its folder; on failure the end of it is the error message.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly folder: string;
  readonly env?: NodeJS.ProcessEnv;
  /** CPU list as taskset takes it, or undefined to let the kernel place the process. */
  readonly cpus: string | undefined;
  readonly readyWithinMs?: number;
}

export interface Child {
  readonly pid: number;
  /** The first line of output that `isReady` accepted. */
  readonly readyLine: string;
  stop(): Promise<void>;
}

/** Children that have not ended, so that an interrupt at any moment leaves none behind. */
const alive = new Map<ChildProcess, Promise<unknown>>();

export async function stopAllChildren(): Promise<void> {
  await Promise.all([...alive].map(([child, ended]) => stopChild(child, ended)));
}

/** Starts a server and resolves with the first line on stdout or stderr that `isReady` accepts. */
export async function startChild(command: Command, isReady: (line: string) => boolean): Promise<Child> {
  const [file, args] = pinned(command);
  const child = spawn(file, args, {
    cwd: command.folder,
    env: { ...process.env, ...command.env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const ended = once(child, "exit").catch(() => undefined);
  alive.set(child, ended);
  ended.then(() => alive.delete(child));
  const output = join(command.folder, "server.out");
  const sink = createWriteStream(output);
  try {
    const readyLine = await new Promise<string>((resolve, reject) => {
      const fail = (why: string) =>
        reject(new Error(`${command.file} ${why}; the end of its output:\n${tail(output)}`));
      const timer = setTimeout(() => fail("was not ready in time"), command.readyWithinMs ?? 60_000);
      child.once("error", reject);
      child.once("exit", (code, signal) => fail(`ended with ${signal ?? code}`));
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on("line", (line) => {
          sink.write(`${line}\n`);
          if (!isReady(line)) return;
          clearTimeout(timer);
          resolve(line);
        });
      }
    });
    return { pid: child.pid!, readyLine, stop: () => stopChild(child, ended) };
  } catch (error) {
    await stopChild(child, ended);
    throw error;
  }
}

async function stopChild(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (child.pid === undefined) return;
  child.kill("SIGTERM");
  const timer = setTimeout(() => killGroup(child.pid!), 20_000);
  await ended;
  clearTimeout(timer);
  killGroup(child.pid); // whatever a wrapper script has left behind
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The group is empty: everything in it has ended.
  }
}

function pinned({ file, args, cpus }: Command): [string, string[]] {
  return cpus === undefined ? [file, [...args]] : ["taskset", ["--cpu-list", cpus, file, ...args]];
}

function tail(file: string): string {
  return existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(-20).join("\n") : "(none)";
}

/** A port that was free a moment ago, for servers that cannot report the one they chose. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** The first of `names` that is an executable on PATH or an absolute path that exists. */
export function findProgram(...names: readonly string[]): string | undefined {
  const folders = `${process.env.PATH}${delimiter}/usr/sbin${delimiter}/usr/local/sbin`.split(delimiter);
  return names
    .flatMap((name) => (name.startsWith("/") ? [name] : folders.map((folder) => join(folder, name))))
    .find((file) => existsSync(file));
}

/** Like `findProgram`, but says how to get it when it is missing. */
export function needProgram(...names: readonly string[]): string {
  const file = findProgram(...names);
  if (!file)
    throw new Error(`${names.join(" or ")} is not installed; run: npm run bench:messaging -- --install`);
  return file;
}

/** The first version number in what a program prints. */
export function versionOf(file: string, ...args: readonly string[]): string {
  const text = execFileSync(file, args, { encoding: "utf8" });
  return /\d+\.\d+[\w.-]*/.exec(text)?.[0] ?? "unknown";
}
