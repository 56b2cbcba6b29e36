/**
 * One partition in Redis. While one group of appends is on its way the next one gathers; a group is one chunk,
 * written by one script, so all of it is there or nothing.
 *
 * Invariants
 * - `end` only grows, and passes a record when the server has said that it has it.
 * - An append carries the writer's epoch and the offset that it expects. So a writer that was replaced is
 *   refused, whatever it had on the way, and a chunk that is sent twice is stored once.
 * - When the reply to an append is lost, the append waits for the connection and then asks: the chunk is there,
 *   or it is sent again. Only when no connection comes in time the error is `log_outcome_unknown`.
 * - A server that knows less than it had acknowledged closes the partition: nothing is built on a gap.
 */
import { HotSwapError, hasCode } from "../../core/errors.ts";
import { Refusal } from "../redis.connection.ts";
import { type Durability, keeps, type LogPartition, type LogRecord, type ReadLimit } from "./port.ts";
import { AppendQueue, type Waiting } from "./queue.ts";
import type { ReadRange } from "./range.ts";
import { type Block, blockBody } from "./record.ts";
import { decodeChunk, encodeChunk } from "./redis.chunk.ts";
import type { RedisLogContext } from "./redis.context.ts";
import { appendScript, last, openScript, replies, stateScript, trimScript } from "./redis.scripts.ts";
import { Tail } from "./tail.ts";

/** Chunks asked for in one call, and bytes that they may come to by the size of those before. */
const fetchChunksMax = 256;
const fetchBytesMax = 4 << 20;

interface State {
  epoch: number;
  start: number;
  end: number;
  bytes: number;
  dropped: number;
}

export class RedisPartition implements LogPartition {
  readonly name: string;
  readonly epoch: number;
  readonly #context: RedisLogContext;
  readonly #keys: readonly [chunks: string, state: string];
  readonly #queue: AppendQueue;
  readonly #tail = new Tail();
  readonly #listeners = new Set<() => void>();
  #start: number;
  #end: number;
  #bytes: number;
  #dropped: number;
  /** An append has ended without a word: what the server has must be asked before the next one. */
  #isUnsure = false;
  #running: Promise<void> | undefined;
  #notifying = false;
  #closed: HotSwapError | undefined;

  private constructor(context: RedisLogContext, name: string, keys: readonly [string, string], state: State) {
    this.name = name;
    this.#context = context;
    this.#keys = keys;
    this.#queue = new AppendQueue(context);
    this.epoch = state.epoch;
    this.#start = state.start;
    this.#end = state.end;
    this.#bytes = state.bytes;
    this.#dropped = state.dropped;
  }

  /** Takes the partition over: with this epoch, or the next one. Rejects with `log_fenced` when it is too old. */
  static async open(
    context: RedisLogContext,
    name: string,
    keys: readonly [string, string],
    epoch: number | undefined,
  ): Promise<RedisPartition> {
    const wanted = epoch === undefined ? "" : String(epoch);
    const [outcome, ...state] = listOf(await context.connection.script(openScript, keys, [wanted]));
    if (outcome === replies.fenced) throw fenced(name);
    return new RedisPartition(context, name, keys, toState(state));
  }

  get isOpen(): boolean {
    return this.#closed === undefined;
  }

  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  get bytes(): number {
    return this.#bytes - this.#dropped;
  }

  append(bodies: readonly Uint8Array[], durability: Durability): Promise<number> {
    if (this.#closed) return Promise.reject(this.#closed);
    const { durability: kept } = this.#context;
    if (!keeps(kept, durability)) {
      const detail = `The Redis of the message log keeps ${kept} at most, not ${durability}.`;
      return Promise.reject(new HotSwapError("durability_unavailable", detail));
    }
    const admitted = this.#queue.admit(bodies);
    if (typeof admitted !== "number") return Promise.reject(admitted);
    const appended = this.#queue.push(bodies, admitted, durability);
    this.#running ??= this.#run();
    return appended;
  }

  async certain(): Promise<void> {
    if (this.#closed) throw this.#closed;
    this.#running ??= this.#run();
    await this.#running;
    if (this.#closed) throw this.#closed;
    if (!this.#isUnsure) return;
    throw new HotSwapError("store_unavailable", `What partition ${this.name} has cannot be asked.`);
  }

  async read(from: number, limit: ReadLimit): Promise<LogRecord[]> {
    if (this.#closed) throw this.#closed;
    if (!(Number.isInteger(from) && from >= this.#start && from <= this.#end)) throw this.#outOfRange(from);
    const range = { from, to: this.#end, records: limit.records, bytes: limit.bytes };
    const out: LogRecord[] = [];
    while (range.from < range.to && range.records > 0 && range.bytes > 0) {
      if (this.#tail.read(range, out)) continue;
      try {
        await this.#fetch(range, out);
      } catch (error) {
        if (this.#closed) throw this.#closed;
        if (out.length > 0) return out; // the next read begins where the trouble is, and reports it
        if (range.from < this.#start) throw this.#outOfRange(range.from);
        throw error;
      }
    }
    return out;
  }

  async trim(before: number): Promise<void> {
    if (this.#closed) throw this.#closed;
    if (before <= this.#start) return;
    const args = [String(this.epoch), String(Math.min(before, this.#end))];
    const [outcome, start, dropped] = listOf(
      await this.#context.connection.script(trimScript, this.#keys, args),
    );
    if (outcome === replies.fenced) throw this.#endWith(fenced(this.name));
    if (outcome === replies.missing) throw this.#endWith(lost(this.name));
    this.#start = start!;
    this.#dropped = dropped!;
  }

  onAppend(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes no more appends, brings to an end what waits, and lets go of everything. Idempotent. */
  async close(reason: HotSwapError): Promise<void> {
    if (this.#closed) return;
    this.#closed = reason;
    await this.#running;
    this.#letGo(reason);
  }

  #letGo(reason: HotSwapError): void {
    this.#queue.rejectHidden(reason);
    this.#tail.clear();
    this.#context.recent.forget(this);
    this.#listeners.clear();
  }

  /** Ends the partition because of what the server said; returns the reason. */
  #endWith(reason: HotSwapError): HotSwapError {
    this.#closed ??= reason;
    const listeners = [...this.#listeners];
    this.#letGo(reason);
    for (const listener of listeners) listener(); // whoever waits for records finds out
    this.#context.ended(this.name, reason);
    return reason;
  }

  async #run(): Promise<void> {
    // After all sockets that are ready have been read, so that one group takes the appends of them all.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#isUnsure) await this.#catchUp().catch(() => {}); // whoever comes next asks again
    while (this.#queue.hidden > 0) {
      const group = this.#queue.take(this.#context.limits.groupBytes);
      try {
        await this.#commit(group);
      } catch (error) {
        for (const waiting of group) this.#queue.reject(waiting, this.#asWriteError(error));
      }
    }
    this.#running = undefined;
  }

  async #commit(group: readonly Waiting[]): Promise<void> {
    if (this.#isUnsure) await this.#catchUp();
    const block = encodeChunk(this.#end, group);
    for (const until = this.#context.clock.monotonic() + this.#context.doubtMs; ; ) {
      try {
        await this.#store(block);
        break;
      } catch (error) {
        if (!isDoubt(error)) throw error;
        if (await this.#findOut(block, until, error)) break;
      }
    }
    this.#accept(group, block);
  }

  /** Sends the chunk. Resolves when it is stored. */
  async #store(block: Block): Promise<void> {
    const args = [String(this.epoch), String(block.base), String(block.count), block.bytes];
    const outcome = Number(await this.#context.connection.script(appendScript, this.#keys, args));
    if (outcome === replies.fine) return;
    if (outcome === replies.fenced) throw this.#endWith(fenced(this.name));
    throw this.#endWith(lost(this.name));
  }

  /** The reply was lost. Resolves to whether the chunk is stored; when it is not, it may be sent again. */
  async #findOut(block: Block, until: number, cause: unknown): Promise<boolean> {
    const { clock } = this.#context;
    while (await this.#context.whenReady(until - clock.monotonic())) {
      try {
        const state = await this.#state();
        if (await this.#holds(block)) return true;
        if (state.epoch !== this.epoch) throw this.#endWith(fenced(this.name));
        if (state.end !== block.base) throw this.#endWith(lost(this.name));
        return false;
      } catch (error) {
        if (!hasCode(error, "store_unavailable")) throw error;
        if (clock.monotonic() >= until) break;
      }
    }
    this.#isUnsure = true;
    const detail = `The message log was lost while it stored records of partition ${this.name}.`;
    throw new HotSwapError("log_outcome_unknown", detail, { cause });
  }

  async #holds({ base, bytes }: Block): Promise<boolean> {
    const [chunk] = await this.#range([
      "XRANGE",
      this.#keys[0],
      `${base}-0`,
      `${base}-${last}`,
      "COUNT",
      "1",
    ]);
    return chunk ? chunk.bytes.equals(bytes) : false;
  }

  /** What was sent before and never answered is visible from now on, if it was stored. */
  async #catchUp(): Promise<void> {
    const state = await this.#state();
    if (state.epoch !== this.epoch) throw this.#endWith(fenced(this.name));
    if (state.end < this.#end) throw this.#endWith(lost(this.name));
    this.#isUnsure = false;
    this.#bytes = state.bytes;
    if (state.end === this.#end) return;
    this.#tail.clear(); // it would have a gap
    this.#advance(state.end);
  }

  async #state(): Promise<State> {
    const [outcome, ...state] = listOf(await this.#context.connection.script(stateScript, this.#keys, []));
    if (outcome === replies.missing) throw this.#endWith(lost(this.name));
    return toState(state);
  }

  #accept(group: readonly Waiting[], block: Block): void {
    this.#tail.push(block);
    this.#context.cache.offer(this.#tail, block);
    this.#bytes += block.bytes.length;
    let end = this.#end;
    for (const waiting of group) end = this.#queue.acknowledge(waiting, end);
    this.#advance(end);
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

  /** Adds records from `range.from` on, as many as one or two calls give. */
  async #fetch(range: ReadRange, out: LogRecord[]): Promise<void> {
    const known = this.#context.recent.find(this, range.from);
    if (known) return take(known, range, out);
    const [chunks] = this.#keys;
    const at = `${range.from}-${last}`;
    const [first] = await this.#range(["XREVRANGE", chunks, at, "-", "COUNT", "1"]);
    const block = first && this.#checked(first, range.from);
    if (!block || range.from >= block.base + block.count) throw await this.#damage(range.from);
    take(block, range, out);
    if (range.from >= range.to || range.records <= 0 || range.bytes <= 0) return;
    const wanted = Math.min(range.bytes, fetchBytesMax) / block.bytes.length;
    const count = Math.min(Math.max(1, Math.ceil(wanted)), range.records, fetchChunksMax);
    const rest = ["XRANGE", chunks, `${range.from}-0`, `${range.to - 1}-${last}`, "COUNT", String(count)];
    for (const chunk of await this.#range(rest)) {
      if (range.records <= 0 || range.bytes <= 0) return;
      if (chunk.base !== range.from) throw await this.#damage(range.from);
      take(this.#checked(chunk, range.from), range, out);
    }
  }

  #checked({ base, count, bytes }: Chunk, from: number): Block {
    const block = decodeChunk(base, count, bytes);
    if (!block) throw this.#corrupt(from, base + count);
    this.#context.recent.add(this, block);
    return block;
  }

  /** There is no chunk where one has to be. */
  async #damage(from: number): Promise<HotSwapError> {
    const [chunks] = this.#keys;
    const [next] = await this.#range(["XRANGE", chunks, `${from}-0`, "+", "COUNT", "1"]);
    return this.#corrupt(from, next?.base ?? this.#end);
  }

  async #range(command: string[]): Promise<Chunk[]> {
    const entries = (await this.#context.connection.command(command)) as [Buffer, Buffer[]][];
    return entries.map(([id, fields]) => {
      const [base, count] = id.toString("latin1").split("-").map(Number) as [number, number];
      return { base, count, bytes: fields[3] ?? Buffer.alloc(0) };
    });
  }

  #corrupt(offset: number, next: number): HotSwapError {
    const { name: partition } = this;
    const detail = `Offset ${offset} of partition ${partition}, in Redis, is missing or damaged.`;
    return new HotSwapError("log_corrupt", detail, { data: { partition, offset, next } });
  }

  #outOfRange(offset: number): HotSwapError {
    const { name: partition, start, end } = this;
    const detail = `Offset ${offset} of partition ${partition}; stored are ${start} to ${end}, exclusive.`;
    return new HotSwapError("log_offset_out_of_range", detail, { data: { partition, offset, start, end } });
  }

  #asWriteError(error: unknown): HotSwapError {
    if (error instanceof HotSwapError) return error;
    const detail = `Partition ${this.name} could not be written.`;
    return new HotSwapError("log_write_failed", detail, { cause: error });
  }
}

interface Chunk {
  base: number;
  count: number;
  bytes: Buffer;
}

/** True when the command may have been carried out: it was sent, and the server did not say no. */
const isDoubt = (error: unknown) =>
  hasCode(error, "store_unavailable") && error.cause !== undefined && !(error.cause instanceof Refusal);

/** Of numbers, which come as integers or as text. */
const listOf = (reply: unknown) => (reply as unknown[]).map((value) => Number(value));

function toState([epoch, start, end, bytes, dropped]: number[]): State {
  return { epoch: epoch!, start: start!, end: end!, bytes: bytes!, dropped: dropped! };
}

function take(block: Block, range: ReadRange, out: LogRecord[]): void {
  const stop = Math.min(block.base + block.count, range.to);
  while (range.from < stop && range.records > 0 && range.bytes > 0) {
    const body = blockBody(block, range.from - block.base);
    out.push({ offset: range.from, body });
    range.from += 1;
    range.records -= 1;
    range.bytes -= body.length;
  }
}

export function fenced(partition: string): HotSwapError {
  return new HotSwapError("log_fenced", `Partition ${partition} has another writer now.`, {
    retryAfterMs: 100,
  });
}

function lost(partition: string): HotSwapError {
  const detail = `The store no longer has what it had acknowledged of partition ${partition}.`;
  return new HotSwapError("log_records_lost", detail, { retryAfterMs: 100 });
}
