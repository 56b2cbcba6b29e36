/**
 * Which messages of a delay log wait, and until when: a binary heap over (due, id) in typed arrays, and one bit an id
 * that says whether it still waits. Two doubles in the heap, which grows by half, and a bit: 16 to 25 bytes a message.
 *
 * Pure: no I/O, no clock. Adding and taking are O(log n); what is removed from the middle stays in the heap until it
 * comes to the top, or until half of the heap is of that kind.
 */
export interface Due {
  id: number;
  /** Wall-clock milliseconds. */
  due: number;
}

const bitsOfWord = 32;

export class DelayIndex {
  #dues = new Float64Array(16);
  #ids = new Float64Array(16);
  #heaped = 0;
  #waiting = 0;
  /** Bits of ids from `#base` on; `#base` is a multiple of the bits of a word. */
  #bits = new Uint32Array(16);
  #base: number;

  /** `first` is the lowest id that will ever be added. */
  constructor(first = 0) {
    this.#base = Math.floor(first / bitsOfWord) * bitsOfWord;
  }

  get size(): number {
    return this.#waiting;
  }

  has(id: number): boolean {
    const word = this.#wordOf(id);
    return word >= 0 && word < this.#bits.length && (this.#bits[word]! & maskOf(id)) !== 0;
  }

  /** Ids are added in any order, each once unless it was removed. */
  add({ id, due }: Due): void {
    this.#set(id);
    this.#push(id, due);
  }

  /** Whether it was there. */
  remove(id: number): boolean {
    if (!this.has(id)) return false;
    this.#bits[this.#wordOf(id)]! &= ~maskOf(id);
    this.#waiting -= 1;
    if (this.#heaped > 2 * this.#waiting + 1024) this.#sift();
    return true;
  }

  /** When the first one is due; undefined when none waits. */
  get nextDue(): number | undefined {
    while (this.#heaped > 0 && !this.has(this.#ids[0]!)) this.#pop();
    return this.#heaped > 0 ? this.#dues[0] : undefined;
  }

  /** What is due at `now`, up to the limit, earliest first and then lowest id first. It counts as removed. */
  take(now: number, limit: number): Due[] {
    const taken: Due[] = [];
    while (taken.length < limit) {
      const due = this.nextDue;
      if (due === undefined || due > now) break;
      const id = this.#ids[0]!;
      this.#pop();
      this.remove(id);
      taken.push({ id, due });
    }
    return taken;
  }

  /** The lowest id that waits. */
  get floor(): number | undefined {
    for (const id of this.from(this.#base)) return id;
    return undefined;
  }

  /** Ids that wait, in order, from `first` on. Must not be changed meanwhile. */
  *from(first: number): Generator<number> {
    const start = Math.max(first, this.#base);
    for (let word = this.#wordOf(start); word < this.#bits.length; word++) {
      for (let bits = this.#bits[word]!; bits !== 0; bits &= bits - 1) {
        const id = this.#base + word * bitsOfWord + (31 - Math.clz32(bits & -bits));
        if (id >= start) yield id;
      }
    }
  }

  /** Gives up the bits of ids below `id`, none of which waits. */
  forgetBelow(id: number): void {
    const words = Math.min(this.#wordOf(id), this.#bits.length);
    if (words < 64 || words < this.#bits.length / 2) return; // moving the rest would cost more than it frees
    const rest = this.#bits.subarray(words);
    this.#bits = new Uint32Array(Math.max(16, rest.length));
    this.#bits.set(rest);
    this.#base += words * bitsOfWord;
  }

  #wordOf(id: number): number {
    return Math.floor((id - this.#base) / bitsOfWord);
  }

  #set(id: number): void {
    const word = this.#wordOf(id);
    if (word < 0) throw new RangeError(`id ${id} is below ${this.#base}`);
    if (word >= this.#bits.length) {
      const grown = new Uint32Array(Math.max(word + 1, Math.ceil(this.#bits.length * 1.5)));
      grown.set(this.#bits);
      this.#bits = grown;
    }
    this.#bits[word]! |= maskOf(id);
    this.#waiting += 1;
  }

  #isBefore(a: number, dueB: number, idB: number): boolean {
    const due = this.#dues[a]!;
    return due < dueB || (due === dueB && this.#ids[a]! < idB);
  }

  #put(at: number, due: number, id: number): void {
    this.#dues[at] = due;
    this.#ids[at] = id;
  }

  #push(id: number, due: number): void {
    if (this.#heaped === this.#ids.length) this.#resize(Math.ceil(this.#heaped * 1.5));
    let at = this.#heaped++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#isBefore(parent, due, id)) break;
      this.#put(at, this.#dues[parent]!, this.#ids[parent]!);
      at = parent;
    }
    this.#put(at, due, id);
  }

  #pop(): void {
    this.#heaped -= 1;
    this.#sink(0, this.#dues[this.#heaped]!, this.#ids[this.#heaped]!);
    if (this.#ids.length > 64 && this.#heaped < this.#ids.length / 4) this.#resize(this.#ids.length >> 1);
  }

  /** Puts an item into the hole at `at` or below it. */
  #sink(from: number, due: number, id: number): void {
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#heaped) break;
      if (child + 1 < this.#heaped && this.#isBefore(child + 1, this.#dues[child]!, this.#ids[child]!))
        child += 1;
      if (!this.#isBefore(child, due, id)) break;
      this.#put(at, this.#dues[child]!, this.#ids[child]!);
      at = child;
    }
    this.#put(at, due, id);
  }

  /** Drops from the heap what does not wait any more. */
  #sift(): void {
    let kept = 0;
    for (let at = 0; at < this.#heaped; at++) {
      if (this.has(this.#ids[at]!)) this.#put(kept++, this.#dues[at]!, this.#ids[at]!);
    }
    this.#heaped = kept;
    for (let at = (kept >> 1) - 1; at >= 0; at--) this.#sink(at, this.#dues[at]!, this.#ids[at]!);
    this.#resize(Math.max(16, Math.ceil(kept * 1.25)));
  }

  #resize(length: number): void {
    const dues = new Float64Array(length);
    const ids = new Float64Array(length);
    dues.set(this.#dues.subarray(0, this.#heaped));
    ids.set(this.#ids.subarray(0, this.#heaped));
    this.#dues = dues;
    this.#ids = ids;
  }
}

const maskOf = (id: number): number => 1 << (id % bitsOfWord);
