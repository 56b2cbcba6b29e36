/**
 * Speed of the message log on this machine: records of 1 KB, a window of 500 in flight, appended in batches, then
 * read back. `node bench/log.ts [folder]`, SECONDS=3 per line, LOG=redis://… for Redis instead of the disk. Each
 * figure states its durability; the first line is what the disk does for a bare write and fdatasync of 500 KB, to
 * tell its share from ours.
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { sleep, systemClock } from "../src/core/clock.ts";
import { hasCode } from "../src/core/errors.ts";
import { type Durability, type LogPartition, openLog, openRedisLog } from "../src/stores/log/index.ts";

const recordBytes = 1024;
const windowRecords = 500;
const seconds = Number(process.env.SECONDS ?? 3);
const url = process.env.LOG;
const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), "hotswap-log-bench-"));

function percentile(sorted: readonly number[], share: number): string {
  return `${(sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2)} ms`;
}

/** Runs the work and prints its rate, its latencies and the CPU that a record took on the main thread. */
async function measure(title: string, work: (done: (records: number, ms: number) => void) => Promise<void>) {
  const latencies: number[] = [];
  let records = 0;
  const cpu = process.threadCpuUsage();
  const begun = performance.now();
  await work((count, ms) => {
    records += count;
    latencies.push(ms);
  });
  const elapsed = performance.now() - begun;
  const used = process.threadCpuUsage(cpu);
  latencies.sort((a, b) => a - b);
  console.log(
    `${title.padEnd(24)}${Math.round((records / elapsed) * 1000)} records/s`.padEnd(46),
    `p50 ${percentile(latencies, 0.5)}, p99 ${percentile(latencies, 0.99)},`,
    `${((used.user + used.system) / records).toFixed(2)} µs of main thread per record`,
  );
}

async function bare(done: (records: number, ms: number) => void): Promise<void> {
  const fd = openSync(join(folder, "bare"), "w");
  const group = Buffer.alloc(windowRecords * recordBytes, 1);
  const end = performance.now() + seconds * 1000;
  for (let position = 0; performance.now() < end; position += group.length) {
    const begun = performance.now();
    writeSync(fd, group, 0, group.length, position);
    fdatasyncSync(fd);
    done(windowRecords, performance.now() - begun);
  }
  closeSync(fd);
  rmSync(join(folder, "bare"));
}

async function produce(
  partition: LogPartition,
  batch: number,
  durability: Durability,
  done: (records: number, ms: number) => void,
): Promise<void> {
  const bodies = Array.from({ length: batch }, (_, i) => Buffer.alloc(recordBytes, i));
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const begun = performance.now();
    try {
      await partition.append(bodies, durability);
      done(batch, performance.now() - begun);
    } catch (error) {
      if (!hasCode(error, "overloaded")) throw error;
      await sleep(systemClock, 5); // memory appends outrun the disk until as much waits as is accepted
    }
  }
}

async function readAll(partition: LogPartition, done: (records: number, ms: number) => void): Promise<void> {
  for (let from = partition.start; from < partition.end; ) {
    const begun = performance.now();
    const records = await partition.read(from, { records: windowRecords, bytes: 1024 * 1024 });
    from += records.length;
    done(records.length, performance.now() - begun);
  }
}

console.log(
  `${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, 1 KB records, ${windowRecords} in flight`,
);
if (!url) await measure("bare write + fdatasync", bare);
for (const durability of ["fsync", "os", "memory"] as const) {
  for (const batch of [1, 50, 500]) {
    const log = url ? await openRedisLog({ url }) : openLog({ folder });
    await log.start();
    const partition = await log.partition("bench");
    const leave = partition.onAppend(() => {
      if (partition.bytes > 512 * 1024 * 1024) void partition.trim(partition.end - 100_000);
    });
    await measure(`${durability}, batches of ${batch}`, async (done) => {
      const producers = Array.from({ length: windowRecords / batch }, () =>
        produce(partition, batch, durability, done),
      );
      await Promise.all(producers);
    });
    leave();
    if (durability === "fsync" && batch === 500)
      await measure("read, pages of 500", (done) => readAll(partition, done));
    await log.remove("bench");
    await log.stop();
  }
}
if (!process.argv[2]) rmSync(folder, { recursive: true, force: true });
