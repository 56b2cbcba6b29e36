/** One timer for the earliest of many deadlines: it may fire early, and then its owner looks again. */
import type { Clock, Timer } from "../../core/clock.ts";

export class Alarm {
  readonly #clock: Clock;
  readonly #onTime: () => void;
  #armed: { at: number; timer: Timer } | undefined;
  #isOff = false;

  constructor(clock: Clock, onTime: () => void) {
    this.#clock = clock;
    this.#onTime = onTime;
  }

  /** Fires at `at` (monotonic ms) or earlier; Infinity when nothing waits for time. */
  set(at: number): void {
    if (this.#armed && this.#armed.at <= at) return; // it fires early enough, and then looks again
    this.#armed?.timer.cancel();
    this.#armed = undefined;
    if (at === Number.POSITIVE_INFINITY || this.#isOff) return;
    const delay = Math.max(0, at - this.#clock.monotonic());
    const timer = this.#clock.after(Math.ceil(delay), () => {
      this.#armed = undefined;
      this.#onTime();
    });
    this.#armed = { at, timer };
  }

  /** For good. */
  off(): void {
    this.#isOff = true;
    this.#armed?.timer.cancel();
    this.#armed = undefined;
  }
}
