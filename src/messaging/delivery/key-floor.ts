/**
 * From where on a log holds what was published with an idempotency key not long ago: what deduplication reads after a
 * restart must not be trimmed before its time. Kept in spans of a sixteenth of the window, which is what a record may
 * stay too long. Pure; times are monotonic milliseconds.
 */
interface Span {
  readonly offset: number;
  readonly from: number;
  last: number;
}

export class KeyFloor {
  readonly #spans: Span[] = [];

  /** Keys at `offset` or behind it, published at `now`; offsets and times do not fall. */
  add(offset: number, now: number, windowMs: number): void {
    if (windowMs <= 0) return;
    const span = this.#spans.at(-1);
    if (span && now - span.from < windowMs / 16) span.last = now;
    else this.#spans.push({ offset, from: now, last: now });
  }

  /** Infinity when there is nothing to keep. */
  at(now: number, windowMs: number): number {
    while (this.#spans[0] && this.#spans[0].last + windowMs <= now) this.#spans.shift();
    return this.#spans[0]?.offset ?? Number.POSITIVE_INFINITY;
  }
}
