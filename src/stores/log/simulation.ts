/**
 * Seeded histories of the disk log: appends of all durabilities, reads, trims, rolls of tiny segments, disks that
 * fail, fill up and tear, and the end of the process by stop, kill or power failure, several times over. A model
 * beside it knows what was promised and checks everything that can be read.
 *
 * A history is a pure function of its seed.
 *
 *   HISTORIES=10000 node src/stores/log/simulation.ts      as many as you like, from a random seed
 *   SEED=42 HISTORIES=1 node src/stores/log/simulation.ts  replays one, line by line
 */
import { ManualClock } from "../../core/clock.ts";
import { type HotSwapError, hasCode } from "../../core/errors.ts";
import { type Random, seededRandom, systemRandom } from "../../core/random.ts";
import { DiskLog } from "./disk.log.ts";
import { type DiskFaults, noFaults, SimulatedDisk, type SimulatedDiskOptions } from "./disk.simulated.ts";
import type { LogPartition } from "./port.ts";
import { PartitionModel } from "./simulation.model.ts";

export interface HistoryStats {
  appends: number;
  acknowledged: number;
  rejected: number;
  unknown: number;
  reads: number;
  lives: number;
  failures: number;
  damaged: number;
}

export interface HistoryOptions {
  lies?: SimulatedDiskOptions["lies"];
  /** Receives one line per event, to follow a failing seed. */
  trace?: (line: string) => void;
}

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

class History {
  readonly #random: Random;
  readonly #trace: (line: string) => void;
  readonly #limits;
  readonly #models: PartitionModel[];
  #clock = new ManualClock();
  #disk: SimulatedDisk;
  #log!: DiskLog;
  #partitions: LogPartition[] = [];
  /** Set when this life is over: what the old process still reports is nobody's affair. */
  #life = 0;
  #pending = 0;
  readonly stats: HistoryStats = {
    appends: 0,
    acknowledged: 0,
    rejected: 0,
    unknown: 0,
    reads: 0,
    lives: 0,
    failures: 0,
    damaged: 0,
  };

  constructor(seed: number, options: HistoryOptions) {
    const random = seededRandom(seed);
    this.#random = random;
    this.#trace = options.trace ?? (() => {});
    const pick = <T>(...values: T[]): T => values[random.below(values.length)]!;
    this.#limits = {
      segmentBytes: pick(150, 400, 2000, 20_000),
      recordBytes: 580,
      pendingBytes: pick(900, 20_000, 20_000),
      pendingTotalBytes: pick(20_000, 50_000, 50_000),
      groupBytes: pick(100, 500, 5000),
      unsyncedBytes: pick(300, 100_000),
      unsyncedTotalBytes: pick(500, 100_000),
      cacheBytes: pick(0, 1000, 100_000),
      indexes: pick(0, 1, 10),
      openFiles: pick(1, 2, 10),
      settleMs: 1000,
    };
    this.#models = Array.from({ length: 1 + random.below(2) }, (_, i) => new PartitionModel(`p/${i}`));
    this.#disk = new SimulatedDisk({ random, ...(options.lies && { lies: options.lies }) });
  }

  async run(): Promise<void> {
    const lives = 2 + this.#random.below(4);
    for (let life = 0; life < lives; life++) {
      await this.#begin();
      const steps = this.#random.below(120);
      this.#disk.faults = this.#random.below(2) === 0 ? noFaults : this.#someFaults();
      for (let i = 0; i < steps; i++) await this.#step();
      await this.#end();
      this.stats.lives += 1;
    }
    this.stats.failures += this.#disk.failures;
    await this.#begin(); // reads everything once more
  }

  #someFaults(): DiskFaults {
    const rate = () => (this.#random.below(2) === 0 ? 0 : this.#random.number() ** 2);
    return { write: rate(), sync: rate(), truncate: rate(), read: rate() / 2, names: rate() / 2 };
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
      else if (idle === 10) this.#clock.advance(1000); // a file may be kept open until it is settled
      if (++idle > 40) throw new Error("stuck: nothing is under way and nothing comes of it");
      await tick();
    }
    return done;
  }

  async #begin(): Promise<void> {
    this.#life += 1;
    this.#pending = 0;
    this.#clock = new ManualClock();
    this.#disk.faults = this.#random.below(4) === 0 ? this.#someFaults() : noFaults;
    if (this.#random.below(4) === 0) this.#fill();
    this.#log = new DiskLog({
      disk: this.#disk,
      clock: this.#clock,
      random: this.#random,
      limits: this.#limits,
    });
    await this.#persist(() => this.#log.start());
    this.#partitions = [];
    for (const model of this.#models) {
      const partition = await this.#persist(() => this.#log.partition(model.name));
      this.#partitions.push(partition);
      this.#trace(`open ${model.name}: ${partition.start}..${partition.end}`);
      model.reopened(partition.start, partition.end);
      await this.#readAll(model, partition);
      model.survived(this.#disk.failures === 0);
    }
    this.#disk.capacityBytes = Number.POSITIVE_INFINITY;
  }

  /** Tries until it works; after some attempts the disk works. */
  async #persist<T>(attempt: () => Promise<T>): Promise<T> {
    for (let failed = 0; ; failed++) {
      if (failed === 4) this.#heal();
      try {
        return await this.#drive(attempt());
      } catch (error) {
        if (failed > 4 || !hasCode(error, "store_unavailable")) throw error;
      }
    }
  }

  #heal(): void {
    this.#disk.faults = noFaults;
    this.#disk.capacityBytes = Number.POSITIVE_INFINITY;
  }

  async #readAll(model: PartitionModel, partition: LogPartition): Promise<void> {
    for (let from = partition.start; from < partition.end; ) {
      try {
        const records = await this.#persist(() => partition.read(from, { records: 7, bytes: 500 }));
        if (records.length === 0) throw new Error(`${model.name}: nothing at ${from} below the end`);
        model.seen(from, records);
        from += records.length;
      } catch (error) {
        model.unreadable(from, error);
        from += 1;
      }
    }
  }

  async #step(): Promise<void> {
    const action = this.#random.below(20);
    const which = this.#random.below(this.#models.length);
    const model = this.#models[which]!;
    const partition = this.#partitions[which]!;
    if (action < 5) this.#append(model, partition);
    else if (action < 7) this.#read(model, partition);
    else if (action < 15) for (let n = this.#random.below(6); n >= 0; n--) this.#disk.step();
    else if (action === 15) this.#trim(model, partition);
    else if (action === 16) this.#clock.advance(600);
    else if (action === 17) this.#fill();
    else if (action === 18) this.#disk.faults = this.#random.below(3) === 0 ? this.#someFaults() : noFaults;
    await tick();
    model.at(partition.start, partition.end);
  }

  #fill(): void {
    const room = this.#random.below(1500);
    this.#disk.capacityBytes = this.#random.below(2) === 0 ? room + 300 : Number.POSITIVE_INFINITY;
  }

  #append(model: PartitionModel, partition: LogPartition): void {
    const durability = (["memory", "os", "fsync", "fsync"] as const)[this.#random.below(4)]!;
    const count = 1 + this.#random.below(this.#random.below(4) === 0 ? 8 : 2);
    const bodies = Array.from({ length: count }, () => model.makeBody(this.#random));
    const ids = bodies.map((body) => body.readUInt32LE(0));
    const life = this.#life;
    this.stats.appends += 1;
    this.#pending += 1;
    this.#trace(`append ${model.name} ${durability} ${ids}`);
    model.begun(ids);
    partition.append(bodies, durability).then(
      (offset) => {
        if (life !== this.#life) return;
        this.#pending -= 1;
        this.stats.acknowledged += 1;
        this.#trace(`ack ${model.name} ${durability} ${ids} at ${offset}`);
        model.acknowledged(ids, offset, durability, partition.end);
      },
      (error: HotSwapError) => {
        if (life !== this.#life) return;
        this.#pending -= 1;
        const unknown = error.code === "log_outcome_unknown";
        this.stats[unknown ? "unknown" : "rejected"] += 1;
        this.#trace(`${unknown ? "unknown" : "rejected"} ${model.name} ${ids}: ${error.code}`);
        model.refused(ids, error);
      },
    );
  }

  #read(model: PartitionModel, partition: LogPartition): void {
    const { start, end } = partition;
    const from = start + this.#random.below(end - start + 1);
    const limit = { records: 1 + this.#random.below(10), bytes: 1 + this.#random.below(800) };
    const life = this.#life;
    this.stats.reads += 1;
    partition.read(from, limit).then(
      (records) => {
        if (life === this.#life) model.read(from, records, end, limit);
      },
      (error) => {
        if (life !== this.#life) return;
        if (hasCode(error, "store_unavailable")) return; // a fault of the disk
        if (hasCode(error, "shutting_down") || hasCode(error, "not_found")) return;
        if (from < partition.start && hasCode(error, "log_offset_out_of_range")) return; // trimmed meanwhile
        model.unreadable(from, error);
      },
    );
  }

  #trim(model: PartitionModel, partition: LogPartition): void {
    const before = partition.start + this.#random.below(partition.end - partition.start + 1);
    model.trimming(before);
    this.#trace(`trim ${model.name} before ${before}`);
    partition.trim(before).catch(() => {}); // a fault of the disk, or the end; the model checks what became of it
  }

  async #end(): Promise<void> {
    const how = this.#random.below(4);
    if (how === 0) return this.#stop();
    if (this.#random.below(8) === 0) {
      const model = this.#models[0]!;
      this.#trace(`remove ${model.name}`);
      model.removing();
      this.#log.remove(model.name).catch(() => {}); // the model checks that it is there whole, or not at all
    }
    if (this.#random.below(2) === 0) await this.#settle();
    this.stats.failures += this.#disk.failures;
    const reverted = this.#disk.reverted;
    this.#life += 1;
    const power = how === 1 || reverted;
    this.#trace(how === 1 ? "crash" : `kill${reverted ? " of a cache that lost content" : ""}`);
    this.#disk = how === 1 ? this.#disk.crash() : this.#disk.kill();
    for (const model of this.#models) model.ended(power ? "crash" : "kill");
  }

  async #settle(): Promise<void> {
    for (let i = this.#random.below(60); i >= 0; i--) {
      this.#disk.step();
      await tick();
    }
  }

  /** A clean stop on a disk that works; afterwards, sometimes, a byte of the medium rots. */
  async #stop(): Promise<void> {
    this.#heal();
    this.#trace("stop");
    const ends = this.#partitions;
    await this.#drive(this.#log.stop());
    await tick();
    if (this.#pending > 0) throw new Error(`${this.#pending} appends have no outcome after stop`);
    this.stats.failures += this.#disk.failures;
    this.#disk = this.#disk.kill();
    for (const model of this.#models) model.ended("stop");
    if (this.#random.below(3) === 0) return;
    this.#disk.flush();
    for (const [i, model] of this.#models.entries()) {
      if (this.#random.below(3) === 0) await this.#rot(model, ends[i]!);
    }
  }

  async #rot(model: PartitionModel, partition: LogPartition): Promise<void> {
    if (partition.end === partition.start) return;
    const offset = partition.start + this.#random.below(partition.end - partition.start);
    const folder = model.name.replace("/", "%2f");
    const names = await this.#drive(this.#disk.list(folder));
    const logs = names.filter((name) => name.endsWith(".log") && Number(name.slice(0, 16)) <= offset);
    const path = `${folder}/${logs.at(-1)}`;
    const bytes = this.#disk.peek(path);
    let position = 64;
    for (let at = Number(logs.at(-1)!.slice(0, 16)); at < offset; at++) {
      const length = bytes.readUInt32LE(position + 4);
      if (length > 580) return; // this file has rotted before
      position += 16 + length;
    }
    const length = bytes.readUInt32LE(position + 4);
    if (model.isDamaged(offset) || length > 580) return;
    this.#disk.flip(path, position + this.#random.below(16 + length));
    this.#trace(`rot ${path} offset ${offset}`);
    model.damaged(offset);
    this.stats.damaged += 1;
  }
}

/** Runs one history. Rejects when a promise of the log was broken; the message carries the seed. */
export async function simulate(seed: number, options: HistoryOptions = {}): Promise<HistoryStats> {
  const history = new History(seed, options);
  const broken: unknown[] = [];
  const onRejection = (error: unknown) => broken.push(error);
  process.on("unhandledRejection", onRejection);
  try {
    await history.run();
    await tick();
  } catch (error) {
    broken.push(error);
  } finally {
    process.off("unhandledRejection", onRejection);
  }
  if (broken.length > 0) throw new Error(`history of seed ${seed}: ${broken[0]}`, { cause: broken[0] });
  return history.stats;
}

if (import.meta.main) {
  const first = Number(process.env.SEED ?? systemRandom.below(2 ** 31));
  const histories = Number(process.env.HISTORIES ?? 10_000);
  const print = (line: string) => process.stdout.write(`${line}\n`);
  const total: Record<string, number> = {};
  for (let seed = first; seed < first + histories; seed++) {
    try {
      const stats = await simulate(seed, histories === 1 ? { trace: print } : {});
      for (const [name, count] of Object.entries(stats)) total[name] = (total[name] ?? 0) + count;
    } catch (error) {
      print((error as Error).message);
      process.exitCode = 1;
    }
  }
  print(JSON.stringify({ histories, seed: first, ...total }));
}
