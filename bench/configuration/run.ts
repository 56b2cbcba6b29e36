/**
 * Ten thousand instances on one machine: how soon all of them are told of a version, how soon what they say is
 * counted, what a connection costs, how long all of them take to come back, how long a direct deployment to all of
 * them takes. And beside it, in the same run, the same fan-out by watches of etcd, and the floor: a server that
 * does nothing but tell.
 *
 * All instances live in this process, over plain sockets (sockets.ts). Bounded in time.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findProgram, stopAllChildren } from "../messaging/child.ts";
import { describeMachine } from "../messaging/machine.ts";
import { etcd } from "./etcd.ts";
import { type Figures, table } from "./figures.ts";
import { floor } from "./floor.ts";
import { hotswap } from "./hotswap.ts";
import type { Scale } from "./scale.ts";

const { values: options } = parseArgs({
  options: {
    instances: { type: "string", default: "10000" },
    rounds: { type: "string", default: "10" },
    install: { type: "boolean", default: false },
    only: { type: "string" },
    save: { type: "boolean", default: false },
    folder: { type: "string", default: fileURLToPath(new URL("../../.cache/bench", import.meta.url)) },
  },
});
const startedAt = performance.now();
const scale: Scale = {
  instances: Number(options.instances),
  rounds: Number(options.rounds),
  untilMs: startedAt + 400_000,
  note: (text) =>
    void process.stderr.write(`${((performance.now() - startedAt) / 1_000).toFixed(1)} s  ${text}\n`),
};

interface System {
  readonly title: string;
  measure(folder: string): Promise<Figures>;
}

/** By the name that `--only` takes. */
const systems: Record<string, System> = {
  socket: { title: "HotSwap, WebSocket", measure: (folder) => hotswap(folder, "socket", scale) },
  stream: { title: "HotSwap, events and requests", measure: (folder) => hotswap(folder, "stream", scale) },
  etcd: { title: "etcd, JSON gateway", measure: (folder) => etcd(folder, scale) },
  floor: { title: "node:http, only telling", measure: (folder) => floor(folder, scale) },
};

async function main(): Promise<void> {
  if (options.install && !findProgram("etcd")) {
    const env = { ...process.env, RUNLEVEL: "1", DEBIAN_FRONTEND: "noninteractive" };
    execFileSync("apt-get", ["install", "--yes", "--no-install-recommends", "etcd-server"], {
      env,
      stdio: "inherit",
    });
  }
  mkdirSync(options.folder, { recursive: true });
  const folder = mkdtempSync(join(options.folder, "configuration-"));
  try {
    const results: [string, Figures][] = [];
    for (const name of options.only?.split(",") ?? Object.keys(systems)) {
      const system = systems[name];
      if (!system) throw new TypeError(`--only takes ${Object.keys(systems).join(", ")}`);
      const { title, measure } = system;
      if (name === "etcd" && !findProgram("etcd")) {
        scale.note(`${title}: not measured, as it is not installed (--install)`);
        continue;
      }
      scale.note(title);
      results.push([title, await measure(mkdirSync(join(folder, name), { recursive: true })!)]);
    }
    const text = table(results, scale.instances);
    process.stdout.write(text);
    if (!options.save) return;
    const { cpu, cores, memoryGiB, kernel, node } = describeMachine(folder);
    const machine = `${cpu}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, Node ${node}`;
    const page = [
      "# Telling ten thousand instances\n",
      `\`npm run bench:configuration -- --save\`, ${scale.rounds} versions of 120 bytes, server and all instances on one machine`,
      `(${machine}). From the request that changes what instances should run, which is committed to disk on the way, until`,
      "the client's process has read the event. Memory is that of the server's process, without the kernel's. Counted: a list",
      "of who still runs the version before is empty. HotSwap's instances hold a WebSocket each, over which they also say what",
      "they applied; or a stream of server-sent events each, with 64 connections for all of their requests. The last column",
      "is the floor: a server that writes what it is sent to all who listen, and commits, compares and counts nothing.\n",
      text,
    ];
    writeFileSync(fileURLToPath(new URL("./results.md", import.meta.url)), page.join("\n"));
  } finally {
    await stopAllChildren();
    rmSync(folder, { recursive: true, force: true });
  }
}

process.once("SIGINT", () => void stopAllChildren().then(() => process.exit(130)));
await main();
