/**
 * A map of bounded size that forgets what has not been used for longest, in two generations: when the young
 * one is full it becomes the old one, and what was old and untouched is gone. No order to keep, no timer.
 */
export class RecentMap<Value> {
  readonly #generationMax: number;
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();

  /**
   * Holds at most `keysMax` (≥ 2) keys; what was used among the latest half of that many is never
   * forgotten.
   */
  constructor(keysMax: number) {
    this.#generationMax = Math.max(1, Math.floor(keysMax / 2));
  }

  get(key: string): Value | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: Value): void {
    if (this.#young.size >= this.#generationMax && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  /** Keys held, those counted twice that are in both generations. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }
}
