/**
 * Speed of the message log on this machine: records of 1 KB, a window of 500 in flight, appended in batches.
 * `node bench/log.ts [folder]`. The figures say which durability they hold for; put a plain write and fdatasync of the
 * same size beside them to see how much is the disk's.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasCode } from "../src/core/errors.ts";
import { type Durability, openLog } from "../src/stores/log/index.ts";

const recordBytes = 1024;
const windowRecords = 500;
const seconds = Number(process.env.SECONDS ?? 3);

interface Result {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  cpuMicros: number;
}

async function measure(folder: string, batch: number, durability: Durability): Promise<Result> {
  const log = openLog({ folder });
  await log.start();
  const partition = await log.partition(`bench-${batch}-${durability}`);
  const bodies = Array.from({ length: batch }, (_, i) => Buffer.alloc(recordBytes, i));
  const latencies: number[] = [];
  let appended = 0;
  let end = Number.POSITIVE_INFINITY;
  const producer = async () => {
    while (performance.now() < end) {
      const begun = performance.now();
      try {
        await partition.append(bodies, durability);
      } catch (error) {
        if (!hasCode(error, "overloaded")) throw error;
        await new Promise((resolve) => setImmediate(resolve)); // as much waits as the log accepts
        continue;
      }
      latencies.push(performance.now() - begun);
      appended += batch;
    }
  };
  const trimmer = partition.onAppend(() => {
    if (partition.bytes > 512 * 1024 * 1024) void partition.trim(partition.end - 100_000);
  });
  const begun = performance.now();
  const cpu = process.cpuUsage();
  end = begun + seconds * 1000;
  await Promise.all(Array.from({ length: Math.max(1, windowRecords / batch) }, producer));
  const elapsed = performance.now() - begun;
  const used = process.cpuUsage(cpu);
  trimmer();
  await log.remove(partition.name);
  await log.stop();
  latencies.sort((a, b) => a - b);
  return {
    perSecond: Math.round((appended / elapsed) * 1000),
    p50Ms: latencies[Math.floor(latencies.length * 0.5)]!,
    p99Ms: latencies[Math.floor(latencies.length * 0.99)]!,
    cpuMicros: (used.user + used.system) / appended,
  };
}

const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), "hotswap-log-bench-"));
for (const durability of ["fsync", "os", "memory"] as const) {
  for (const batch of [1, 50, 500]) {
    const { perSecond, p50Ms, p99Ms, cpuMicros } = await measure(folder, batch, durability);
    console.log(
      `${durability.padEnd(6)} batch ${String(batch).padStart(3)}: ${String(perSecond).padStart(7)} records/s of 1 KB, ` +
        `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, ${cpuMicros.toFixed(2)} µs CPU per record (all threads)`,
    );
  }
}
if (!process.argv[2]) rmSync(folder, { recursive: true, force: true });
