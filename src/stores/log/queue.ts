/**
 * The appends of one partition that no group has taken yet, in order. Most wait, hidden; an append of memory
 * durability with nothing hidden before it is visible from the start and is here only to be written.
 */
import { HotSwapError } from "../../core/errors.ts";
import type { LogLimits } from "./context.ts";
import type { Durability, LogRecord } from "./port.ts";
import type { ReadRange } from "./range.ts";
import { recordHeaderBytes } from "./record.ts";

/** What all queues of a store share. */
export interface Budget {
  readonly limits: Pick<LogLimits, "recordBytes" | "pendingBytes" | "pendingTotalBytes">;
  /** Waiting to be written, over all partitions. */
  pendingBytes: number;
}

export interface Waiting {
  readonly bodies: readonly Uint8Array[];
  /** Encoded, headers included. */
  readonly sizeBytes: number;
  readonly durability: Durability;
  /** Where it is visible; -1 while it is hidden. Visible ones come before hidden ones. */
  readonly offset: number;
  readonly resolve: (offset: number) => void;
  readonly reject: (error: HotSwapError) => void;
}

const nobody = () => {};

export class AppendQueue {
  readonly #context: Budget;
  #waiting: Waiting[] = [];
  #sizeBytes = 0;
  #hidden = 0;

  constructor(context: Budget) {
    this.#context = context;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** Appends that were accepted and are neither visible nor rejected, here or in a group under way. */
  get hidden(): number {
    return this.#hidden;
  }

  /** True when the disk is behind by a good part of what may wait. */
  get isDeep(): boolean {
    return this.#sizeBytes * 8 > this.#context.limits.pendingBytes;
  }

  /** The encoded size of an append that may be accepted, or the reason why not. Throws for a programmer's error. */
  admit(bodies: readonly Uint8Array[]): number | HotSwapError {
    const { limits, pendingBytes } = this.#context;
    let sizeBytes = 0;
    for (const body of bodies) {
      if (body.length === 0) throw new TypeError("a record has at least one byte");
      if (body.length > limits.recordBytes) return tooLarge("A record", body.length, limits.recordBytes);
      sizeBytes += recordHeaderBytes + body.length;
    }
    if (sizeBytes === 0) throw new TypeError("an append has at least one record");
    if (sizeBytes > limits.pendingBytes) return tooLarge("An append", sizeBytes, limits.pendingBytes);
    const fits =
      this.#sizeBytes + sizeBytes <= limits.pendingBytes &&
      pendingBytes + sizeBytes <= limits.pendingTotalBytes;
    if (fits) return sizeBytes;
    const detail = "As much is waiting to be written as the message log accepts.";
    return new HotSwapError("overloaded", detail, { retryAfterMs: 100 });
  }

  push(bodies: readonly Uint8Array[], sizeBytes: number, durability: Durability): Promise<number> {
    this.#count(sizeBytes);
    this.#hidden += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ bodies, sizeBytes, durability, offset: -1, resolve, reject });
    });
  }

  /** The bodies are copied: the append is acknowledged, so the caller may change its own from now on. */
  pushVisible(bodies: readonly Uint8Array[], sizeBytes: number, offset: number): void {
    this.#count(sizeBytes);
    const copies = bodies.map((body) => Buffer.from(body));
    const durability = "memory";
    this.#waiting.push({ bodies: copies, sizeBytes, durability, offset, resolve: nobody, reject: nobody });
  }

  #count(sizeBytes: number): void {
    this.#sizeBytes += sizeBytes;
    this.#context.pendingBytes += sizeBytes;
  }

  /** Takes the next group out of the queue: at least one append, and no more than fit the limit. */
  take(limitBytes: number): Waiting[] {
    let size = 0;
    let count = 0;
    while (
      count < this.#waiting.length &&
      (count === 0 || size + this.#waiting[count]!.sizeBytes <= limitBytes)
    ) {
      size += this.#waiting[count]!.sizeBytes;
      count += 1;
    }
    if (count < this.#waiting.length) return this.#waiting.splice(0, count);
    const all = this.#waiting;
    this.#waiting = [];
    return all;
  }

  /** Puts back what is visible and could not be written. */
  putBack(visible: readonly Waiting[]): void {
    this.#waiting.unshift(...visible);
  }

  /** The append has been written and is visible from `offset` on. Resolves to the offset that follows it. */
  acknowledge(waiting: Waiting, offset: number): number {
    this.#count(-waiting.sizeBytes);
    if (waiting.offset >= 0) return offset;
    this.#hidden -= 1;
    waiting.resolve(offset);
    return offset + waiting.bodies.length;
  }

  reject(waiting: Waiting, error: HotSwapError): void {
    this.#count(-waiting.sizeBytes);
    this.#hidden -= 1;
    waiting.reject(error);
  }

  /** Rejects all in the queue that is hidden; none of it has been written. */
  rejectHidden(error: HotSwapError): void {
    const first = this.#waiting.findIndex((waiting) => waiting.offset < 0);
    if (first < 0) return;
    for (const waiting of this.#waiting.splice(first)) this.reject(waiting, error);
  }

  /** Forgets what is visible and was never written; memory durability allows for it. */
  clear(): void {
    for (const waiting of this.#waiting) this.#count(-waiting.sizeBytes);
    this.#waiting = [];
  }

  /** Adds visible records from `range.from` on. False when there is none. */
  read(range: ReadRange, out: LogRecord[]): boolean {
    const before = out.length;
    for (const { offset, bodies } of this.#waiting) {
      if (offset < 0 || offset >= range.to) break;
      const last = Math.min(range.to, offset + bodies.length);
      while (range.from >= offset && range.from < last && range.records > 0 && range.bytes > 0) {
        const body = bodies[range.from - offset] as Buffer;
        out.push({ offset: range.from, body });
        range.from += 1;
        range.records -= 1;
        range.bytes -= body.length;
      }
    }
    return out.length > before;
  }
}

function tooLarge(what: string, sizeBytes: number, limit: number): HotSwapError {
  return new HotSwapError(
    "message_too_large",
    `${what} of ${sizeBytes} bytes is more than the ${limit} allowed.`,
  );
}
