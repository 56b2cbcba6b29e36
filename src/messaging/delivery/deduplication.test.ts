/** Publishing with idempotency keys over the real log on a simulated disk that fails and loses power. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ManualClock } from "../../core/clock.ts";
import { seededRandom } from "../../core/random.ts";
import { Metrics } from "../../platform/telemetry/index.ts";
import { noFaults, SimulatedDisk } from "../../stores/log/disk.simulated.ts";
import { openLog } from "../../stores/log/index.ts";
import { decodeMessage } from "../message.ts";
import { MessagingMetrics } from "../metrics.ts";
import type { TopicSpec } from "./spec.ts";
import { LiveTopic } from "./topic.ts";

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));
const usual: TopicSpec = {
  tenant: "t",
  name: "n",
  number: 1,
  routing: { strategy: "load-balanced", balancing: "round-robin" },
  partitions: 3,
  durability: "fsync",
  dedupWindowMs: 60_000,
  messageTtlMs: undefined,
  retentionMs: undefined,
  retentionBytes: undefined,
  retain: "unacknowledged",
  version: 1,
};

/** A server that can be ended and started again. */
class Machine {
  readonly clock = new ManualClock();
  readonly #random = seededRandom(1);
  readonly metrics = new Metrics();
  disk = new SimulatedDisk({ random: this.#random });
  topic!: LiveTopic;
  #log!: ReturnType<typeof openLog>;

  async start({ dedupKeysMax = 1000, ...spec }: Partial<TopicSpec> & { dedupKeysMax?: number } = {}) {
    const { disk, clock } = this;
    const limits = { segmentBytes: 2000, settleMs: 1000 };
    this.#log = openLog({ disk, clock, random: this.#random, limits });
    await this.drive(this.#log.start());
    this.topic = new LiveTopic(
      { ...usual, ...spec },
      {
        log: this.#log,
        clock,
        metrics: new MessagingMetrics(this.metrics),
        outstandingMax: 100,
        dedupKeysMax,
        openDeadLetters: () => assert.fail("nothing is given up here"),
        scheduledMax: 1000,
        delayPace: { noteEvery: 1000, trimEvery: 5 },
        onError: (error) => assert.fail(String(error)),
      },
    );
    return this;
  }

  async drive<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = promise.finally(() => {
      settled = true;
    });
    done.catch(() => {});
    while (!settled) {
      this.disk.step();
      await tick();
    }
    return done;
  }

  async publish(...keys: (string | undefined)[]) {
    const messages = keys.map((idempotencyKey) => message(idempotencyKey));
    return this.drive(this.topic.publish(messages));
  }

  /** Idempotency keys of all that is stored. */
  async stored(): Promise<string[]> {
    const partitions = await this.drive(Promise.resolve(this.topic.partitions()));
    const all = partitions.map((log) =>
      log.read(log.start, { records: 10_000, bytes: 1 << 30 }).then((records) => records.map(payloadOf)),
    );
    return (await this.drive(Promise.all(all))).flat().toSorted();
  }
}

const message = (idempotencyKey?: string) => ({
  key: undefined,
  headers: undefined,
  payload: Buffer.from(idempotencyKey ?? "none"),
  idempotencyKey,
});
const payloadOf = ({ body }: { body: Buffer }) => decodeMessage(body).payload.toString();
const codeOf = (outcome: unknown) => (outcome as { code?: string }).code;

describe("publishing with idempotency keys", () => {
  it("makes one message of a key, and answers with its place from then on", async () => {
    const machine = await new Machine().start();
    const [a, b, again, plain] = await machine.publish("a", "b", "a", undefined);
    assert.deepEqual(again, { ...a, duplicate: true });
    assert.notDeepEqual(a, b);
    assert.ok(plain && !("duplicate" in plain));
    const [later] = await machine.publish("a");
    assert.deepEqual(later, { ...a, duplicate: true });
    assert.deepEqual(await machine.stored(), ["a", "b", "none"]);
  });

  it("makes one append of many at the same time", async () => {
    const machine = await new Machine().start();
    const all = Array.from({ length: 50 }, (_, i) =>
      machine.topic.publish([message("a"), message(`k${i % 5}`)]),
    );
    const outcomes = (await machine.drive(Promise.all(all))).flat();
    assert.equal(outcomes.filter((outcome) => !("duplicate" in outcome)).length, 6);
    assert.deepEqual(await machine.stored(), ["a", "k0", "k1", "k2", "k3", "k4"]);
  });

  for (const end of ["kill", "crash"] as const) {
    it(`knows the keys of the window after a ${end}`, async () => {
      const machine = await new Machine().start();
      const [old] = await machine.publish("old");
      machine.clock.advance(50_000);
      const keys = Array.from({ length: 300 }, (_, i) => `k${i}`);
      const first = await machine.publish(...keys);
      machine.disk = machine.disk[end]();
      machine.clock.advance(11_000);
      await machine.start({ partitions: 5 });
      assert.deepEqual(
        await machine.publish(...keys),
        first.map((place) => ({ ...place, duplicate: true })),
      );
      const [anew] = await machine.publish("old");
      assert.ok(anew && !("duplicate" in anew));
      assert.notDeepEqual(anew, old);
    });
  }

  it("knows the keys of what waited, however many marks lie behind it, until their window is over", async () => {
    const machine = await new Machine().start();
    const { clock } = machine;
    const keys = Array.from({ length: 600 }, (_, i) => `k${i}`);
    const waiting = keys.map((key, i) => ({ ...message(key), deliverAt: clock.now() + 10 * (i + 1) }));
    const first = await machine.drive(machine.topic.publish(waiting));
    for (const i of keys.keys()) {
      clock.advance(10);
      while ((await machine.stored()).length <= i);
    }
    const another = async (before: number) => {
      const one = { ...message(), deliverAt: clock.now() + 10 };
      await machine.drive(machine.topic.publish([one]));
      clock.advance(10);
      while ((await machine.stored()).length <= keys.length + before);
    };
    await another(0);
    machine.disk = machine.disk.kill();
    await machine.start();
    machine.topic.hasDelays = true;
    assert.deepEqual(
      await machine.publish(...keys),
      first.map((place) => ({ ...place, duplicate: true })),
    );
    clock.advance(usual.dedupWindowMs);
    for (const before of [1, 2, 3]) await another(before); // enough for a trim
    const { log } = (await machine.topic.delays())!;
    assert.ok(log.start >= keys.length, "they are not kept for ever");
  });

  it("frees a key whose publish failed, also for those that waited for it", async () => {
    const machine = await new Machine().start();
    await machine.publish("before");
    machine.disk.faults = { ...noFaults, write: 1, sync: 1, truncate: 1, names: 1 };
    const outcomes = await machine.drive(
      Promise.all([machine.topic.publish([message("a")]), machine.topic.publish([message("a")])]),
    );
    for (const [outcome] of outcomes) {
      assert.match(codeOf(outcome)!, /log_write_failed|log_outcome_unknown/);
    }
    machine.disk.faults = noFaults;
    const [stored] = await machine.publish("a");
    assert.ok(stored && !(stored instanceof Error) && !stored.duplicate);
    machine.disk = machine.disk.crash();
    await machine.start();
    assert.deepEqual(await machine.publish("a"), [{ ...stored, duplicate: true }]);
    assert.deepEqual(await machine.stored(), ["a", "before"]);
  });

  it("refuses a key beyond the limit, and takes keys again when the window has passed", async () => {
    const machine = await new Machine().start({ dedupKeysMax: 2 });
    const outcomes = await machine.publish("a", "b", "c", "a", undefined);
    assert.deepEqual(outcomes.map(codeOf), [undefined, undefined, "dedup_full", undefined, undefined]);
    machine.clock.advance(76_000);
    assert.deepEqual((await machine.publish("c")).map(codeOf), [undefined]);
  });

  it("forgets nothing when the window grows, and everything when it is 0", async () => {
    const machine = await new Machine().start();
    await machine.publish("a");
    machine.clock.advance(76_000);
    await machine.drive(machine.topic.grow({ ...usual, dedupWindowMs: 120_000, version: 2 }));
    assert.ok("duplicate" in (await machine.publish("a"))[0]!);
    await machine.drive(machine.topic.grow({ ...usual, dedupWindowMs: 0, version: 3 }));
    assert.ok(!("duplicate" in (await machine.publish("a"))[0]!));
  });
});
