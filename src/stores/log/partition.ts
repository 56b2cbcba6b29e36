/**
 * One partition: who waits for what, and what readers may see. Bytes and files are chain.ts's affair.
 *
 * Group commit: while one group is on its way to the disk the next one gathers. A group is one buffer, one
 * write and at most one fdatasync; each append in it resolves at the level it asked for, in order.
 *
 * Invariants
 * - `end` only grows, and passes a record only when the record and all before it have what they asked for. So a
 *   memory append behind an fsync append waits for it; with nothing hidden before it, it is visible at once.
 * - start ≤ durable ≤ chain.end ≤ … and a visible record that is not yet durable is also held in memory (#unsynced
 *   or #queue), so that no failure of the disk makes a visible record vanish while the process lives.
 * - An append is rejected only after it is certain that it will never be seen: it was not written, or it was cut
 *   off durably. When that cannot be made certain the error is `log_outcome_unknown`.
 */
import { HotSwapError } from "../../core/errors.ts";
import type { SegmentChain } from "./chain.ts";
import { type LogContext, writeError } from "./context.ts";
import type { Durability, LogPartition, LogRecord, ReadLimit } from "./port.ts";
import { type Block, recordHeaderBytes, shortenBlock } from "./record.ts";
import type { Place } from "./segment.ts";
import { Tail } from "./tail.ts";

interface Waiting {
  bodies: readonly Uint8Array[];
  sizeBytes: number;
  durability: Durability;
  /** Visible already, with this offset; -1 otherwise. Visible ones are always first in the queue. */
  offset: number;
  resolve: (offset: number) => void;
  reject: (error: HotSwapError) => void;
}

const nobody = () => {};

export class Partition implements LogPartition {
  readonly name: string;
  readonly #context: LogContext;
  readonly #chain: SegmentChain;
  readonly #tail = new Tail();
  readonly #listeners = new Set<() => void>();
  #end: number;
  #queue: Waiting[] = [];
  #queueBytes = 0;
  /** Appends that were accepted and are not visible yet, in the queue or on their way. */
  #hidden = 0;
  /** Blocks written but not durable; always the newest of the tail. */
  #unsynced: Block[] = [];
  /** What went wrong with the active file and is not mended: too long, or a sync of it failed. */
  #fault: "length" | "sync" | undefined;
  #tasks: (() => Promise<void>)[] = [];
  #running = false;
  #notifying = false;
  #touched = false;
  #closed: HotSwapError | undefined;

  /** `doubtful` are the chain's last records, those that are not known to be durable. */
  constructor(context: LogContext, place: Place, chain: SegmentChain, doubtful: Block[]) {
    this.name = place.name;
    this.#context = context;
    this.#chain = chain;
    this.#end = chain.end;
    this.#unsynced = doubtful;
    for (const block of doubtful) {
      this.#tail.push(block);
      context.unsyncedBytes += block.bytes.length;
    }
  }

  /**
   * To be called once, when the last segment was not closed cleanly: nobody may append to it as it is. A disk
   * that takes no writes now does not keep anyone from reading; the next append tries again.
   */
  async distrust(): Promise<void> {
    this.#fault = "sync";
    try {
      await this.#repair();
    } catch {
      this.#context.settleLater(this);
    }
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
    let sizeBytes = 0;
    for (const body of bodies) {
      if (body.length === 0) throw new TypeError("a record has at least one byte");
      sizeBytes += recordHeaderBytes + body.length;
      if (body.length > this.#context.limits.recordBytes) {
        const detail = `A record of ${body.length} bytes is more than the ${this.#context.limits.recordBytes} allowed.`;
        return Promise.reject(new HotSwapError("message_too_large", detail));
      }
    }
    if (sizeBytes === 0) throw new TypeError("an append has at least one record");
    const refusal = this.#overload(sizeBytes);
    if (refusal) return Promise.reject(refusal);
    this.#queueBytes += sizeBytes;
    this.#context.pendingBytes += sizeBytes;
    const early = durability === "memory" && this.#hidden === 0;
    if (early) return Promise.resolve(this.#showEarly(bodies, sizeBytes));
    this.#hidden += 1;
    return new Promise((resolve, reject) => {
      this.#queue.push({ bodies, sizeBytes, durability, offset: -1, resolve, reject });
      this.#wake();
    });
  }

  #overload(sizeBytes: number): HotSwapError | undefined {
    const { limits, pendingBytes } = this.#context;
    // Whatever its size, an append is taken when nothing waits: else a large one would never get in.
    const own = this.#queueBytes > 0 && this.#queueBytes + sizeBytes > limits.pendingBytes;
    if (!own && (pendingBytes === 0 || pendingBytes + sizeBytes <= limits.pendingTotalBytes))
      return undefined;
    return new HotSwapError(
      "overloaded",
      `Partition ${this.name} has as much waiting for the disk as it accepts.`,
      {
        retryAfterMs: 100,
      },
    );
  }

  /** A memory append with nothing hidden before it. The bodies are copied: the caller may change its own now. */
  #showEarly(bodies: readonly Uint8Array[], sizeBytes: number): number {
    const offset = this.#end;
    const copies = bodies.map((body) => Buffer.from(body));
    this.#queue.push({
      bodies: copies,
      sizeBytes,
      durability: "memory",
      offset,
      resolve: nobody,
      reject: nobody,
    });
    this.#advance(offset + bodies.length);
    this.#wake();
    return offset;
  }

  async read(from: number, limit: ReadLimit): Promise<LogRecord[]> {
    if (this.#closed) throw this.#closed;
    if (!(from >= this.start && from <= this.#end)) throw this.#outOfRange(from);
    const range = { from, to: this.#end, records: limit.records, bytes: limit.bytes };
    const out: LogRecord[] = [];
    while (range.from < range.to && range.records > 0 && range.bytes > 0) {
      if (this.#tail.read(range, out) || this.#readEarly(range, out)) continue;
      const held = out.length;
      const segment = this.#chain.find(range.from);
      try {
        await this.#chain.read(range, out);
      } catch (error) {
        if (range.from < this.start) throw this.#outOfRange(range.from);
        if (out.length > 0) return out;
        if (this.#chain.find(range.from) !== segment) continue; // replaced by a repair while it was read
        if (error instanceof HotSwapError) throw error;
        throw new HotSwapError("store_unavailable", `Partition ${this.name} could not be read.`, {
          cause: error,
        });
      }
      for (let i = held; i < out.length; i++) range.bytes -= out[i]!.body.length;
      range.records -= out.length - held;
      range.from += out.length - held;
    }
    return out;
  }

  /** Visible records that no group has taken yet. */
  #readEarly(range: { from: number; to: number; records: number; bytes: number }, out: LogRecord[]): boolean {
    let added = false;
    for (const waiting of this.#queue) {
      if (waiting.offset < 0) break;
      const last = Math.min(range.to, waiting.offset + waiting.bodies.length);
      while (range.from >= waiting.offset && range.from < last && range.records > 0 && range.bytes > 0) {
        const body = waiting.bodies[range.from - waiting.offset] as Buffer;
        out.push({ offset: range.from, body });
        range.from += 1;
        range.records -= 1;
        range.bytes -= body.length;
        added = true;
      }
    }
    return added;
  }

  #outOfRange(offset: number): HotSwapError {
    const detail = `Offset ${offset} of partition ${this.name}; stored are ${this.start} to ${this.#end}, exclusive.`;
    const data = { partition: this.name, offset, start: this.start, end: this.#end };
    return new HotSwapError("log_offset_out_of_range", detail, { data });
  }

  trim(before: number): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closed);
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
    const wanted =
      before < this.#chain.end || this.#chain.activeBytes < this.#context.limits.segmentBytes / 8;
    if (wanted || this.#fault) return;
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
  settle(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return this.#exclusive(async () => {
      if (this.#queue.length > 0) return; // the loop takes these up after its tasks
      if (this.#fault) await this.#repair();
      if (this.#unsynced.length > 0) await this.#sync();
      if (this.#touched) {
        this.#touched = false;
        this.#context.settleLater(this);
      } else await this.#rest();
    });
  }

  /** Takes no more appends, writes and syncs what waits, and lets go of everything. Idempotent. */
  async close(reason: HotSwapError): Promise<void> {
    if (this.#closed) return;
    this.#closed = reason;
    await this.#exclusive(async () => {
      while (this.#queue.length > 0 && (await this.#commit()));
      this.#refuse(reason);
      if (this.#fault) await this.#repair();
      if (this.#unsynced.length > 0) await this.#sync();
      await this.#rest();
    }).finally(() => {
      this.#chain.letGo();
      this.#forgetUnsynced();
      this.#release(this.#queueBytes); // memory appends that the disk never took
      this.#queue = [];
      this.#tail.clear();
      this.#listeners.clear();
    });
  }

  async #rest(): Promise<void> {
    await this.#chain.checkpoint();
    this.#chain.letGo();
  }

  /** Runs the task between two groups. */
  #exclusive(task: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#tasks.push(() => task().then(resolve, reject));
      this.#wake();
    });
  }

  #wake(): void {
    if (this.#running) return;
    this.#running = true;
    // After all that is ready to be read from sockets has been read: one group takes the appends of them all.
    setImmediate(() => this.#run());
  }

  async #run(): Promise<void> {
    let willing = true;
    while (this.#tasks.length > 0 || (willing && this.#queue.length > 0)) {
      const task = this.#tasks.shift();
      if (task) await task();
      else willing = await this.#commit();
    }
    this.#running = false;
    // What is visible but could not be written stays in the queue; the next settling tries again.
    if (this.#touched || this.#queue.length > 0) this.#context.settleLater(this);
  }

  /** One group. Resolves to whether going on at once makes sense. */
  async #commit(): Promise<boolean> {
    this.#touched = true;
    try {
      if (this.#fault) await this.#repair();
      if (this.#chain.isFull) await this.#roll();
      await this.#chain.hold();
    } catch (cause) {
      this.#refuse(writeError(this.name, cause));
      return false;
    }
    const group = this.#take();
    const block = this.#encode(group);
    this.#tail.push(block);
    try {
      await this.#chain.write(block);
    } catch (cause) {
      await this.#unwrite(group, cause);
      return false;
    }
    this.#unsynced.push(block);
    this.#context.unsyncedBytes += block.bytes.length;
    const patient = group.findIndex((waiting) => waiting.durability === "fsync");
    const shown = this.#show(group, 0, patient < 0 ? group.length : patient);
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

  #take(): Waiting[] {
    const limit = this.#context.limits.groupBytes;
    let size = 0;
    let count = 0;
    while (count < this.#queue.length && (count === 0 || size + this.#queue[count]!.sizeBytes <= limit)) {
      size += this.#queue[count]!.sizeBytes;
      count += 1;
    }
    if (count < this.#queue.length) return this.#queue.splice(0, count);
    const all = this.#queue;
    this.#queue = [];
    return all;
  }

  #encode(group: readonly Waiting[]): Block {
    let count = 0;
    let sizeBytes = 0;
    const bodies: (readonly Uint8Array[])[] = [];
    for (const waiting of group) {
      bodies.push(waiting.bodies);
      count += waiting.bodies.length;
      sizeBytes += waiting.sizeBytes;
    }
    return this.#chain.encode(bodies, count, sizeBytes);
  }

  /** Makes the group's appends `from` to `to` visible and resolves them. */
  #show(group: readonly Waiting[], from: number, to: number): number {
    let end = this.#end;
    let released = 0;
    for (let i = from; i < to; i++) {
      const waiting = group[i]!;
      released += waiting.sizeBytes;
      if (waiting.offset >= 0) continue;
      this.#hidden -= 1;
      waiting.resolve(end);
      end += waiting.bodies.length;
    }
    this.#release(released);
    if (end > this.#end) this.#advance(end);
    return to;
  }

  #release(sizeBytes: number): void {
    this.#queueBytes -= sizeBytes;
    this.#context.pendingBytes -= sizeBytes;
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
    const { limits, unsyncedBytes } = this.#context;
    if (unsyncedBytes > limits.unsyncedTotalBytes) return true;
    let own = 0;
    for (const block of this.#unsynced) own += block.bytes.length;
    return own > limits.unsyncedBytes;
  }

  async #sync(): Promise<void> {
    try {
      await this.#chain.sync();
    } catch (cause) {
      this.#fault = "sync";
      throw cause;
    }
    this.#becomeDurable(this.#unsynced);
  }

  #becomeDurable(blocks: readonly Block[]): void {
    this.#forgetUnsynced();
    for (const block of blocks) this.#context.cache.offer(this.#tail, block);
  }

  #forgetUnsynced(): void {
    for (const block of this.#unsynced) this.#context.unsyncedBytes -= block.bytes.length;
    this.#unsynced = [];
  }

  async #roll(): Promise<void> {
    if (this.#unsynced.length > 0) await this.#sync();
    await this.#chain.roll();
  }

  /** The write of a group failed: what is visible goes back to the queue, the rest is rejected. */
  async #unwrite(group: Waiting[], cause: unknown): Promise<void> {
    this.#tail.replace(1, undefined);
    this.#fault = "length";
    const visible = group.filter((waiting) => waiting.offset >= 0);
    this.#queue.unshift(...visible);
    await this.#repairOrDoubt(group.slice(visible.length), cause);
  }

  /** The sync of a group failed: `rest` was written and not shown. */
  async #unsync(rest: readonly Waiting[], block: Block, cause: unknown): Promise<void> {
    let count = block.count;
    for (const waiting of rest) count -= waiting.bodies.length;
    const kept = count > 0 ? shortenBlock(block, count) : undefined;
    const lost = block.bytes.length - (kept?.bytes.length ?? 0);
    this.#chain.retreat(block.count - count, lost);
    this.#tail.replace(1, kept);
    this.#unsynced.splice(-1, 1, ...(kept ? [kept] : []));
    this.#context.unsyncedBytes -= lost;
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
    for (const waiting of rest) this.#reject(waiting, error);
  }

  /**
   * Makes the file state what memory states: the visible records and no more. A file that is merely too long is
   * cut; one whose sync failed is left behind, because what it reports from then on proves nothing about the
   * bytes whose sync failed. Nothing is acknowledged in between, and every later group tries again.
   */
  async #repair(): Promise<void> {
    if (this.#fault === "length") {
      this.#fault = "sync";
      try {
        await this.#chain.hold();
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

  /** Rejects everything in the queue that is not visible; none of it has been written. */
  #refuse(error: HotSwapError): void {
    const hidden = this.#queue.filter((waiting) => waiting.offset < 0);
    this.#queue = this.#queue.filter((waiting) => waiting.offset >= 0);
    for (const waiting of hidden) this.#reject(waiting, error);
  }

  #reject(waiting: Waiting, error: HotSwapError): void {
    this.#hidden -= 1;
    this.#release(waiting.sizeBytes);
    waiting.reject(error);
  }
}
