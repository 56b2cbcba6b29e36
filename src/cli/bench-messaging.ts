/**
 * A quick measurement of publish and of consume with acknowledgement, one after the other, over one topic.
 * The times are those of a loaded client: a publish waits behind all that is in flight before it.
 */
import { randomBytes } from "node:crypto";
import { arch, cpus, release, totalmem, type } from "node:os";
import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import type { Durability, HotSwap } from "../../client/src/node.ts";
import { systemClock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import { Progress } from "./progress.ts";

export interface BenchPlan {
  messages: number;
  /** Of the payload, in bytes. */
  size: number;
  partitions: number;
  durability: Durability;
  inFlight: number;
}

export interface Stretch {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  p999Ms: number;
}

export interface BenchResult {
  plan: BenchPlan;
  publish: Stretch;
  consume: Stretch;
  machine: Record<"cpu" | "system" | "node" | "server", string> & { cores: number; memoryGiB: number };
  /** Does it again. */
  command: string;
}

/** The server's window of one request; the peers of bench/ are measured with the same. */
const page = 500;

export async function benchMessaging(client: HotSwap, given: BenchPlan): Promise<BenchResult> {
  const { messages, size, partitions, durability, inFlight } = given;
  const plan = { messages, size, partitions, durability, inFlight };
  const { version: server } = await client.system.overview();
  const topic = `bench-${randomBytes(6).toString("hex")}`;
  await client.topics.create({ name: topic, partitions, durability, description: "hotswap bench" });
  try {
    const publish = await measurePublish(client, topic, plan);
    const consume = await measureConsume(client, topic, plan);
    const machine = { ...thisMachine(), server };
    return { plan, publish, consume, machine, command: commandOf(plan) };
  } finally {
    await client.topics.delete(topic);
  }
}

async function measurePublish(client: HotSwap, topic: string, plan: BenchPlan): Promise<Stretch> {
  const publisher = client.messages.publisher(topic, { maxInFlight: plan.inFlight });
  const text = JSON.stringify({ payload: "x".repeat(plan.size) });
  const times = createHistogram();
  let done = 0;
  let failure: unknown;
  const progress = new Progress("publish", () => ({ count: done, bytes: done * plan.size }));
  const started = systemClock.monotonic();
  for (let index = 0; index < plan.messages && failure === undefined; index++) {
    if (publisher.full) await publisher.ready();
    const sent = systemClock.monotonic();
    publisher.publishText(text).then(
      () => {
        done += 1;
        record(times, sent);
      },
      (error: unknown) => {
        failure ??= error;
      },
    );
  }
  await publisher.drain();
  progress.end();
  if (failure !== undefined) throw failure;
  return stretch(plan.messages, started, times);
}

async function measureConsume({ messages }: HotSwap, topic: string, plan: BenchPlan): Promise<Stretch> {
  const times = createHistogram();
  let done = 0;
  const progress = new Progress("consume", () => ({ count: done, bytes: done * plan.size }));
  const started = systemClock.monotonic();
  const pull = async () => {
    const asked = systemClock.monotonic();
    const leased = await messages.pull(topic, { limit: page, waitSeconds: 5 });
    return { asked, receipts: leased.map(({ receipt }) => receipt) };
  };
  const acks: Promise<void>[] = [];
  for (let coming = pull(), taken = 0; taken < plan.messages; ) {
    const { asked, receipts } = await coming;
    if (receipts.length === 0)
      throw new HotSwapError("internal", "A message that was published did not come.");
    taken += receipts.length;
    if (taken < plan.messages) coming = pull();
    const ack = messages.ack(receipts).then(() => {
      done += receipts.length;
      record(times, asked);
    });
    acks.push(ack);
    if (acks.length > 4) await acks.shift();
  }
  await Promise.all(acks);
  progress.end();
  return stretch(plan.messages, started, times);
}

function record(times: RecordableHistogram, since: number): void {
  times.record(Math.max(1, Math.round((systemClock.monotonic() - since) * 1000)));
}

function stretch(messages: number, started: number, times: RecordableHistogram): Stretch {
  const seconds = (systemClock.monotonic() - started) / 1000;
  const at = (percent: number) => times.percentile(percent) / 1000;
  return { perSecond: Math.round(messages / seconds), p50Ms: at(50), p99Ms: at(99), p999Ms: at(99.9) };
}

function thisMachine() {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown processor",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()} ${arch()}`,
    node: process.versions.node,
  };
}

function commandOf({ messages, size, partitions, durability, inFlight }: BenchPlan): string {
  return `hotswap bench messaging --messages ${messages} --size ${size} --partitions ${partitions} --durability ${durability} --in-flight ${inFlight}`;
}
