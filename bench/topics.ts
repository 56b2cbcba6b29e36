/**
 * What topics cost that nobody uses, and what waking them up costs: memory each, in one process over the real log on
 * this machine's disk. Their rows are read from SQL at the start, which the second figure does not contain.
 *
 *   node --expose-gc bench/topics.ts [topics] [folder]
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../src/core/clock.ts";
import { usualPolicy } from "../src/messaging/delivery/policy.ts";
import { Registry } from "../src/messaging/delivery/registry.ts";
import { MessagingMetrics } from "../src/messaging/metrics.ts";
import { Metrics } from "../src/platform/telemetry/index.ts";
import { openLog } from "../src/stores/log/index.ts";

const count = Number(process.argv[2] ?? 10_000);
const folder = await mkdtemp(join(process.argv[3] ?? tmpdir(), "hotswap-topics-"));

async function memory(): Promise<number> {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 500)); // lets the log settle
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const show = (name: string, value: number, unit: string) =>
  process.stdout.write(`${name.padEnd(40)}${Math.round(value).toLocaleString("en")} ${unit}\n`);

const log = openLog({ folder });
await log.start();
const registry = new Registry({
  log,
  clock: systemClock,
  metrics: new MessagingMetrics(new Metrics()),
  outstandingMax: 10_000,
  dedupKeysMax: 1000,
  scheduledMax: 1000,
  openDeadLetters: () => Promise.reject(new Error("nothing is given up here")),
  onError: (error) => {
    throw error;
  },
});
const policies = {
  dedupWindowMs: 300_000,
  messageTtlMs: undefined,
  retentionMs: 0,
  retentionBytes: undefined,
};
try {
  const empty = await memory();
  const begun = performance.now();
  const topics = Array.from({ length: count }, (_, i) => {
    const names = { tenant: "t", name: `topic-${i}`, number: 2 * i, version: 1 };
    const spec = {
      ...names,
      ...policies,
      partitions: 1,
      routing: { strategy: "load-balanced", balancing: "round-robin" },
      durability: "os",
      retain: "unacknowledged",
    } as const;
    const topic = registry.add(spec);
    const subscription = { id: `s${i}`, name: "default", number: 2 * i + 1, ackDeadlineSeconds: 30 };
    registry.addSubscription(topic, { ...subscription, policy: usualPolicy, startOffsets: [] });
    return topic;
  });
  show("made known", (performance.now() - begun) / count / 0.001, "µs each");
  const known = await memory();
  show("memory of one that nobody used", (known - empty) / count, "bytes, its subscription included");
  const waking = performance.now();
  const message = { key: undefined, headers: undefined, payload: Buffer.from("1") };
  for (let at = 0; at < count; at += 50) {
    await Promise.all(topics.slice(at, at + 50).map((topic) => topic.publish([message])));
  }
  show("first message of each", (performance.now() - waking) / count / 0.001, "µs each");
  show("memory of one that was used", ((await memory()) - empty) / count, "bytes, its subscription included");
  await registry.close();
  await log.stop();
} finally {
  await rm(folder, { recursive: true, force: true });
}
