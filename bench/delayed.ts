/**
 * What a million messages that wait cost: memory and disk each, how fast they are accepted and go, and how long a
 * start with all of them takes. In one process over the real log on this machine's disk, fsynced; no HTTP.
 *
 *   node --expose-gc bench/delayed.ts [messages] [folder]          ORDER=publish for a constant delay
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock, systemClock } from "../src/core/clock.ts";
import { LiveTopic } from "../src/messaging/delivery/topic.ts";
import { MessagingMetrics } from "../src/messaging/metrics.ts";
import { Metrics } from "../src/platform/telemetry/index.ts";
import { openLog } from "../src/stores/log/index.ts";

const count = Number(process.argv[2] ?? 1_000_000);
const folder = await mkdtemp(join(process.argv[3] ?? tmpdir(), "hotswap-delayed-"));
const batch = 1000;
/** A constant delay: what was published first is due first. Otherwise times are random, the worst case for reading. */
const inOrder = process.env.ORDER === "publish";
let published = 0;
const payload = Buffer.from(JSON.stringify({ text: "x".repeat(88) }));
const spec = {
  tenant: "t",
  name: "n",
  number: 1,
  partitions: 1,
  routing: { strategy: "load-balanced", balancing: "round-robin" },
  durability: "fsync",
  dedupWindowMs: 0,
  messageTtlMs: undefined,
  retentionMs: undefined,
  retentionBytes: undefined,
  retain: "unacknowledged",
  version: 1,
} as const;

/** Wall time stands still until everything waits; what the log does itself goes by the machine's clock. */
const wall = new ManualClock();
const clock = { ...systemClock, now: () => wall.now() };

async function open() {
  const log = openLog({ folder });
  await log.start();
  const topic = new LiveTopic(spec, {
    log,
    clock,
    metrics: new MessagingMetrics(new Metrics()),
    outstandingMax: 1000,
    dedupKeysMax: 1000,
    scheduledMax: 100_000_000,
    openDeadLetters: () => Promise.reject(new Error("nothing is given up here")),
    onError: (error) => {
      throw error;
    },
  });
  topic.hasDelays = true;
  return { log, topic };
}

async function memory(): Promise<number> {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 300)); // lets the log settle and drop what it has cached
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const show = (name: string, value: number, unit: string) =>
  process.stdout.write(`${name.padEnd(34)}${Math.round(value).toLocaleString("en")} ${unit}\n`);

/** In a function of its own, so that nothing of it is in memory when the second half is weighed. */
async function fill(): Promise<void> {
  const { log, topic } = await open();
  const base = performance.now();
  for (let at = 0; at < count; at += batch * 8) {
    const calls = Array.from({ length: Math.min(8, Math.ceil((count - at) / batch)) }, () => {
      const messages = Array.from({ length: batch }, () => {
        const deliverAt =
          wall.now() + 1 + Math.floor(inOrder ? published++ / 1000 : Math.random() * 3_600_000);
        return { key: undefined, headers: undefined, payload, deliverAt };
      });
      return topic.publish(messages);
    });
    for (const placement of (await Promise.all(calls)).flat())
      if (placement instanceof Error) throw placement;
  }
  show("accepted", (count / (performance.now() - base)) * 1000, "messages/s");
  await topic.close();
  await log.stop();
}

try {
  await fill();
  const before = await memory();
  const began = performance.now();
  const { log, topic } = await open();
  const delays = (await topic.delays())!;
  show("start with all of them", performance.now() - began, "ms");
  show("waiting", delays.size, "messages");
  show("memory each", ((await memory()) - before) / delays.size, "bytes");
  show("disk each", delays.log.bytes / delays.size, "bytes");
  const list = performance.now();
  await delays.list(Math.floor(count / 2), 100);
  show("a page of 100 from the middle", performance.now() - list, "ms");
  const went = performance.now();
  wall.jump(wall.now() + 3_600_001);
  while (delays.size > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  show(
    `went, in ${inOrder ? "the order of publishing" : "random order"}`,
    (count / (performance.now() - went)) * 1000,
    "messages/s",
  );
  await topic.close();
  await log.stop();
} finally {
  await rm(folder, { recursive: true, force: true });
}
