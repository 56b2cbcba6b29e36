/** A real HotSwap in a process and a data folder of its own, for tests that need one. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { serverFolder } from "../../test/server-folder.ts";

export interface TestServer {
  api: string;
  /** The console's address, with the token in its fragment. */
  console: string;
  token: string;
  data: string;
  /** Drains and waits for the end; the data stays for another start. Rejects when it had ended unasked. */
  stop(): Promise<void>;
  /** Stops and removes the data. */
  remove(): Promise<void>;
}

const launcher = fileURLToPath(new URL("../../bin/hotswap.js", import.meta.url));

/** Resolves when the server says that it is ready; rejects with its last words when it ends before that. */
export async function startServer({
  data,
  port = 0,
}: {
  data?: string;
  port?: number;
} = {}): Promise<TestServer> {
  const folder = data ?? (await serverFolder("hotswap-client-"));
  const args = [launcher, "dev", "--data", folder, "--port", String(port), "--json"];
  // Settings of the machine that runs the test have no say.
  const settings = Object.entries(process.env).filter(([name]) => !name.startsWith("HOTSWAP_"));
  const env = { ...Object.fromEntries(settings), HOTSWAP_GATEWAY_PORT: "0" };
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-4000);
  });
  const ended = once(child, "exit");
  const line = once(createInterface(child.stdout), "line") as Promise<[string]>;
  const first = await Promise.race([line, ended.then(() => undefined)]);
  if (!first) {
    if (data === undefined) await rm(folder, { recursive: true, force: true });
    throw new Error(`The server ended before it was ready:\n${errors}`);
  }
  let isAsked = false;
  const stop = async () => {
    const isOver = child.exitCode !== null || child.signalCode !== null;
    if (isOver && !isAsked) throw new Error(`The server ended before it was told to:\n${errors}`);
    isAsked = true;
    if (!isOver) child.kill("SIGTERM");
    await ended;
  };
  const remove = () => stop().finally(() => rm(folder, { recursive: true, force: true }));
  return {
    ...(JSON.parse(first[0]) as Pick<TestServer, "api" | "console" | "token">),
    data: folder,
    stop,
    remove,
  };
}
