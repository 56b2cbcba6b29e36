/**
 * The one client process of a system in a round: connects, warms up, publishes, consumes, and reports each phase
 * to the process that forked it. It reads the server's CPU time itself, at the very edges of a phase.
 */
import { cpuSecondsOfMachine, cpuSecondsOfTree, Histogram, Ledger } from "./measure.ts";
import type { Client, Endpoint, Phase, Stretch } from "./system.ts";
import { systemNamed } from "./systems.ts";

export interface Job {
  readonly system: string;
  readonly endpoint: Endpoint;
  readonly serverPids: readonly number[];
  readonly warmUp: number;
  readonly count: number;
  readonly phaseMs: number;
}

export interface Measurement {
  readonly phase: Phase;
  readonly messages: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly repeated: number;
  readonly serverCpuSecondsPer100k: number;
  readonly clientCpuSecondsPer100k: number;
  /** CPUs that neither the server nor the client used, on average: a disturbed round shows here. */
  readonly foreignCpus: number;
}

async function measure(phase: Phase, job: Job, client: Client, span: { first: number; count: number }) {
  const ledger = new Ledger(job.warmUp + job.count);
  const latency = new Histogram();
  const startedAt = performance.now();
  const expired = () => performance.now() - startedAt > job.phaseMs;
  const stretch: Stretch = { ...span, window: systemNamed(job.system).window, latency, ledger, expired };
  const before = cpuTimes(job.serverPids);
  await client[phase](stretch);
  const seconds = (performance.now() - startedAt) / 1000;
  const after = cpuTimes(job.serverPids);
  if (ledger.distinct === 0) throw new Error(`${job.system}: no message went through to ${phase}`);
  const missing = span.count - ledger.distinct;
  if (missing > 0 && !expired()) throw new Error(`${job.system}: ${missing} messages missing from ${phase}`);
  const used = { server: after.server - before.server, client: after.client - before.client };
  const per100k = 100_000 / ledger.distinct;
  const measurement: Measurement = {
    phase,
    messages: ledger.distinct,
    perSecond: ledger.distinct / seconds,
    p50Ms: latency.quantile(0.5),
    p99Ms: latency.quantile(0.99),
    repeated: ledger.repeated,
    serverCpuSecondsPer100k: used.server * per100k,
    clientCpuSecondsPer100k: used.client * per100k,
    foreignCpus: Math.max(0, after.machine - before.machine - used.server - used.client) / seconds,
  };
  return measurement;
}

function cpuTimes(serverPids: readonly number[]) {
  const own = process.cpuUsage();
  return {
    server: serverPids.reduce((sum, pid) => sum + cpuSecondsOfTree(pid), 0),
    client: (own.user + own.system) / 1e6,
    machine: cpuSecondsOfMachine(),
  };
}

async function run(job: Job): Promise<void> {
  const { phases, connect } = systemNamed(job.system);
  const client = await connect(job.endpoint);
  const warmed = await measure("publish", job, client, { first: 0, count: job.warmUp });
  if (phases.includes("consume")) await measure("consume", job, client, { first: 0, count: warmed.messages });
  const published = await measure("publish", job, client, { first: job.warmUp, count: job.count });
  process.send?.(published);
  if (phases.includes("consume")) {
    const span = { first: job.warmUp, count: published.messages };
    process.send?.(await measure("consume", job, client, span));
  }
  await client.close();
}

// The end of the forking process, whatever its cause, is the end of this one.
process.once("disconnect", () => process.exit());

process.once("message", (job: Job) => {
  run(job).then(
    () => process.disconnect(),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
