/**
 * Time as an argument. Wall time (`now`) is for what people and other machines read and may jump; everything
 * that measures a duration or arms a deadline uses `monotonic`. Nothing outside this file calls Date.now or
 * setTimeout (test/tidy holds that), so a simulation can own time.
 */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since 1970-01-01T00:00Z. May jump, also backwards. */
  now(): number;
  /** Milliseconds since an arbitrary start, with a fraction. Never goes back. */
  monotonic(): number;
  /** Runs `callback` once after `delayMs` (≥ 0). Does not keep the process alive unless asked to. */
  after(delayMs: number, callback: () => void, options?: { keepAlive: boolean }): Timer;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, callback, options) {
    // setTimeout overflows above 2^31-1 ms and would then fire at once.
    const handle = setTimeout(callback, Math.min(Math.max(0, delayMs), 0x7fffffff));
    if (!options?.keepAlive) handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Resolves after `delayMs`, or rejects with the signal's reason. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** A clock that stands still until `advance` is called; timers fire in order of their deadline. */
export class ManualClock implements Clock {
  #wall: number;
  #monotonic = 0;
  #sequence = 0;
  #timers: { at: number; sequence: number; callback: () => void }[] = [];

  constructor(startMs = 1_700_000_000_000) {
    this.#wall = startMs;
  }

  now(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer = { at: this.#monotonic + Math.max(0, delayMs), sequence: this.#sequence++, callback };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  /** Moves both clocks on by `ms` and fires what becomes due on the way. */
  advance(ms: number): void {
    const end = this.#monotonic + ms;
    for (;;) {
      const due = this.#timers
        .filter((timer) => timer.at <= end)
        .sort((a, b) => a.at - b.at || a.sequence - b.sequence)[0];
      if (!due) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#wall += due.at - this.#monotonic;
      this.#monotonic = due.at;
      due.callback();
    }
    this.#wall += end - this.#monotonic;
    this.#monotonic = end;
  }

  /** Sets wall time without touching the monotonic clock, as an operator or NTP would. */
  jump(toMs: number): void {
    this.#wall = toMs;
  }

  /** Milliseconds until the next timer fires; undefined when none is armed. */
  nextTimer(): number | undefined {
    if (this.#timers.length === 0) return undefined;
    return Math.min(...this.#timers.map((timer) => timer.at)) - this.#monotonic;
  }
}
