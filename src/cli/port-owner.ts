/**
 * Who listens on a port of this machine, for the message that it is taken. Linux only, and only as far as the
 * caller may look; not knowing is no error.
 */
import { readdir, readFile, readlink } from "node:fs/promises";
import { createServer } from "node:net";
import { HotSwapError } from "../core/errors.ts";

/** Rejects with `port_in_use` and the name of the owner. Before anything else is started: it takes no time. */
export async function requireFreePort(host: string, port: number): Promise<void> {
  if (port === 0) return;
  const code = await tryToListen(host, port);
  if (code !== "EADDRINUSE") return; // anything else the server itself says better
  const owner = await portOwner(port);
  const by = owner ? ` by process ${owner.pid} (${owner.command})` : "";
  throw new HotSwapError("port_in_use", `${host}:${port} is taken${by}.`);
}

function tryToListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
    server.listen(port, host, () => server.close(() => resolve(undefined)));
  });
}

export interface PortOwner {
  pid: number;
  /** The program and its first arguments. */
  command: string;
}

export async function portOwner(port: number): Promise<PortOwner | undefined> {
  const inodes = (await Promise.all(["tcp", "tcp6"].map((table) => listeners(table, port)))).flat();
  if (inodes.length === 0) return undefined;
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    const handles = await readdir(`/proc/${pid}/fd`).catch(() => []); // another user's, or gone
    const targets = await Promise.all(
      handles.map((handle) => readlink(`/proc/${pid}/fd/${handle}`).catch(() => "")),
    );
    if (!inodes.some((inode) => targets.includes(`socket:[${inode}]`))) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    return { pid: Number(pid), command: command.split("\0").join(" ").trim().slice(0, 60) };
  }
  return undefined;
}

const listening = "0A";

/** Inodes of the sockets that listen on the port, from proc_pid_net(5). */
async function listeners(table: string, port: number): Promise<string[]> {
  const text = await readFile(`/proc/net/${table}`, "utf8").catch(() => "");
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return text
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((cells) => cells[1]?.endsWith(`:${hex}`) && cells[3] === listening)
    .map((cells) => cells[9]!);
}
