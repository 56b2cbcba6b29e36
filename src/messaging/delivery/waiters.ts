/**
 * The receivers that wait for a message, in the order in which they came. Whoever is woken and finds something
 * wakes the next; so one event costs one look, however many wait.
 */
import type { Clock } from "../../core/clock.ts";
import type { Consumer } from "./consumers.ts";

interface Waiter {
  consumer: Consumer;
  wake: () => void;
}

export class Waiters {
  readonly #clock: Clock;
  /** Which of those in the line is woken next; −1 for nobody. */
  readonly #choose: (line: readonly Consumer[]) => number;
  #line: Waiter[] = [];
  /** Counts what may have made something deliverable, so that a receiver misses nothing between look and wait. */
  #events = 0;

  constructor(clock: Clock, choose: (line: readonly Consumer[]) => number) {
    this.#clock = clock;
    this.#choose = choose;
  }

  get events(): number {
    return this.#events;
  }

  get size(): number {
    return this.#line.length;
  }

  /** Wakes the one whose turn it is; when it finds something it wakes the next. */
  wake(): void {
    this.#events += 1;
    if (this.#line.length === 0) return;
    const index = this.#choose(this.#line.map(({ consumer }) => consumer));
    if (index >= 0) this.#line.splice(index, 1)[0]!.wake();
  }

  wakeAll(): void {
    this.#events += 1;
    for (const { wake } of this.#line.splice(0)) wake();
  }

  /** Resolves when woken, at `end` (monotonic ms), or when the signal aborts. */
  wait(consumer: Consumer, end: number, signal: AbortSignal | undefined): Promise<void> {
    consumer.waiting += 1;
    return new Promise((resolve) => {
      const wake = () => {
        timer.cancel();
        signal?.removeEventListener("abort", leave);
        consumer.waiting -= 1;
        resolve();
      };
      const waiter = { consumer, wake };
      // One that ends without having been woken must leave the line, or it would swallow somebody's wake-up.
      const leave = () => {
        const at = this.#line.indexOf(waiter);
        if (at < 0) return;
        this.#line.splice(at, 1);
        wake();
      };
      const timer = this.#clock.after(end - this.#clock.monotonic(), leave);
      signal?.addEventListener("abort", leave, { once: true });
      this.#line.push(waiter);
    });
  }
}
