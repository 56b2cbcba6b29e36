/** The loads: wrk for HTTP, clients of our own for tunnels and idle connections; and what the proxy spent on them. */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

export interface Result {
  readonly perSecond: number;
  readonly p99Ms: number;
  /** Of the proxy, user and system. */
  readonly cpuSecondsPer100k: number;
  /** Answers other than 2xx, and errors of sockets. */
  readonly errors: number;
}

const HERTZ = 100;

/** CPU seconds of a process so far. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / HERTZ;
}

export function residentBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * 4096;
}

export interface HttpLoad {
  readonly name: string;
  readonly path: string;
  readonly method?: string;
  readonly bodyBytes?: number;
  readonly tls?: boolean;
  readonly host?: string;
}

export const httpLoads: readonly HttpLoad[] = [
  { name: "GET 130 B", path: "/" },
  { name: "GET 130 B, TLS", path: "/", tls: true },
  { name: "POST 1 KB", path: "/", method: "POST", bodyBytes: 1024 },
  { name: "GET 1 MB", path: "/file" },
  { name: "PUT 1 MB", path: "/echo/upload", method: "PUT", bodyBytes: 1_048_576 },
];

const seconds: Readonly<Record<string, number>> = { us: 1e-6, ms: 1e-3, s: 1, m: 60 };

export async function runHttp(
  folder: string,
  port: number,
  pid: number,
  load: HttpLoad,
  duration: number,
): Promise<Result> {
  const script = join(folder, "load.lua");
  writeFileSync(
    script,
    `wrk.method = "${load.method ?? "GET"}"\n${load.host ? `wrk.headers["Host"] = "${load.host}"\n` : ""}${load.bodyBytes ? `wrk.body = string.rep("x", ${load.bodyBytes})\n` : ""}`,
  );
  const url = `${load.tls ? "https" : "http"}://127.0.0.1:${port}${load.path}`;
  const args = ["-c", "1", "wrk", "-t1", "-c64", `-d${duration}s`, "--latency", "-s", script, url];
  const before = cpuSeconds(pid);
  const { stdout } = await promisify(execFile)("taskset", args);
  const spent = cpuSeconds(pid) - before;
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1] ?? 0);
  const [, p99 = "0", unit = "ms"] = /99%\s+([\d.]+)(us|ms|s|m)/.exec(stdout) ?? [];
  const errors = [
    ...stdout.matchAll(/Non-2xx or 3xx responses: (\d+)|(?:connect|read|write|timeout) (\d+)/g),
  ];
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1] ?? 0),
    p99Ms: Number(p99) * seconds[unit]! * 1000,
    cpuSecondsPer100k: (spent / requests) * 100_000,
    errors: errors.reduce((sum, [, status, socket]) => sum + Number(status ?? socket), 0),
  };
}

const upgrade =
  "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

// Frames of a server are not masked, so they are four bytes shorter.
const ANSWER_BYTES = 34;

/** 64 tunnels, each with a 32-byte frame under way at any time. */
export async function runEcho(port: number, pid: number, duration: number): Promise<Result> {
  const frame = Buffer.concat([Buffer.from([0x82, 0xa0, 0, 0, 0, 0]), Buffer.alloc(32, 1)]);
  const taken: number[] = [];
  let isOver = false;
  let errors = 0;
  const sockets = await Promise.all(Array.from({ length: 64 }, () => tunnel(port)));
  const before = cpuSeconds(pid);
  const start = performance.now();
  for (const socket of sockets) {
    let sentAt = performance.now();
    let left = ANSWER_BYTES;
    socket.on("data", (chunk) => {
      left -= chunk.length;
      if (left > 0 || isOver) return;
      taken.push(performance.now() - sentAt);
      sentAt = performance.now();
      left = ANSWER_BYTES;
      socket.write(frame);
    });
    socket.on("close", () => {
      if (!isOver) errors++;
    });
    socket.write(frame);
  }
  await sleep(duration * 1000);
  isOver = true;
  const elapsed = (performance.now() - start) / 1000;
  const spent = cpuSeconds(pid) - before;
  for (const socket of sockets) socket.destroy();
  taken.sort((a, b) => a - b);
  const p99Ms = taken[Math.floor(taken.length * 0.99)] ?? 0;
  return {
    perSecond: taken.length / elapsed,
    p99Ms,
    cpuSecondsPer100k: (spent / taken.length) * 100_000,
    errors,
  };
}

function tunnel(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    socket.once("error", reject);
    socket.once("data", (head) => {
      if (head.toString("latin1").startsWith("HTTP/1.1 101")) resolve(socket);
      else reject(new Error(head.toString("latin1").slice(0, 100)));
    });
    socket.write(upgrade);
  });
}

/** Bytes of the proxy per client connection that has sent one request and waits. */
export async function idleBytes(port: number, pid: number, count: number): Promise<number> {
  const before = residentBytes(pid);
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i++) {
    const socket = connect(port, "127.0.0.1");
    sockets.push(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.once("data", () => resolve());
      socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    });
  }
  await sleep(1000);
  const after = residentBytes(pid);
  for (const socket of sockets) socket.destroy();
  return (after - before) / count;
}
