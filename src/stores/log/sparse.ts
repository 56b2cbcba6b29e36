/**
 * The sparse index of one segment: where about every sixteen kilobytes of records begin. A look-up is a binary
 * search; the reader then hops over the records between the entry and the one it wants.
 */
export const indexStepBytes = 16 * 1024;

export interface IndexEntry {
  sequence: number;
  position: number;
}

export class SparseIndex {
  #entries: Uint32Array = new Uint32Array(0);
  #count = 0;
  readonly #origin: IndexEntry;

  /** `firstPosition` is where the segment's first record lies. */
  constructor(firstPosition: number) {
    this.#origin = { sequence: 0, position: firstPosition };
  }

  /** Bytes of memory held. */
  get sizeBytes(): number {
    return this.#entries.byteLength;
  }

  /** Notes a record, unless the last entry is near enough. Positions ascend. */
  add(sequence: number, position: number): void {
    const last = this.#count > 0 ? this.#entries[this.#count * 2 - 1]! : this.#origin.position;
    if (position - last < indexStepBytes) return;
    if (this.#count * 2 === this.#entries.length) {
      const grown = new Uint32Array(Math.max(16, this.#entries.length * 2));
      grown.set(this.#entries);
      this.#entries = grown;
    }
    this.#entries[this.#count * 2] = sequence;
    this.#entries[this.#count * 2 + 1] = position;
    this.#count += 1;
  }

  /** The last entry at or before the sequence; the segment's first record when there is none. */
  find(sequence: number): IndexEntry {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#entries[middle * 2]! <= sequence) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return this.#origin;
    return { sequence: this.#entries[low * 2 - 2]!, position: this.#entries[low * 2 - 1]! };
  }

  /** Forgets the entries at `position` and after it. */
  cut(position: number): void {
    while (this.#count > 0 && this.#entries[this.#count * 2 - 1]! >= position) this.#count -= 1;
  }

  toWords(): Uint32Array {
    return this.#entries.slice(0, this.#count * 2);
  }

  static fromWords(firstPosition: number, words: Uint32Array): SparseIndex {
    const index = new SparseIndex(firstPosition);
    index.#entries = words;
    index.#count = words.length / 2;
    return index;
  }
}
