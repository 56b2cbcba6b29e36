/**
 * Which idempotency keys were published lately, and where their messages are. Slots of typed arrays hold 96 bits
 * of SHA-256 of a key, not the key: 20 bytes a slot, of which at most three quarters are full and at least three
 * eighths, so 27 to 53 bytes a key. That two keys of a million share 96 bits has a chance below 1 in 10^16.
 *
 * Keys are kept in slices of a quarter of the window; a slice goes as a whole when all of it is over. So a key is
 * known for at least the window and at most a quarter longer, and nothing is ever deleted from a table's middle.
 */
import { hash } from "node:crypto";

export interface Place {
  partition: number;
  offset: number;
}

/** A partition and an offset in one double: 2^9 partitions, 2^43 offsets, and 0 for an empty slot. */
const offsetsMax = 2 ** 43;
const slicesOfWindow = 4;
const wordsOfHash = 3;

export class KeyTable {
  readonly #sliceMs: number;
  readonly #slices = new Map<number, Slice>();
  #size = 0;

  constructor(windowMs: number) {
    this.#sliceMs = windowMs / slicesOfWindow;
  }

  /** Keys that are known, those of the last quarter beyond the window included. */
  get size(): number {
    return this.#size;
  }

  /** `now` is monotonic milliseconds. */
  find(key: string, now: number): Place | undefined {
    this.#forget(now);
    const words = wordsOf(key);
    for (const slice of this.#slices.values()) {
      const code = slice.find(words);
      if (code === 0) continue;
      return { partition: Math.floor((code - 1) / offsetsMax), offset: (code - 1) % offsetsMax };
    }
    return undefined;
  }

  /** Remembers where the message of the key is, published `at` (monotonic milliseconds, below `now` at recovery). */
  add(key: string, { partition, offset }: Place, at: number): void {
    const number = Math.floor(at / this.#sliceMs);
    let slice = this.#slices.get(number);
    if (!slice) {
      slice = new Slice();
      this.#slices.set(number, slice);
    }
    slice.add(wordsOf(key), partition * offsetsMax + offset + 1);
    this.#size += 1;
  }

  #forget(now: number): void {
    const oldest = Math.floor(now / this.#sliceMs) - slicesOfWindow;
    for (const [number, { size }] of this.#slices) {
      if (number >= oldest) continue;
      this.#slices.delete(number);
      this.#size -= size;
    }
  }
}

/** An open-addressed table that only grows. */
class Slice {
  size = 0;
  #hashes = new Uint32Array(64 * wordsOfHash);
  #codes = new Float64Array(64);

  /** 0 when it is not here. */
  find(words: Uint32Array): number {
    return this.#codes[this.#slotOf(words)]!;
  }

  add(words: Uint32Array, code: number): void {
    if ((this.size + 1) * 4 > this.#codes.length * 3) this.#grow();
    this.#put(words, code);
    this.size += 1;
  }

  #put(words: Uint32Array, code: number): void {
    const slot = this.#slotOf(words);
    this.#hashes.set(words, slot * wordsOfHash);
    this.#codes[slot] = code;
  }

  /** The slot of the key, or the empty one in which it belongs. */
  #slotOf(words: Uint32Array): number {
    const hashes = this.#hashes;
    const mask = this.#codes.length - 1;
    for (let slot = words[0]! & mask; ; slot = (slot + 1) & mask) {
      if (this.#codes[slot] === 0) return slot;
      const at = slot * wordsOfHash;
      if (hashes[at] === words[0] && hashes[at + 1] === words[1] && hashes[at + 2] === words[2]) return slot;
    }
  }

  #grow(): void {
    const hashes = this.#hashes;
    const codes = this.#codes;
    this.#hashes = new Uint32Array(hashes.length * 2);
    this.#codes = new Float64Array(codes.length * 2);
    codes.forEach((code, slot) => {
      if (code === 0) return;
      const at = slot * wordsOfHash;
      this.#put(hashes.subarray(at, at + wordsOfHash), code);
    });
  }
}

function wordsOf(key: string): Uint32Array {
  const digest = hash("sha256", key, "buffer");
  return new Uint32Array([digest.readUInt32LE(0), digest.readUInt32LE(4), digest.readUInt32LE(8)]);
}
