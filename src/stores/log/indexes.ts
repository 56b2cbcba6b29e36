/** Which sealed segments keep their index in memory: those read last. The others load it again from the disk. */
import type { Segment } from "./segment.ts";

export class IndexCache {
  readonly #limit: number;
  readonly #segments = new Set<Segment>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The sealed segment is about to be read. */
  use(segment: Segment): void {
    this.#segments.delete(segment);
    this.#segments.add(segment);
    if (this.#segments.size <= this.#limit) return;
    for (const oldest of this.#segments) {
      this.forget(oldest);
      return;
    }
  }

  forget(segment: Segment): void {
    this.#segments.delete(segment);
    segment.content = undefined;
  }
}
