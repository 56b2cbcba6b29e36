/**
 * Seeded histories of scheduling over the real log on a simulated disk: messages that wait, cancellations, direct
 * messages in between, clocks that pass and are set, disks that fail and fill up, and the end of the process by stop,
 * kill or power cut at any write. DelayModel knows what was promised.
 *
 *   node src/messaging/delivery/delay.simulation.ts                     10,000 histories from a random seed
 *   SEED=42 HISTORIES=1 node src/messaging/delivery/delay.simulation.ts replays one
 *
 * A history is a pure function of its seed.
 */
import { ManualClock } from "../../core/clock.ts";
import { HotSwapError, hasCode } from "../../core/errors.ts";
import { type Random, seededRandom } from "../../core/random.ts";
import { Metrics } from "../../platform/telemetry/index.ts";
import {
  type DiskFaults,
  noFaults,
  SimulatedDisk,
  type SimulatedDiskOptions,
} from "../../stores/log/disk.simulated.ts";
import { type Durability, durabilities, openLog } from "../../stores/log/index.ts";
import type { LogStore } from "../../stores/log/port.ts";
import { decodeMessage, keyOf, publishedAtOf } from "../message.ts";
import { MessagingMetrics } from "../metrics.ts";
import { DelayModel, type Seen } from "./delay.simulation.model.ts";
import { delayLogName } from "./delay-log.ts";
import { scan } from "./scan.ts";
import type { End } from "./simulation.model.ts";
import type { TopicSpec } from "./spec.ts";
import { LiveTopic } from "./topic.ts";

export interface SimulationOptions {
  /** Operations of the disk that say yes and do nothing: to see whether the simulation notices. */
  lies?: SimulatedDiskOptions["lies"];
  trace?: (line: string) => void;
}

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));
const excuses = [
  "store_unavailable",
  "log_write_failed",
  "log_outcome_unknown",
  "disk_full",
  "overloaded",
  "shutting_down",
] as const;

const keepsAll = { retentionMs: undefined, retentionBytes: undefined, retain: "unacknowledged" } as const;

class History {
  readonly model: DelayModel;
  readonly #random: Random;
  readonly #trace: (line: string) => void;
  readonly #spec: TopicSpec;
  readonly #segmentBytes: number;
  #clock = new ManualClock();
  #disk: SimulatedDisk;
  #log!: LogStore;
  #topic!: LiveTopic;
  #life = 0;
  readonly #broken: unknown[] = [];

  constructor(seed: number, { lies, trace }: SimulationOptions) {
    this.#random = seededRandom(seed);
    this.#trace = trace ?? (() => {});
    const durability = this.#pick<Durability>("fsync", "fsync", ...durabilities);
    const partitions = this.#pick(1, 2, 3);
    const policies = { dedupWindowMs: 0, messageTtlMs: undefined, ...keepsAll };
    const routing = { strategy: "load-balanced", balancing: "round-robin" } as const;
    const fixed = { tenant: "t", name: "n", number: 1, routing, durability, ...policies };
    this.#spec = { ...fixed, partitions, version: 1 };
    this.#segmentBytes = this.#pick(300, 2000, 50_000);
    this.#disk = new SimulatedDisk({ random: this.#random, ...(lies && { lies }) });
    this.model = new DelayModel(durability);
  }

  async run(): Promise<void> {
    for (let lives = 2 + this.#random.below(3); lives > 0; lives--) {
      await this.#begin();
      if (this.#random.below(2) === 0) this.#disk.faults = this.#someFaults();
      for (let steps = this.#random.below(60); steps > 0; steps--) await this.#step();
      await this.#end(this.#pick<End>("stop", "kill", "kill", "power"));
    }
    await this.#begin();
    await this.#drain();
  }

  #pick<T>(...values: T[]): T {
    return values[this.#random.below(values.length)]!;
  }

  #someFaults(): DiskFaults {
    const rate = () => (this.#random.below(2) === 0 ? 0 : this.#random.number() ** 2);
    return { write: rate(), sync: rate(), truncate: rate(), read: rate() / 2, names: rate() / 2 };
  }

  #heal(): void {
    this.#disk.faults = noFaults;
    this.#disk.capacityBytes = Number.POSITIVE_INFINITY;
  }

  /** Lets the disk work until the promise has settled. */
  async #drive<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = promise.finally(() => {
      settled = true;
    });
    done.catch(() => {}); // looked at below
    for (let idle = 0; !settled; ) {
      if (this.#disk.step()) idle = 0;
      else if (++idle > 50) throw new Error("stuck: nothing is under way and nothing comes of it");
      await tick();
    }
    return done;
  }

  async #persist<T>(attempt: () => Promise<T>): Promise<T> {
    for (let failed = 0; ; failed++) {
      if (failed === 3) this.#heal();
      try {
        return await this.#drive(attempt());
      } catch (error) {
        if (failed > 3 || !isExcused(error)) throw error;
      }
    }
  }

  async #begin(): Promise<void> {
    this.#life += 1;
    this.#clock = new ManualClock(this.#clock.now() + this.#random.below(100_000) - 20_000); // clocks jump, back too
    const limits = { segmentBytes: this.#segmentBytes, settleMs: 1000 };
    this.#log = openLog({ disk: this.#disk, clock: this.#clock, random: this.#random, limits });
    await this.#persist(() => this.#log.start());
    this.#topic = new LiveTopic(this.#spec, {
      log: this.#log,
      clock: this.#clock,
      metrics: new MessagingMetrics(new Metrics()),
      outstandingMax: 100,
      dedupKeysMax: 1000,
      scheduledMax: 1000,
      openDeadLetters: () => Promise.reject(new Error("nothing is given up here")),
      delayPace: { noteEvery: this.#pick(2, 20, 1000), trimEvery: this.#pick(1, 5, 100) },
      onError: (error) => {
        if (!isExcused(error)) this.#broken.push(error);
      },
    });
    const names = await this.#persist(() => this.#log.list());
    this.#topic.hasDelays = names.includes(delayLogName(1));
    await this.#persist(() => this.#topic.delays());
    this.#trace(`life ${this.#life} of ${this.#spec.durability}, ${this.#spec.partitions} partitions`);
  }

  async #step(): Promise<void> {
    const action = this.#random.below(20);
    if (action < 5) this.#publish();
    else if (action === 5) this.#cancel();
    else if (action < 9) this.#pass(this.#random.below(15_000));
    else if (action === 9) this.#clock.jump(this.#clock.now() + this.#random.below(40_000) - 20_000);
    else if (action === 10) this.#disk.faults = this.#random.below(3) === 0 ? this.#someFaults() : noFaults;
    else if (action === 11) this.#disk.capacityBytes = this.#pick(2000, 10_000, Number.POSITIVE_INFINITY);
    else for (let n = this.#random.below(6); n >= 0; n--) this.#disk.step();
    this.model.sawTime(this.#clock.now());
    await tick();
    if (this.#broken.length > 0) throw this.#broken[0];
  }

  #pass(ms: number): void {
    this.#clock.advance(ms);
  }

  #publish(): void {
    const { model } = this;
    const life = this.#life;
    const now = this.#clock.now();
    const ids = Array.from({ length: 1 + this.#random.below(4) }, () => {
      const due = this.#random.below(4) === 0 ? undefined : now + 1 + this.#random.below(30_000);
      return model.attempt(this.#pick(undefined, "a", "b"), due);
    });
    const messages = ids.map((id) => {
      const { key, due: deliverAt } = model.of(id);
      return { key, headers: undefined, payload: Buffer.from(String(id)), deliverAt };
    });
    this.#trace(`publish ${ids.map((id) => `${id}@${model.of(id).due ?? "now"}`)} at ${now}`);
    this.#topic.publish(messages).then(
      (placements) => {
        if (life !== this.#life) return;
        for (const [i, placement] of placements.entries()) {
          if (!(placement instanceof Error)) {
            // One whose time came while it was on its way goes at once.
            const waits = placement.scheduledFor !== undefined;
            model.acknowledged(ids[i]!, waits ? placement.offset : undefined);
          } else if (!isExcused(placement)) this.#broken.push(placement);
          else model.refused(ids[i]!, hasCode(placement, "log_outcome_unknown") ? "unknown" : "refused");
        }
      },
      (error) => {
        if (life !== this.#life) return;
        if (!isExcused(error)) this.#broken.push(error);
        for (const id of ids) model.refused(id, "refused"); // the partitions could not be opened
      },
    );
  }

  #cancel(): void {
    const { model } = this;
    const life = this.#life;
    const waiting = model.cancellable();
    const chosen = waiting[this.#random.below(Math.max(1, waiting.length))];
    if (!chosen) return;
    model.cancelling(chosen.id);
    this.#trace(`cancel ${chosen.id} at ${chosen.place}`);
    this.#topic
      .delays()
      .then((delays) => delays!.cancel(chosen.place!))
      .then(
        (body) => {
          if (life !== this.#life) return;
          this.#trace(`cancel ${chosen.id}: ${body !== undefined}`);
          if (body) model.cancelled(chosen.id);
          else model.notCancelled(chosen.id);
        },
        (error) => {
          if (life === this.#life && !isExcused(error)) this.#broken.push(error);
        },
      );
  }

  async #end(how: End): Promise<void> {
    this.#trace(how);
    const reverted = this.#disk.reverted;
    if (how === "stop") {
      this.#heal();
      await this.#drive(this.#topic.close());
      await this.#drive(this.#log.stop());
    }
    this.#life += 1;
    this.#topic.close().catch(() => {}); // of a process that is gone: nobody waits for it
    this.#disk = how === "power" ? this.#disk.crash() : this.#disk.kill();
    // A failed sync that put old content back has broken what a page cache promises.
    this.model.ended(reverted ? "power" : how);
    if (this.#broken.length > 0) throw this.#broken[0];
  }

  /** With a disk that works and enough time, everything goes. */
  async #drain(): Promise<void> {
    this.#heal();
    const delays = await this.#persist(() => this.#topic.delays());
    for (let rounds = 0; delays && delays.size > 0; rounds++) {
      if (rounds > 2000) throw new Error(`${delays.size} messages do not go`);
      this.#clock.advance(5000);
      for (let n = 0; n < 20; n++) {
        this.#disk.step();
        await tick();
      }
    }
    const partitions = await this.#drive(Promise.resolve(this.#topic.partitions()));
    for (const log of partitions) {
      const seen: Seen[] = [];
      const reading = (async () => {
        for await (const records of scan(log, log.start, log.end)) {
          for (const { body } of records) {
            const id = Number(decodeMessage(body).payload);
            seen.push({ id, key: keyOf(body), publishedAt: publishedAtOf(body) });
          }
        }
      })();
      await this.#drive(reading);
      this.model.seen(seen);
    }
    this.model.finish();
    if (this.#broken.length > 0) throw this.#broken[0];
  }
}

function isExcused(error: unknown): boolean {
  return error instanceof HotSwapError && excuses.some((code) => code === error.code);
}

/** Runs one history. Rejects when a promise was broken; the message carries the seed. */
export async function simulate(seed: number, options: SimulationOptions = {}): Promise<DelayModel["stats"]> {
  const history = new History(seed, options);
  try {
    await history.run();
    return history.model.stats;
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  }
}

if (process.argv[1] === import.meta.filename) {
  const histories = Number(process.env.HISTORIES ?? 10_000);
  const first = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const trace = histories === 1 ? { trace: (line: string) => process.stdout.write(`${line}\n`) } : {};
  const total: Record<string, number> = {};
  for (let i = 0; i < histories; i++) {
    const stats = await simulate(first + i, trace);
    for (const [name, count] of Object.entries(stats)) total[name] = (total[name] ?? 0) + count;
    if (process.stderr.isTTY && i % 50 === 0) process.stderr.write(`\r${i} of ${histories} histories`);
  }
  process.stdout.write(
    `${JSON.stringify({ histories, seed: first, ...total, lost: 0, twice: 0, early: 0, reordered: 0, unexpected: 0 })}\n`,
  );
}
