/**
 * The receivers that wait for a message, in the order in which they came. Whoever is woken and finds something
 * wakes the next; so one event costs one look, however many wait.
 */
import type { Clock } from "../../core/clock.ts";

export class Waiters {
  readonly #clock: Clock;
  #line: (() => void)[] = [];
  /** Counts what may have made something deliverable, so that a receiver misses nothing between look and wait. */
  #events = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get events(): number {
    return this.#events;
  }

  get size(): number {
    return this.#line.length;
  }

  /** Wakes the one that waits longest; when it finds something it wakes the next. */
  wake(): void {
    this.#events += 1;
    this.#line.shift()?.();
  }

  wakeAll(): void {
    this.#events += 1;
    for (const wake of this.#line.splice(0)) wake();
  }

  /** Resolves when woken, at `end` (monotonic ms), or when the signal aborts. */
  wait(end: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        timer.cancel();
        signal?.removeEventListener("abort", onAbort);
        resolve();
      };
      // One that ends without having been woken must leave the line, or it would swallow somebody's wake-up.
      const leave = () => {
        this.#line = this.#line.filter((waiter) => waiter !== wake);
        wake();
      };
      const onAbort = leave;
      const timer = this.#clock.after(end - this.#clock.monotonic(), leave);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#line.push(wake);
    });
  }
}
