/**
 * Seeded histories of publishing and delivery over the real log on a simulated disk: publishers, consumers that
 * acknowledge, give back, extend, forget and come too late, clocks that pass, disks that fail and fill up, and
 * the end of the process by stop, kill or power cut, several times over. DeliveryModel knows what was promised.
 *
 *   node src/messaging/delivery/simulation.ts                     10,000 histories from a random seed
 *   SEED=42 HISTORIES=1 node src/messaging/delivery/simulation.ts replays one
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
import { parseReceipt } from "../ids.ts";
import { decodeMessage, type Origin, originOf } from "../message.ts";
import { MessagingMetrics } from "../metrics.ts";
import type { DeadLetterQueue } from "./dead-letters.ts";
import type { Received } from "./delivered.ts";
import { ackModes, type Backoff, backoffMs, type SubscriptionPolicy } from "./policy.ts";
import { lanesPerPartition, type Routing, type Strategy } from "./routing.ts";
import { DeliveryModel, type End } from "./simulation.model.ts";
import type { TopicSpec } from "./spec.ts";
import type { LiveSubscription } from "./subscription.ts";
import { LiveTopic } from "./topic.ts";

export interface SimulationOptions {
  /** Operations of the disk that say yes and do nothing: to see whether the simulation notices. */
  lies?: SimulatedDiskOptions["lies"];
  trace?: (line: string) => void;
}

const ackDeadlineSeconds = 10;
const subscriptionName = "s";
const tick = () => new Promise<void>((resolve) => setImmediate(resolve));
/** What a fault of the disk may say to a caller. Anything else is a broken promise. */
const excuses = [
  "store_unavailable",
  "log_write_failed",
  "log_outcome_unknown",
  "disk_full",
  "overloaded",
  "shutting_down",
] as const;

const keepsAll = { retentionMs: undefined, retentionBytes: undefined, retain: "unacknowledged" } as const;
const deadLetterSpec: TopicSpec = {
  tenant: "t",
  name: "n.dlq",
  number: 3,
  partitions: 1,
  routing: { strategy: "load-balanced", balancing: "round-robin" },
  durability: "fsync",
  dedupWindowMs: 0,
  messageTtlMs: undefined,
  ...keepsAll,
  version: 1,
  deadLettersOf: "n",
};

class History {
  readonly model: DeliveryModel;
  readonly #random: Random;
  readonly #trace: (line: string) => void;
  #spec: TopicSpec;
  readonly #policy: SubscriptionPolicy;
  /** Consumers that often give back what they took. */
  readonly #isFailing: boolean;
  readonly #segmentBytes: number;
  readonly #metrics = new MessagingMetrics(new Metrics());
  #clock = new ManualClock();
  #disk: SimulatedDisk;
  #log!: LogStore;
  #topic!: LiveTopic;
  #deadLetters!: LiveTopic;
  #live!: LiveSubscription;
  /** Dead letters that were moved, by id. */
  readonly #copies = new Map<number, Buffer>();
  #life = 0;
  #underWay = 0;
  readonly #broken: unknown[] = [];

  constructor(seed: number, { lies, trace }: SimulationOptions) {
    this.#random = seededRandom(seed);
    this.#trace = trace ?? (() => {});
    const durability = this.#pick<Durability>("fsync", "fsync", ...durabilities);
    const partitions = this.#pick(1, 1, 2, 3);
    const policies = { dedupWindowMs: 300_000, messageTtlMs: undefined, ...keepsAll };
    const routing = this.#someRouting();
    const lanes = partitions * lanesPerPartition(routing.strategy);
    const fixed = { tenant: "t", name: "n", number: 1, routing, durability, ...policies };
    this.#spec = { ...fixed, partitions: lanes, version: 1 };
    this.#segmentBytes = this.#pick(300, 2000, 50_000);
    this.#policy = this.#somePolicy();
    this.#isFailing = this.#random.below(2) === 0;
    this.model = new DeliveryModel(this.#policy);
    this.#disk = new SimulatedDisk({ random: this.#random, ...(lies && { lies }) });
  }

  async run(): Promise<void> {
    const lives = 2 + this.#random.below(3);
    for (let life = 0; life < lives; life++) {
      await this.#begin();
      if (this.#random.below(3) === 0) this.#disk.faults = this.#someFaults();
      for (let steps = this.#random.below(160); steps > 0; steps--) await this.#step();
      await this.#end(this.#pick<End>("stop", "kill", "kill", "power"));
    }
    await this.#begin();
    await this.#drain();
    await this.#lookAtDeadLetters();
    this.model.finish();
  }

  #someRouting(): Routing {
    const strategy = this.#pick<Strategy>(
      "load-balanced",
      "load-balanced",
      "load-balanced",
      "direct",
      "priority",
    );
    return { strategy, balancing: this.#pick("round-robin", "least-loaded") };
  }

  #somePolicy(): SubscriptionPolicy {
    const backoffs: Backoff[] = [
      { delaysMs: [0] },
      { delaysMs: [0, 500] },
      { delaysMs: [2000, 4000, 8000] },
      { baseMs: 100, maxMs: 5000 },
    ];
    return {
      ackMode: this.#random.below(6) === 0 ? ackModes[1] : ackModes[0],
      maxAttempts: this.#pick(0, 1, 2, 3),
      backoff: this.#pick(...backoffs),
      blockKeyOnDeadLetter: this.#random.below(3) === 0,
      deadLetterExpired: this.#random.below(3) === 0,
      ...(this.#random.below(3) === 0 && { filter: { header: "wanted", equals: "yes" } }),
    };
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
    this.#underWay = 0;
    this.#clock = new ManualClock(this.#clock.now() + this.#random.below(100_000) - 20_000); // clocks jump, back too
    const limits = { segmentBytes: this.#segmentBytes, settleMs: 1000 };
    this.#log = openLog({ disk: this.#disk, clock: this.#clock, random: this.#random, limits });
    await this.#persist(() => this.#log.start());
    const onError = (error: unknown) => {
      if (!isExcused(error)) this.#broken.push(error);
    };
    const parts = {
      log: this.#log,
      clock: this.#clock,
      metrics: this.#metrics,
      dedupKeysMax: 1000,
      scheduledMax: 1000,
      outstandingMax: 1 + this.#random.below(60),
      snapshotEvery: this.#pick(2, 10, 1000),
      openDeadLetters: () => this.#openDeadLetters(),
      onError,
    };
    this.#topic = new LiveTopic(this.#spec, parts);
    this.#deadLetters = new LiveTopic(deadLetterSpec, parts);
    await this.#lookAtDeadLetters();
    const own = { id: "s", name: subscriptionName, number: 2, policy: this.#policy };
    this.#topic.addSubscription({ ...own, ackDeadlineSeconds, startOffsets: [] });
    this.#live = (await this.#persist(() => this.#topic.subscription(subscriptionName)))!;
    this.#trace(`life ${this.#life} of ${this.#spec.durability}`);
  }

  /** The queue, and the model learns what is moved into it. */
  async #openDeadLetters(): Promise<DeadLetterQueue> {
    const life = this.#life;
    const { log, append } = await this.#deadLetters.deadLetterQueue();
    return {
      log,
      append: async (bodies) => {
        const ids = bodies.map(idOf);
        if (life === this.#life) this.model.burying(ids);
        this.#trace(`bury ${ids}`);
        await append(bodies);
        if (life === this.#life) this.model.buried(ids);
        bodies.forEach((body, i) => {
          this.#copies.set(ids[i]!, body);
        });
      },
    };
  }

  /** What the queue holds after a crash is checked against what was promised. */
  async #lookAtDeadLetters(): Promise<void> {
    const { log } = await this.#persist(() => this.#deadLetters.deadLetterQueue());
    const found: { id: number; origin: Origin }[] = [];
    for (let at = log.start; at < log.end; ) {
      const records = await this.#persist(() => log.read(at, { records: 1000, bytes: 1 << 20 }));
      for (const { body } of records) found.push({ id: idOf(body), origin: JSON.parse(originOf(body)!) });
      at += records.length;
    }
    this.model.deadLettersAre(found);
  }

  async #step(): Promise<void> {
    const action = this.#random.below(32);
    if (action < 5) this.#publish();
    else if (action < 8) this.#receive();
    else if (action < 12 && this.#isFailing && this.#random.below(2) === 0) this.#nack();
    else if (action < 12) this.#ack();
    else if (action === 12) this.#nack();
    else if (action === 13) this.#extend();
    else if (action === 14) this.#ackStale();
    else if (action === 15) this.#clock.advance(this.#random.below(15_000));
    else if (action === 16) this.#disk.faults = this.#random.below(6) === 0 ? this.#someFaults() : noFaults;
    else if (action === 17) this.#fillUp();
    else if (action === 18) this.#grow();
    else if (action === 19) this.#revive();
    else if (action === 20) this.#replay();
    else if (action === 21 && this.#random.below(8) === 0) {
      this.#clock.jump(this.#clock.now() + this.#random.below(200_000) - 100_000);
    } else for (let n = this.#random.below(6); n >= 0; n--) this.#disk.step();
    await tick();
    if (this.#broken.length > 0) throw this.#broken[0];
  }

  /** A disk is seldom full. */
  #fillUp(): void {
    const isFull = this.#random.below(6) === 0;
    this.#disk.capacityBytes = isFull ? this.#pick(2000, 10_000) : Number.POSITIVE_INFINITY;
  }

  /** As two changes of a topic do: the row in SQL grows first, and then the live topic, perhaps late. */
  #grow(): void {
    const { partitions, version } = this.#spec;
    const lanes = lanesPerPartition(this.#spec.routing.strategy);
    if (partitions >= 4 * lanes || this.#random.below(4) > 0) return;
    this.#spec = { ...this.#spec, partitions: partitions + lanes, version: version + 1 };
    this.#trace(`grow to ${partitions + lanes}`);
    this.#launch(
      this.#topic.grow(this.#spec),
      () => {},
      () => {},
    );
  }

  /** Runs an operation beside the others. Its outcome counts only while this life lasts. */
  #launch<T>(work: Promise<T>, onDone: (result: T) => void, onFailed: (error: HotSwapError) => void): void {
    const life = this.#life;
    this.#underWay += 1;
    const guard = (report: () => void) => {
      if (life !== this.#life) return;
      this.#underWay -= 1;
      try {
        report();
      } catch (error) {
        this.#broken.push(error);
      }
    };
    work.then(
      (result) => guard(() => onDone(result)),
      (error) =>
        guard(() => {
          if (!isExcused(error)) throw error;
          onFailed(error as HotSwapError);
        }),
    );
  }

  #publish(): void {
    const { model } = this;
    const { durability } = this.#spec;
    const keys = Array.from({ length: 1 + this.#random.below(4) }, () =>
      this.#pick(undefined, "a", "b", "c"),
    );
    const wanted = keys.map(() => this.#policy.filter === undefined || this.#random.below(4) > 0);
    const ttls = keys.map(() => {
      const isMortal = this.#policy.deadLetterExpired && this.#random.below(4) === 0;
      return isMortal ? 1 + this.#random.below(20_000) : undefined;
    });
    const ids = keys.map((key, i) => model.attempt(key, durability, wanted[i]!, ttls[i] !== undefined));
    this.#trace(`publish ${ids}`);
    const messages = ids.map((id, i) => ({
      key: keys[i],
      headers: this.#policy.filter && { wanted: wanted[i] ? "yes" : "no" },
      payload: Buffer.from(String(id)),
      priority: this.#random.below(3),
      ttlMs: ttls[i],
    }));
    this.#launch(
      this.#topic.publish(messages),
      (placements) => {
        for (const [i, placement] of placements.entries()) {
          if (!(placement instanceof Error)) {
            model.acknowledged(ids[i]!, placement.partition, placement.offset);
            continue;
          }
          if (!isExcused(placement)) throw placement;
          model.refused(ids[i]!, hasCode(placement, "log_outcome_unknown") ? "unknown" : "refused");
        }
      },
      () => {
        for (const id of ids) model.refused(id, "refused"); // the partitions could not be opened
      },
    );
  }

  #receive(): void {
    const waitMs = this.#pick(0, 0, 500);
    this.#launch(
      this.#live.receive(1 + this.#random.below(6), waitMs, undefined, {
        name: this.#pick("one", "two", "three"),
        via: "pull",
        priority: this.#random.below(2),
      }),
      (received) => this.#take(received),
      () => {}, // what was leased comes back after its deadline
    );
  }

  #take({ deliveries, expiresAt }: Received): number[] {
    const batch = deliveries.map(({ body, partition, offset, attempt, receipt }) => ({
      id: idOf(body),
      partition,
      offset,
      attempt,
      receipt,
    }));
    this.#trace(`received ${batch.map(({ id }) => id)}`);
    const until = this.#clock.monotonic() + expiresAt - this.#clock.now();
    this.model.received(batch, this.#clock.monotonic(), until);
    if (this.#policy.ackMode === "at-most-once") this.model.handedOut(batch.map(({ id }) => id));
    return batch.map(({ id }) => id);
  }

  #someHeld(): { id: number; receipt: string; attempt: number }[] {
    return this.model.held(this.#clock.monotonic()).filter(() => this.#random.below(2) === 0);
  }

  #ack(): void {
    const chosen = this.#someHeld();
    for (const { id } of chosen) this.model.settling(id);
    this.#trace(`ack ${chosen.map(({ id }) => id)}`);
    this.#launch(
      this.#live.ack(chosen.map(({ receipt }) => parseReceipt(receipt))),
      (outcomes) =>
        outcomes.forEach((outcome, i) => {
          if (outcome !== "ok") throw new Error(`the ack of ${chosen[i]!.id} under its lease was ${outcome}`);
          this.model.settled(chosen[i]!.id);
        }),
      () => {}, // may have counted
    );
  }

  #nack(): void {
    const chosen = this.#someHeld();
    const now = this.#clock.monotonic();
    const items = chosen.map(({ id, receipt, attempt }) => {
      const delayMs = this.#pick(undefined, 0, 100, 20_000);
      const deadLetter = this.#random.below(6) === 0;
      const release = !deadLetter && this.#random.below(6) === 0;
      const backoff = release ? 0 : (delayMs ?? backoffMs(this.#policy.backoff, attempt));
      this.model.returned(id, { notBefore: now + backoff, deadLetter, release });
      return { receipt: parseReceipt(receipt), delayMs, deadLetter, release, reason: "no" };
    });
    this.#trace(`nack ${chosen.map(({ id }) => id)}`);
    this.#launch(
      this.#live.nack(items),
      () => {},
      () => {},
    );
  }

  /** Somebody has a parked message tried again, or its key go on without it. */
  #revive(): void {
    const parked = this.#live.parked()[0];
    if (!parked) return;
    const { partition, offset } = parked;
    const id = this.model.at(partition, offset);
    if (id === undefined) return;
    if (this.#random.below(2) === 0) {
      this.model.revived(id);
      this.#launch(
        this.#live.revive(partition, offset),
        () => {},
        () => {},
      );
    } else {
      this.model.settling(id);
      this.#launch(
        this.#live.discard(partition, offset),
        () => {},
        () => {},
      );
    }
  }

  /** Somebody replays a dead letter to the subscription; one that is parked has its own way. */
  #replay(): void {
    const id = this.model.someDead(this.#random);
    const body = id === undefined ? undefined : this.#copies.get(id);
    if (id === undefined || !body) return;
    this.#trace(`replay ${id}`);
    this.model.revived(id);
    this.#launch(
      this.#live.replay([body]),
      () => {},
      () => {}, // it may be there all the same
    );
  }

  #extend(): void {
    for (const { id, receipt } of this.#someHeld()) {
      const [outcome] = this.#live.extend([parseReceipt(receipt)], 25_000);
      if (outcome !== "ok") throw new Error(`extending ${id} under its lease was ${outcome}`);
      this.model.extended(id, this.#clock.monotonic() + 25_000);
    }
  }

  /** A consumer that comes too late, perhaps from before a crash, must be told so. */
  #ackStale(): void {
    const { receipts } = this.model;
    const receipt = receipts[this.#random.below(Math.max(1, receipts.length))];
    if (receipt === undefined || this.model.mayCount(receipt, this.#clock.monotonic())) return;
    this.model.stats.stale += 1;
    this.#launch(
      this.#live.ack([parseReceipt(receipt)]),
      ([outcome]) => {
        if (outcome === "ok") throw new Error(`a stale ack counted: ${receipt}`);
      },
      () => {},
    );
  }

  async #end(how: End): Promise<void> {
    this.#trace(how);
    const reverted = this.#disk.reverted;
    if (how === "stop") {
      this.#heal();
      this.#live.close();
      await this.#drive(this.#log.stop());
      for (let ticks = 0; this.#underWay > 0 && ticks < 200; ticks++) {
        this.#disk.step(); // reads that were under way
        await tick();
      }
      if (this.#underWay > 0) throw new Error(`${this.#underWay} operations have no outcome`);
    }
    this.#life += 1;
    this.#live.close();
    this.#disk = how === "power" ? this.#disk.crash() : this.#disk.kill();
    // A failed sync that put old content back has broken what a page cache promises.
    this.model.ended(reverted ? "power" : how);
    if (this.#broken.length > 0) throw this.#broken[0];
  }

  /** With a disk that works and a consumer that acknowledges, everything comes out. */
  async #drain(): Promise<void> {
    this.#heal();
    for (let rounds = 0; this.#live.state.depth > 0; rounds++) {
      if (rounds > 2000) throw new Error(`${this.#live.state.depth} messages do not come out`);
      this.#clock.advance(30_000);
      for (const { partition, offset } of this.#live.parked()) {
        const id = this.model.at(partition, offset);
        if (id !== undefined) this.model.settling(id);
        await this.#persist(() => this.#live.discard(partition, offset));
      }
      const received = await this.#persist(() => this.#live.receive(5, 0));
      for (let ticks = 0; ticks < 20; ticks++) {
        this.#disk.step(); // dead letters move by themselves
        await tick();
      }
      const ids = this.#take(received);
      for (const id of ids) this.model.settling(id);
      await this.#persist(() =>
        this.#live.ack(received.deliveries.map(({ receipt }) => parseReceipt(receipt))),
      );
      for (const id of ids) this.model.settled(id);
    }
    if (this.#broken.length > 0) throw this.#broken[0];
  }
}

const idOf = (body: Buffer) => Number(decodeMessage(body).payload);

function isExcused(error: unknown): boolean {
  return !(error instanceof HotSwapError) ? false : excuses.some((code) => code === error.code);
}

/** Runs one history. Rejects when a promise was broken; the message carries the seed. */
export async function simulate(
  seed: number,
  options: SimulationOptions = {},
): Promise<DeliveryModel["stats"]> {
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
    `${JSON.stringify({ histories, seed: first, ...total, lost: 0, unexpected: 0, duplicated: 0, reordered: 0 })}\n`,
  );
}
