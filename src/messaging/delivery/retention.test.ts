/** What a topic gives up of its log, on a simulated disk with small segments. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ManualClock } from "../../core/clock.ts";
import { seededRandom } from "../../core/random.ts";
import { Metrics } from "../../platform/telemetry/index.ts";
import { SimulatedDisk } from "../../stores/log/disk.simulated.ts";
import { openLog } from "../../stores/log/index.ts";
import { parseReceipt } from "../ids.ts";
import { MessagingMetrics } from "../metrics.ts";
import { policyOf, type SubscriptionPolicy } from "./policy.ts";
import type { TopicSpec } from "./spec.ts";
import { LiveTopic } from "./topic.ts";

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

class Machine {
  readonly clock = new ManualClock();
  readonly #random = seededRandom(1);
  readonly #disk = new SimulatedDisk({ random: this.#random });
  topic!: LiveTopic;
  deadLetters!: LiveTopic;

  async start(spec: Partial<TopicSpec>, policy: Partial<SubscriptionPolicy> = {}): Promise<this> {
    const limits = { segmentBytes: 1000, settleMs: 1000 };
    const log = openLog({ disk: this.#disk, clock: this.clock, random: this.#random, limits });
    await this.drive(log.start());
    const base = {
      tenant: "t",
      name: "n",
      number: 1,
      partitions: 1,
      routing: { strategy: "load-balanced", balancing: "round-robin" },
      durability: "fsync",
      version: 1,
    } as const;
    const keeps = { retentionMs: undefined, retentionBytes: undefined, retain: "unacknowledged" } as const;
    const parts = {
      log,
      clock: this.clock,
      metrics: new MessagingMetrics(new Metrics()),
      outstandingMax: 1000,
      dedupKeysMax: 1000,
      scheduledMax: 1000,
      openDeadLetters: () => this.deadLetters.deadLetterQueue(),
      onError: (error: unknown) => assert.fail(String(error)),
    };
    const whole = { ...base, ...keeps, dedupWindowMs: 0, messageTtlMs: undefined, ...spec };
    this.topic = new LiveTopic(whole, parts);
    this.deadLetters = new LiveTopic({ ...whole, name: "n.dlq", number: 3, deadLettersOf: "n" }, parts);
    const subscription = { id: "s", name: "s", number: 2, ackDeadlineSeconds: 30, startOffsets: [] };
    this.topic.addSubscription({ ...subscription, policy: policyOf(policy) });
    return this;
  }

  async drive<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = promise.finally(() => {
      settled = true;
    });
    done.catch(() => {});
    while (!settled) {
      this.#disk.step();
      await tick();
    }
    return done;
  }

  async publish(count: number, more: object = {}): Promise<void> {
    for (let i = 0; i < count; i++) {
      const message = { key: undefined, headers: undefined, payload: Buffer.alloc(80, 32), ...more };
      await this.drive(this.topic.publish([message]));
    }
  }

  async ack(count: number): Promise<void> {
    const live = (await this.drive(this.topic.subscription("s")))!;
    const { deliveries } = await this.drive(live.receive(count, 0));
    await this.drive(live.ack(deliveries.map(({ receipt }) => parseReceipt(receipt))));
  }

  /** Where the log begins after a sweep. */
  async swept(): Promise<number> {
    await this.drive(this.topic.trim());
    const [log] = await this.drive(Promise.resolve(this.topic.partitions()));
    return log!.start;
  }
}

describe("retention", () => {
  it("gives up what is done and old, in whole segments, and nothing that is not done", async () => {
    const machine = await new Machine().start({ retentionMs: 60_000 });
    await machine.publish(40);
    await machine.ack(25);
    assert.equal(await machine.swept(), 0);
    machine.clock.advance(70_000);
    const start = await machine.swept();
    assert.ok(start > 10 && start <= 25, `${start}`);
    await machine.ack(15);
    assert.ok((await machine.swept()) > 30);
  });

  it("gives up what is done at once when it keeps nothing, but for the window of idempotency keys", async () => {
    const machine = await new Machine().start({ retentionMs: 0, dedupWindowMs: 60_000 });
    await machine.publish(40);
    await machine.ack(40);
    assert.equal(await machine.swept(), 0);
    machine.clock.advance(61_000);
    assert.ok((await machine.swept()) > 30);
  });

  it("keeps a topic within its bytes", async () => {
    const machine = await new Machine().start({ retentionBytes: 2000, retain: "limits" });
    await machine.publish(40);
    const start = await machine.swept();
    assert.ok(start >= 15 && start < 30, `${start}`);
    const live = (await machine.drive(machine.topic.subscription("s")))!;
    assert.equal((await machine.drive(live.receive(1, 0))).deliveries[0]!.offset, start);
  });

  it("spares what tells after a crash which messages for later went", async () => {
    const machine = await new Machine().start({ retentionMs: 0 });
    await machine.publish(1, { delayMs: 1_000_000 });
    await machine.publish(40);
    await machine.ack(40);
    machine.clock.advance(10_000);
    assert.equal(await machine.swept(), 0);
  });

  it("sends what has expired to the dead letters though nobody receives, and lets it go", async () => {
    const machine = await new Machine().start({ retentionMs: 0 }, { deadLetterExpired: true });
    await machine.publish(40, { ttlMs: 10_000 });
    await machine.publish(1);
    await machine.drive(machine.topic.expire());
    machine.clock.advance(11_000);
    await machine.drive(machine.topic.expire());
    const live = (await machine.drive(machine.topic.subscription("s")))!;
    const queue = await machine.drive(machine.deadLetters.deadLetterQueue());
    for (let moved = 0; moved < 40; moved = live.counters.deadLettered) await machine.drive(tick());
    assert.equal(queue.log.end, 40);
    assert.equal(live.state.depth, 1);
    assert.ok((await machine.swept()) > 30);
  });

  it("keeps all when nothing is said", async () => {
    const machine = await new Machine().start({});
    await machine.publish(40);
    await machine.ack(40);
    machine.clock.advance(1e9);
    assert.equal(await machine.swept(), 0);
  });
});
