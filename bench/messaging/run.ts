/**
 * Side by side: HotSwap's messaging and its peers, in one run, on one disk. Each round visits every system in
 * turn (A B C, A B C, …); each visit starts the server in an empty folder, forks one client process that warms
 * up, publishes and consumes, and ends the server by pid. Bounded in messages and in time.
 */
import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { stopAllChildren } from "./child.ts";
import type { Job, Measurement } from "./client.ts";
import { installPeers } from "./install.ts";
import { describeMachine } from "./machine.ts";
import { cpuSecondsOfMachine } from "./measure.ts";
import { terminalTable } from "./report.ts";
import type { Results, Visit } from "./results.ts";
import { saveResults } from "./save.ts";
import type { System } from "./system.ts";
import { systemNamed, systems } from "./systems.ts";

const help = `Usage: npm run bench:messaging -- [options]
  --install          get the peers first (apt-get as root, Go for NATS)
  --systems a,b      only these, of: ${systems.map((each) => each.name).join(", ")}
  --messages N       measured messages per system and round (200000)
  --warm-up N        messages before that (20000)
  --rounds N         rounds (3)
  --phase-seconds N  no phase sends new messages after this (10)
  --pin              servers on CPU 0, clients on CPU 1
  --folder DIR       where data goes; must be on a disk (.cache/bench)
  --json             the results as JSON on stdout instead of the table
  --save             also write results.md, results.json and results.svg beside this script`;

const { values: options } = parseArgs({
  options: {
    install: { type: "boolean", default: false },
    systems: { type: "string" },
    messages: { type: "string", default: "200000" },
    "warm-up": { type: "string", default: "20000" },
    rounds: { type: "string", default: "3" },
    "phase-seconds": { type: "string", default: "10" },
    pin: { type: "boolean", default: false },
    folder: { type: "string", default: fileURLToPath(new URL("../../.cache/bench", import.meta.url)) },
    json: { type: "boolean", default: false },
    save: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const plan: Results["plan"] = {
  messages: number("messages"),
  warmUp: number("warm-up"),
  rounds: number("rounds"),
  phaseSeconds: number("phase-seconds"),
  pinned: options.pin,
};

/** The data of the server that runs now, so that an interrupt leaves nothing behind. */
let folderInUse: string | undefined;

/** More than this much CPU taken by other processes in a phase makes a visit worth repeating. */
const disturbedAboveCpus = 0.25;
const visitsAtMost = 3;
/** A visit waits this long for other processes to be quiet, and goes ahead if they are not. */
const calmWithinMs = 60_000;

async function calm(): Promise<void> {
  const until = performance.now() + calmWithinMs;
  for (let busy = true; busy && performance.now() < until; ) {
    const before = cpuSecondsOfMachine();
    await sleep(2000);
    busy = (cpuSecondsOfMachine() - before) / 2 > disturbedAboveCpus;
  }
}

/** Visits until nothing else disturbed it, a few times at most, and keeps the visit that was disturbed least. */
async function visitUndisturbed(system: System, round: number): Promise<Visit> {
  const foreignCpus = (each: Visit) => Math.max(...each.measurements.map((one) => one.foreignCpus));
  let best = await visit(system, round);
  for (let tries = 1; tries < visitsAtMost && foreignCpus(best) > disturbedAboveCpus; tries++) {
    const again = await visit(system, round);
    if (foreignCpus(again) < foreignCpus(best)) best = again;
  }
  return best;
}

async function visit(system: System, round: number): Promise<Visit> {
  await calm();
  const folder = mkdtempSync(join(options.folder, `${system.name}-`));
  folderInUse = folder;
  try {
    const server = await system.start(folder, options.pin ? "0" : undefined);
    try {
      const measurements = await drive({
        system: system.name,
        endpoint: server.endpoint,
        serverPids: [server.pid, ...(server.besides ? [server.besides] : [])],
        warmUp: plan.warmUp,
        count: plan.messages,
        phaseMs: plan.phaseSeconds * 1000,
      });
      return { system: system.name, version: server.version, round, measurements };
    } finally {
      await server.stop();
    }
  } finally {
    removeFolder();
  }
}

function removeFolder(): void {
  if (folderInUse) rmSync(folderInUse, { recursive: true, force: true, maxRetries: 5 });
  folderInUse = undefined;
}

/** Forks the client process and collects what it measures. */
async function drive(job: Job): Promise<Measurement[]> {
  const client = fork(fileURLToPath(new URL("client.ts", import.meta.url)), {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  if (options.pin)
    execFileSync("taskset", ["--all-tasks", "--cpu-list", "--pid", "1", String(client.pid)], {
      stdio: "ignore",
    });
  const measurements: Measurement[] = [];
  client.on("message", (measurement: Measurement) => measurements.push(measurement));
  client.send(job);
  const watchdog = setTimeout(() => client.kill("SIGKILL"), 4 * job.phaseMs + 30_000);
  const [code, signal] = await once(client, "exit");
  clearTimeout(watchdog);
  if (code !== 0) throw new Error(`the client of ${job.system} ended with ${signal ?? code}`);
  return measurements;
}

function number(name: "messages" | "warm-up" | "rounds" | "phase-seconds"): number {
  const value = Number(options[name]);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} takes a whole number from 1`);
  return value;
}

function progress(done: number, total: number, what: string): void {
  if (!process.stderr.isTTY) return;
  const width = 30;
  const filled = Math.round((done / total) * width);
  process.stderr.write(
    `\r\u001b[2K${"█".repeat(filled)}${"░".repeat(width - filled)} ${done}/${total} ${what}`,
  );
  if (done === total) process.stderr.write("\r\u001b[2K");
}

async function main(): Promise<void> {
  if (options.help) return console.log(help);
  if (options.install) installPeers();
  const chosen = options.systems ? options.systems.split(",").map(systemNamed) : systems;
  mkdirSync(options.folder, { recursive: true });
  const machine = describeMachine(options.folder);
  const visits: Visit[] = [];
  const failures: string[] = [];
  const total = chosen.length * plan.rounds;
  for (let round = 1; round <= plan.rounds; round++) {
    for (const system of chosen) {
      const done = (round - 1) * chosen.length + chosen.indexOf(system);
      progress(done, total, `round ${round}: ${system.title}`);
      try {
        visits.push(await visitUndisturbed(system, round));
      } catch (error) {
        // One peer that does not start must not cost the whole run; it is named in the results.
        failures.push(`${system.name}, round ${round}: ${(error as Error).message}`);
      }
    }
  }
  progress(total, total, "");
  const results: Results = {
    date: new Date().toISOString(),
    machine,
    plan,
    visits,
    failures,
  };
  if (options.save) saveResults(results, fileURLToPath(new URL(".", import.meta.url)));
  console.log(options.json ? JSON.stringify(results, null, 2) : terminalTable(results));
  if (failures.length > 0) process.exitCode = 1;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, async () => {
    await stopAllChildren();
    removeFolder();
    process.exit(130);
  });
}

await main().catch((error: Error) => {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
});
