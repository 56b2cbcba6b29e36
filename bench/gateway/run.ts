/**
 * Side by side: HotSwap's data plane, HAProxy, nginx and @fastify/http-proxy, one worker each pinned to one CPU; load
 * and backend on the other. Rounds visit every proxy in turn; the table has the median of the rounds, and the ratio to
 * HAProxy. Figures of a machine that does other things at the same time are noise.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { httpLoads, idleBytes, type Result, runEcho, runHttp } from "./load.ts";
import {
  installPeers,
  listening,
  makeCertificate,
  type Peer,
  type Ports,
  peers,
  startBackend,
} from "./peers.ts";
import { plot } from "./plot.ts";
import { markdown, type Row } from "./table.ts";

const help = `Usage: npm run bench:gateway -- [options]
  --install          get the peers first (apt-get as root, npm)
  --peers a,b        only these, of: ${peers.map(({ name }) => name).join(", ")}
  --seconds N        of each load (5)
  --rounds N         rounds (3)
  --warm N           seconds of load before a proxy is first measured (8); other loads have half of --seconds
  --idle N           idle connections for their memory, in the first round (10000)
  --save             also write results.md, .svg and .json beside this script`;

const { values: options } = parseArgs({
  options: {
    install: { type: "boolean", default: false },
    peers: { type: "string" },
    seconds: { type: "string", default: "5" },
    rounds: { type: "string", default: "3" },
    warm: { type: "string", default: "8" },
    idle: { type: "string", default: "10000" },
    save: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const ports: Ports = { backend: 19_100, echo: 19_101, proxy: 19_102, tls: 19_103 };
const root = join(fileURLToPath(new URL("../..", import.meta.url)), ".cache", "bench");

interface Visit {
  readonly seconds: number;
  readonly warm: number;
  readonly idle: number;
}

async function visit(peer: Peer, folder: string, { seconds, warm, idle }: Visit): Promise<Row[]> {
  const proxy = peer.start(folder, ports);
  const rows: Row[] = [];
  try {
    await listening(ports.proxy);
    for (const [index, load] of httpLoads.entries()) {
      const port = load.tls ? ports.tls : ports.proxy;
      // What is measured is a proxy that has been at work for a while: V8 compiles what turns out to be hot.
      await runHttp(
        folder,
        port,
        proxy.pid(),
        load,
        index === 0 ? warm : Math.max(1, Math.floor(seconds / 2)),
      );
      const result = await runHttp(folder, port, proxy.pid(), load, seconds);
      rows.push({ peer: peer.name, load: load.name, result });
    }
    const result: Result = await runEcho(ports.proxy, proxy.pid(), seconds);
    rows.push({ peer: peer.name, load: "WebSocket echo", result });
  } finally {
    await proxy.stop();
  }
  if (idle > 0) {
    rows.push({ peer: peer.name, load: "idle connection", bytes: await measureIdle(peer, folder, idle) });
  }
  return rows;
}

// In a process of its own: what the loads left behind would hide what a connection takes.
async function measureIdle(peer: Peer, folder: string, count: number): Promise<number> {
  const proxy = peer.start(folder, ports);
  try {
    await listening(ports.proxy);
    await idleBytes(ports.proxy, proxy.pid(), Math.ceil(count / 10));
    return await idleBytes(ports.proxy, proxy.pid(), count);
  } finally {
    await proxy.stop();
  }
}

async function main(): Promise<void> {
  if (options.help) {
    console.log(help);
    return;
  }
  mkdirSync(root, { recursive: true });
  const folder = mkdtempSync(join(root, "gateway-"));
  if (options.install) installPeers(root);
  const names = options.peers?.split(",");
  const chosen = peers.filter(({ name }) => !names || names.includes(name));
  makeCertificate(folder);
  const backend = startBackend(folder, ports);
  const echo = spawn(
    "taskset",
    ["-c", "1", process.execPath, fileURLToPath(new URL("./echo.ts", import.meta.url)), String(ports.echo)],
    {
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  const rows: Row[] = [];
  try {
    await listening(ports.backend);
    await listening(ports.echo);
    for (let round = 0; round < Number(options.rounds); round++) {
      for (const peer of chosen) {
        console.error(`round ${round + 1}: ${peer.name}`);
        const idle = round === 0 ? Number(options.idle) : 0;
        const how = { seconds: Number(options.seconds), warm: Number(options.warm), idle };
        rows.push(...(await visit(peer, folder, how)));
      }
    }
  } finally {
    echo.kill();
    await backend.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Linux ${release()}, Node ${process.version}`;
  const effort = `${options.rounds} rounds of ${options.seconds} s after ${options.warm} s of load`;
  const text = markdown(rows, machine, { effort, idle: Number(options.idle) });
  console.log(text);
  if (!options.save) return;
  const here = fileURLToPath(new URL(".", import.meta.url));
  writeFileSync(join(here, "results.json"), `${JSON.stringify({ machine, rows }, null, 2)}\n`);
  writeFileSync(join(here, "results.md"), text);
  writeFileSync(join(here, "results.svg"), plot(rows));
}

await main();
