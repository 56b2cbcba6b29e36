/**
 * The newest records of the partitions, kept as the very bytes that were written, so that a consumer close to
 * the producer needs no disk. Blocks that are not yet durable stay: they are what a repair writes again. Of
 * the others, over all partitions, the oldest go when the budget is used up.
 */

import type { LogRecord } from "./port.ts";
import type { ReadRange } from "./range.ts";
import { type Block, blockBody } from "./record.ts";

/** Rough cost of a block beyond its bytes: the objects and the array of starts. */
const blockOverheadBytes = 200;

/** What all tails of a store share: the budget, and durable blocks in the order in which they may go. */
export class TailCache {
  readonly #budgetBytes: number;
  #usedBytes = 0;
  #queue: { tail: Tail; block: Block }[] = [];
  #head = 0;

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** The block may go from now on. */
  offer(tail: Tail, block: Block): void {
    this.#queue.push({ tail, block });
    this.#usedBytes += cost(block);
    while (this.#usedBytes > this.#budgetBytes) {
      const oldest = this.#queue[this.#head]!;
      this.#queue[this.#head] = undefined as never; // let go of the bytes before the array is compacted
      this.#head += 1;
      this.#usedBytes -= cost(oldest.block);
      oldest.tail.drop(oldest.block);
    }
    if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }
}

function cost(block: Block): number {
  return block.bytes.length + block.starts.byteLength + blockOverheadBytes;
}

/** The blocks of one partition: consecutive, the newest last. */
export class Tail {
  #blocks: Block[] = [];
  #head = 0;

  /** Offset of the oldest record held; undefined when none is. */
  get start(): number | undefined {
    return this.#blocks[this.#head]?.base;
  }

  push(block: Block): void {
    this.#blocks.push(block);
  }

  /** Puts one block, or none, in the place of the newest `count`. */
  replace(count: number, block: Block | undefined): void {
    this.#blocks.length -= count;
    if (block) this.#blocks.push(block);
  }

  /** Drops the block if it is the oldest; anything else has been replaced or dropped already. */
  drop(block: Block): void {
    if (this.#blocks[this.#head] !== block) return;
    this.#blocks[this.#head] = undefined as never;
    this.#head += 1;
    if (this.#head > 256 && this.#head * 2 > this.#blocks.length) {
      this.#blocks = this.#blocks.slice(this.#head);
      this.#head = 0;
    }
  }

  clear(): void {
    this.#blocks = [];
    this.#head = 0;
  }

  /** Adds records from `range.from` on. False when that one is not held. */
  read(range: ReadRange, out: LogRecord[]): boolean {
    const start = this.start;
    if (start === undefined || range.from < start) return false;
    let at = this.#find(range.from);
    let offset = range.from;
    while (at < this.#blocks.length && offset < range.to && range.records > 0 && range.bytes > 0) {
      const block = this.#blocks[at]!;
      const last = Math.min(block.base + block.count, range.to);
      while (offset < last && range.records > 0 && range.bytes > 0) {
        const body = blockBody(block, offset - block.base);
        out.push({ offset, body });
        offset += 1;
        range.records -= 1;
        range.bytes -= body.length;
      }
      at += 1;
    }
    const added = offset > range.from;
    range.from = offset;
    return added;
  }

  /** The last block whose base is at or before the offset. */
  #find(offset: number): number {
    let low = this.#head;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#blocks[middle]!.base <= offset) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
