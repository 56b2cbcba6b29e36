/**
 * Where the bytes of plain connections are read into. All of a worker share one buffer, since what is read is dealt
 * with before anything else is read: an idle connection has none. One that brings a large body gets a block of its
 * own, so that its bytes can be written from where they were read; when the other side does not take them at once, the
 * next bytes are read into another block, and this one comes back when it is written.
 *
 * Blocks are used again: new memory for each makes V8 collect all of the heap, again and again.
 */
import type { OnReadOpts } from "node:net";

const BLOCK_BYTES = 65_536;
/** A read of this size is one of many, most likely. */
const LARGE = 16_384;
const SPARE_MAX = 256;

/** Memory that one connection alone reads into. */
export class Block {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  /** Some of it waits to be written: nothing may be read into it. */
  isLent = false;
  writes = 0;
  readonly #free: (block: Block) => void;
  #isLeft = false;

  /** `free` is called when it was left and nothing is written from it any more. */
  constructor(free: (block: Block) => void) {
    this.#free = free;
  }

  readonly written = (): void => {
    this.writes--;
    this.#settle();
  };

  leave(): void {
    this.#isLeft = true;
    this.#settle();
  }

  #settle(): void {
    if (!this.#isLeft || this.writes > 0) return;
    this.#isLeft = false;
    this.isLent = false;
    this.#free(this);
  }
}

/**
 * Whose bytes they are. "shared": a view that is good for the call only. "fresh": nobody reads over them. In a block,
 * they are good for as long as something is written from them.
 */
export type Memory = "shared" | "fresh" | Block;

export interface Reader {
  memory: Memory;
  /** More of a body is to come. */
  readonly isInBody: boolean;
  /** bytes[start, end) are there. */
  read(bytes: Buffer, start: number, end: number): void;
}

export class ReadBuffers {
  readonly #shared = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  readonly #spare: Block[] = [];

  /** For the `onread` of this connection's socket. */
  of(reader: Reader): OnReadOpts {
    reader.memory = "shared";
    return {
      /** Asked before the first read, and after each. */
      buffer: () => (reader.memory instanceof Block ? reader.memory.bytes : this.#shared),
      callback: (length: number, bytes: Uint8Array): boolean => {
        reader.read(bytes as Buffer, 0, length);
        this.#prepare(reader, length);
        return true;
      },
    };
  }

  #prepare(reader: Reader, length: number): void {
    const { memory } = reader;
    const block = memory instanceof Block ? memory : undefined;
    if (!block && length <= LARGE) return;
    if (reader.isInBody) {
      if (block && !block.isLent) return;
      reader.memory = this.#spare.pop() ?? new Block(this.#free);
    } else reader.memory = "shared";
    block?.leave();
  }

  readonly #free = (block: Block): void => {
    if (this.#spare.length < SPARE_MAX) this.#spare.push(block);
  };
}
