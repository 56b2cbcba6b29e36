/** What the marks of a delay log say of the topic's partitions; the rest is in delay.simulation.test.ts. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { ManualClock } from "../../core/clock.ts";
import { seededRandom } from "../../core/random.ts";
import { SimulatedDisk } from "../../stores/log/disk.simulated.ts";
import { type LogPartition, openLog } from "../../stores/log/index.ts";
import { encodeMessage, withSchedule } from "../message.ts";
import { DelayLog, type DelayLogOptions } from "./delay-log.ts";

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

class Machine {
  readonly clock = new ManualClock();
  readonly #random = seededRandom(1);
  readonly #disk = new SimulatedDisk({ random: this.#random });
  waits!: LogPartition;
  topic!: LogPartition[];

  static async start(t: TestContext): Promise<Machine> {
    const machine = new Machine();
    const { clock } = machine;
    let isOver = false;
    t.after(() => {
      isOver = true;
    });
    void (async () => {
      for (; !isOver; await tick()) machine.#disk.step();
    })();
    const limits = { segmentBytes: 10_000, settleMs: 1000 };
    const log = openLog({ disk: machine.#disk, clock, random: machine.#random, limits });
    await log.start();
    machine.waits = await log.partition("d1");
    machine.topic = [await log.partition("t1-0"), await log.partition("t1-1")];
    return machine;
  }

  body(delayMs: number): Buffer {
    const now = this.clock.now();
    const fields = { key: undefined, headers: undefined, deliverAt: now + delayMs };
    return encodeMessage({ ...fields, payload: Buffer.from("1") }, now);
  }

  open(options: Partial<DelayLogOptions> = {}): Promise<DelayLog> {
    return DelayLog.open({
      log: this.waits,
      clock: this.clock,
      durability: () => "memory",
      strongest: "fsync",
      partitions: () => this.topic,
      append: () => assert.fail("nothing is due"),
      pendingMax: 100,
      keyWindowMs: () => 0,
      onError: (error) => assert.fail(String(error)),
      ...options,
    });
  }

  async lastEnds(): Promise<number[]> {
    const [record] = await this.waits.read(this.waits.end - 1, { records: 1, bytes: 1 });
    return JSON.parse(record!.body.toString()).ends;
  }
}

describe("the marks of a delay log", () => {
  it("are written anew when the topic has lost what the last one knew, though nothing waits", async (t) => {
    const machine = await Machine.start(t);
    await machine.topic[0]!.append([machine.body(0)], "os");
    await machine.waits.append([Buffer.from(JSON.stringify({ ends: [5, 0] }))], "os");
    await machine.open();
    assert.deepEqual(await machine.lastEnds(), [1, 0]);
    const { end } = machine.waits;
    await machine.open();
    assert.equal(machine.waits.end, end, "and only then");
  });

  it("are written anew when the log itself has lost its end, so that ids which come again are not taken for gone", async (t) => {
    const machine = await Machine.start(t);
    await machine.waits.append([Buffer.from(JSON.stringify({ ends: [0, 0] }))], "os");
    await machine.topic[0]!.append([withSchedule(machine.body(10), machine.clock.now(), 1)], "os");
    const delays = await machine.open();
    assert.equal(await delays.add([machine.body(10)]), 2, "behind the mark");
    delays.close();
    assert.equal((await machine.open()).size, 1);
  });

  it("do not pass messages that are on their way into the topic", async (t) => {
    const machine = await Machine.start(t);
    const { clock, waits, topic } = machine;
    const first = Promise.withResolvers<void>();
    const halfway = Promise.withResolvers<void>();
    const rest = Promise.withResolvers<void>();
    let held: Promise<void> | undefined;
    const log: LogPartition = {
      name: waits.name,
      start: waits.start,
      bytes: waits.bytes,
      get end() {
        return waits.end;
      },
      append: async (bodies, durability) => {
        await held;
        return waits.append(bodies, durability);
      },
      certain: () => waits.certain(),
      read: (from, limit) => waits.read(from, limit),
      trim: (before) => waits.trim(before),
      onAppend: (listener) => waits.onAppend(listener),
    };
    const delays = await machine.open({
      log,
      noteEvery: 1,
      append: async (bodies) => {
        await topic[0]!.append(bodies, "memory");
        halfway.resolve();
        await rest.promise; // for the other partition
        return bodies.map((_, offset) => ({ partition: 0, offset }));
      },
    });
    await delays.add([machine.body(10), machine.body(100_000)]);
    held = first.promise;
    delays.published(1); // a mark that waits for the disk
    delays.published(1); // and one that waits for the first
    const marked = waits.end + 2;
    clock.advance(20);
    await halfway.promise;
    first.resolve();
    while (waits.end < marked) await tick();
    assert.deepEqual(await machine.lastEnds(), [0, 0]);
    rest.resolve();
    while (waits.end < marked + 1) await tick();
    assert.deepEqual(await machine.lastEnds(), [1, 0]);
    delays.close();
  });
});
