/**
 * One partition: who waits for what, and what readers may see. Bytes and files are chain.ts's affair.
 *
 * Group commit: while one group is on its way to the disk the next one gathers. A group is one buffer, one
 * write and at most one fdatasync; each append in it resolves at the level it asked for, in order.
 *
 * Invariants
 * - `end` only grows, and passes a record only when the record and all before it have what they asked for. So a
 *   memory append behind an fsync append waits for it; with nothing hidden before it, it is visible at once.
 * - A visible record that is not yet durable is also held in memory (#unsynced or #queue), so that no failure of
 *   the disk makes it vanish while the process lives.
 * - An append is rejected only when it is certain that it will never be seen: it was not written, or it was cut
 *   off durably. Where that cannot be made certain the error is `log_outcome_unknown`.
 */
import { HotSwapError } from "../../core/errors.ts";
import type { SegmentChain } from "./chain.ts";
import { type LogContext, writeError } from "./context.ts";
import type { Durability, LogPartition, LogRecord, ReadLimit } from "./port.ts";
import { AppendQueue, type Waiting } from "./queue.ts";
import { type Block, shortenBlock } from "./record.ts";
import type { Place } from "./segment.ts";
import { Tail } from "./tail.ts";

export class Partition implements LogPartition {
  readonly name: string;
  readonly #context: LogContext;
  readonly #chain: SegmentChain;
  readonly #queue: AppendQueue;
  readonly #tail = new Tail();
  readonly #listeners = new Set<() => void>();
  #end: number;
  /** Blocks written but not known to be durable; always the newest of the tail. */
  #unsynced: Block[] = [];
  #unsyncedBytes = 0;
  /** What went wrong with the active file and is not mended: it is too long, or a sync of it failed. */
  #fault: "length" | "sync" | undefined;
  readonly #tasks: (() => Promise<void>)[] = [];
  #running = false;
  #notifying = false;
  /** Written to since it was last settled. */
  #touched = false;
  #closed: HotSwapError | undefined;

  /** `doubtful` are the chain's last records, those that are not known to be durable. */
  constructor(context: LogContext, place: Place, chain: SegmentChain, doubtful: readonly Block[]) {
    this.name = place.name;
    this.#context = context;
    this.#chain = chain;
    this.#queue = new AppendQueue(context);
    this.#end = chain.end;
    for (const block of doubtful) {
      this.#tail.push(block);
      this.#countUnsynced(block);
    }
  }

  /**
   * To be called first, when the last segment was not closed cleanly: nobody may append to it as it is. A disk
   * that takes no writes now does not keep anyone from reading; the next append tries again.
   */
  async distrust(): Promise<void> {
    this.#fault = "sync";
    await this.#repair().catch(() => this.#context.settleLater(this));
  }

  get start(): number {
    return this.#chain.start;
  }

  get end(): number {
    return this.#end;
  }

  get bytes(): number {
    return this.#chain.bytes;
  }

  append(bodies: readonly Uint8Array[], durability: Durability): Promise<number> {
    if (this.#closed) return Promise.reject(this.#closed);
    const admitted = this.#queue.admit(bodies);
    if (typeof admitted !== "number") return Promise.reject(admitted);
    this.#wake();
    // With much waiting, memory appends resolve when they are written: their callers are slowed, not refused.
    const early = durability === "memory" && this.#queue.hidden === 0 && !this.#queue.isDeep;
    if (!early) return this.#queue.push(bodies, admitted, durability);
    const offset = this.#end;
    this.#queue.pushVisible(bodies, admitted, offset);
    this.#advance(offset + bodies.length);
    return Promise.resolve(offset);
  }

  async read(from: number, limit: ReadLimit): Promise<LogRecord[]> {
    if (this.#closed) throw this.#closed;
    if (!(Number.isInteger(from) && from >= this.start && from <= this.#end)) throw this.#outOfRange(from);
    const range = { from, to: this.#end, records: limit.records, bytes: limit.bytes };
    const out: LogRecord[] = [];
    while (range.from < range.to && range.records > 0 && range.bytes > 0) {
      if (this.#tail.read(range, out) || this.#queue.read(range, out)) continue;
      // Only what is durable is read from files, and no repair ever replaces that.
      try {
        await this.#chain.read(range, out);
      } catch (error) {
        if (this.#closed) throw this.#closed;
        if (out.length > 0) return out; // the next read begins where the trouble is, and reports it
        if (range.from < this.start) throw this.#outOfRange(range.from);
        if (error instanceof HotSwapError) throw error;
        const detail = `Partition ${this.name} could not be read.`;
        throw new HotSwapError("store_unavailable", detail, { cause: error });
      }
    }
    return out;
  }

  #outOfRange(offset: number): HotSwapError {
    const { name: partition, start, end } = this;
    const detail = `Offset ${offset} of partition ${partition}; stored are ${start} to ${end}, exclusive.`;
    return new HotSwapError("log_offset_out_of_range", detail, { data: { partition, offset, start, end } });
  }

  certain(): Promise<void> {
    return this.#exclusive(async () => {
      try {
        if (this.#fault) await this.#repair();
      } catch (cause) {
        throw writeError(this.name, cause);
      }
    });
  }

  trim(before: number): Promise<void> {
    return this.#exclusive(async () => {
      await this.#sealUnwanted(before);
      try {
        await this.#chain.dropBefore(before);
      } catch (cause) {
        throw new HotSwapError("store_unavailable", `Partition ${this.name} could not be trimmed.`, {
          cause,
        });
      }
    });
  }

  /** Seals the active segment when nobody wants its records any more, unless it is too small to be worth it. */
  async #sealUnwanted(before: number): Promise<void> {
    const small = this.#chain.activeBytes < this.#context.limits.segmentBytes / 8;
    if (small || before < this.#chain.end || this.#fault) return;
    try {
      await this.#roll();
    } catch {
      // On a full disk it is the older segments that make room; the next append meets this failure again.
    }
  }

  onAppend(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Brings what was written onto the medium, and puts down a checkpoint once the partition has fallen idle. */
  async settle(): Promise<void> {
    if (this.#closed) return;
    await this.#exclusive(async () => {
      if (this.#fault) await this.#repair();
      if (this.#unsynced.length > 0) await this.#sync();
      if (!this.#touched && this.#queue.length === 0) return this.#chain.checkpoint();
      this.#touched = false;
      this.#context.settleLater(this);
    });
  }

  /** Takes no more appends, writes and syncs what waits, and lets go of everything. Idempotent. */
  async close(reason: HotSwapError): Promise<void> {
    if (this.#closed) return;
    const closing = this.#exclusive(async () => {
      while (this.#queue.length > 0 && (await this.#commit()));
      this.#queue.rejectHidden(reason);
      if (this.#fault) await this.#repair();
      if (this.#unsynced.length > 0) await this.#sync();
      await this.#chain.checkpoint();
    });
    this.#closed = reason;
    try {
      await closing;
    } finally {
      this.#chain.letGo();
      this.#forgetUnsynced();
      this.#queue.clear();
      this.#tail.clear();
      this.#listeners.clear();
    }
  }

  /** Runs the task between two groups. */
  #exclusive(task: () => Promise<void>): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => {
      this.#tasks.push(() => task().then(resolve, reject));
      this.#wake();
    });
  }

  #wake(): void {
    if (this.#running) return;
    this.#running = true;
    // After all sockets that are ready have been read, so that one group takes the appends of them all.
    setImmediate(() => this.#run());
  }

  async #run(): Promise<void> {
    let willing = true;
    while (this.#tasks.length > 0 || this.#queue.hidden > 0 || (willing && this.#queue.length > 0)) {
      const task = this.#tasks.shift();
      if (task) await task();
      else willing = await this.#commit();
    }
    this.#running = false;
    if (this.#unsynced.length === 0) this.#chain.letGo();
    // What is visible but could not be written stays in the queue; the next settling tries again.
    if (!this.#closed && (this.#touched || this.#queue.length > 0)) this.#context.settleLater(this);
  }

  /** One group. Resolves to whether the disk took it. */
  async #commit(): Promise<boolean> {
    this.#touched = true;
    try {
      if (this.#fault) await this.#repair();
      if (this.#chain.isFull) await this.#roll();
      await this.#chain.hold();
    } catch (cause) {
      this.#queue.rejectHidden(writeError(this.name, cause));
      return false;
    }
    const group = this.#queue.take(this.#context.limits.groupBytes);
    const block = this.#chain.encode(group);
    this.#tail.push(block);
    try {
      await this.#chain.write(block);
    } catch (cause) {
      await this.#unwrite(group, cause);
      return false;
    }
    this.#countUnsynced(block);
    const patient = group.findIndex((waiting) => waiting.durability === "fsync");
    const shown = patient < 0 ? group.length : patient;
    this.#show(group, 0, shown);
    if (patient < 0 && !this.#mustSync()) return true;
    try {
      await this.#sync();
    } catch (cause) {
      await this.#unsync(group.slice(shown), block, cause);
      return false;
    }
    this.#show(group, shown, group.length);
    return true;
  }

  /** Makes the group's appends `from` to `to` visible and resolves them. */
  #show(group: readonly Waiting[], from: number, to: number): void {
    let end = this.#end;
    for (let i = from; i < to; i++) end = this.#queue.acknowledge(group[i]!, end);
    if (end > this.#end) this.#advance(end);
  }

  #advance(end: number): void {
    this.#end = end;
    if (this.#notifying || this.#listeners.size === 0) return;
    this.#notifying = true;
    // Later than the appends that have just resolved: their callers see their result first.
    queueMicrotask(() => {
      this.#notifying = false;
      for (const listener of this.#listeners) listener();
    });
  }

  #mustSync(): boolean {
    const { files, limits, unsyncedBytes } = this.#context;
    // The file of a partition stays open until it is synced; others may be waiting for its place.
    if (files.isCrowded) return true;
    return this.#unsyncedBytes > limits.unsyncedBytes || unsyncedBytes > limits.unsyncedTotalBytes;
  }

  #countUnsynced(block: Block): void {
    this.#unsynced.push(block);
    this.#unsyncedBytes += block.bytes.length;
    this.#context.unsyncedBytes += block.bytes.length;
  }

  #forgetUnsynced(): void {
    this.#context.unsyncedBytes -= this.#unsyncedBytes;
    this.#unsyncedBytes = 0;
    this.#unsynced = [];
  }

  /** The blocks, which are those of #unsynced or what a repair has made of them, are on the medium. */
  #becomeDurable(blocks: readonly Block[]): void {
    this.#forgetUnsynced();
    for (const block of blocks) this.#context.cache.offer(this.#tail, block);
  }

  async #sync(): Promise<void> {
    try {
      await this.#chain.hold();
      await this.#chain.sync();
    } catch (cause) {
      this.#fault = "sync";
      throw cause;
    }
    this.#becomeDurable(this.#unsynced);
  }

  async #roll(): Promise<void> {
    if (this.#unsynced.length > 0) await this.#sync();
    await this.#chain.roll();
  }

  /** The write of a group failed: what is visible goes back to the queue, the rest is rejected. */
  async #unwrite(group: readonly Waiting[], cause: unknown): Promise<void> {
    this.#fault = "length";
    this.#tail.replace(1, undefined);
    const visible = group.filter((waiting) => waiting.offset >= 0);
    this.#queue.putBack(visible);
    await this.#repairOrDoubt(group.slice(visible.length), cause);
  }

  /** The sync of a group failed: `rest` was written and not shown. */
  async #unsync(rest: readonly Waiting[], block: Block, cause: unknown): Promise<void> {
    const lost = rest.reduce((sum, waiting) => sum + waiting.bodies.length, 0);
    const kept = lost < block.count ? shortenBlock(block, block.count - lost) : undefined;
    this.#chain.retreat(block, kept);
    this.#tail.replace(1, kept);
    this.#unsynced.pop();
    this.#unsyncedBytes -= block.bytes.length;
    this.#context.unsyncedBytes -= block.bytes.length;
    if (kept) this.#countUnsynced(kept);
    await this.#repairOrDoubt(rest, cause);
  }

  /** Rejects the appends: for certain when the repair succeeds, as unknown when it does not. */
  async #repairOrDoubt(rest: readonly Waiting[], cause: unknown): Promise<void> {
    let error = writeError(this.name, cause);
    try {
      await this.#repair();
    } catch {
      const detail = `Partition ${this.name} could not be written, and what was begun could not be taken back.`;
      error = new HotSwapError("log_outcome_unknown", detail, { cause });
    }
    for (const waiting of rest) this.#queue.reject(waiting, error);
  }

  /**
   * Makes the disk state what memory states: the visible records and no more. A file that is merely too long is
   * cut. One whose sync failed is left behind, because what it reports from then on proves nothing about the
   * bytes whose sync failed. Until it succeeds nothing is written; every later group tries again.
   */
  async #repair(): Promise<void> {
    if (this.#fault === "length") {
      this.#fault = "sync";
      try {
        await this.#chain.cut();
        this.#becomeDurable(this.#unsynced);
        this.#fault = undefined;
        return;
      } catch {
        // The harder way below.
      }
    }
    const block = await this.#chain.supersede(this.#unsynced);
    this.#tail.replace(this.#unsynced.length, block);
    this.#becomeDurable(block ? [block] : []);
    this.#fault = undefined;
  }
}
