/** What ends a connection by time: silence of the client, and the end of its token. */
import type { Clock, Timer } from "../../core/clock.ts";

export interface WatchOptions {
  clock: Clock;
  /** Silence after which the connection is taken for dead; it is asked for a sign three times before. */
  idleMs: number;
  ping(): void;
  onIdle(): void;
  onTokenEnd(): void;
}

/** Tokens are honoured for so long after their end, as everywhere. */
const toleranceMs = 5_000;

export class Watch {
  readonly #options: WatchOptions;
  #heardAt: number;
  #idleTimer: Timer;
  #tokenTimer: Timer | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#heardAt = options.clock.monotonic();
    this.#idleTimer = this.#armIdle();
  }

  heard(): void {
    this.#heardAt = this.#options.clock.monotonic();
  }

  /** In epoch seconds; takes the place of the end that was watched before. */
  tokenEndsAt(expiresAt: number): void {
    const { clock, onTokenEnd } = this.#options;
    this.#tokenTimer?.cancel();
    if (expiresAt === Number.POSITIVE_INFINITY) return;
    const left = expiresAt * 1000 + toleranceMs - clock.now();
    if (left <= 0) {
      onTokenEnd();
      return;
    }
    // A timer that is very long ends early, and wall time may jump: so it looks again.
    this.#tokenTimer = clock.after(left, () => this.tokenEndsAt(expiresAt));
  }

  stop(): void {
    this.#idleTimer.cancel();
    this.#tokenTimer?.cancel();
  }

  #armIdle(): Timer {
    const { clock, idleMs, ping, onIdle } = this.#options;
    return clock.after(idleMs / 3, () => {
      if (clock.monotonic() - this.#heardAt > idleMs) return onIdle();
      ping();
      this.#idleTimer = this.#armIdle();
    });
  }
}
