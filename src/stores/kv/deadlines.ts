/**
 * Which keys end when, without a timer per key: keys wait in buckets of one second. Adding, moving and
 * removing cost the same for any number of keys; taking what is due costs as much as there is due.
 */
const bucketMs = 1000;

export class Deadlines {
  readonly #buckets = new Map<number, Set<string>>();
  #nextBucket = 0;

  /** The deadline must not be earlier than the time of the last `takeDue`. */
  add(key: string, deadlineMs: number): void {
    const bucket = Math.floor(deadlineMs / bucketMs);
    const keys = this.#buckets.get(bucket);
    if (keys) keys.add(key);
    else this.#buckets.set(bucket, new Set([key]));
  }

  remove(key: string, deadlineMs: number): void {
    const bucket = Math.floor(deadlineMs / bucketMs);
    const keys = this.#buckets.get(bucket);
    if (keys?.delete(key) && keys.size === 0) this.#buckets.delete(bucket);
  }

  /** Calls `end` for every key whose bucket is over: each within a second after its deadline. */
  takeDue(nowMs: number, end: (key: string) => void): void {
    const current = Math.floor(nowMs / bucketMs);
    if (current <= this.#nextBucket) return;
    // After a long silence there are fewer buckets than seconds.
    const due =
      current - this.#nextBucket > this.#buckets.size
        ? [...this.#buckets.keys()].filter((bucket) => bucket < current)
        : Array.from({ length: current - this.#nextBucket }, (_, i) => this.#nextBucket + i);
    this.#nextBucket = current;
    for (const bucket of due) {
      const keys = this.#buckets.get(bucket);
      this.#buckets.delete(bucket);
      keys?.forEach(end);
    }
  }
}
