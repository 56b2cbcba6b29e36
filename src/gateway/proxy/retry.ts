/**
 * Whether a failed attempt may be tried again, and when. The budget keeps retries from multiplying an outage: over the
 * last ten seconds they are at most a share of the requests, plus a few a second so that quiet routes can retry too.
 * A retry counts when it is decided, so that those that wait for their back-off are in it.
 */
import type { Retry } from "./snapshot.route.ts";

export interface RetrySettings {
  readonly attempts: number;
  readonly statuses: readonly number[];
  readonly backoffMs: number;
  readonly budget: number;
  readonly budgetFloor: number;
  readonly methods: readonly string[];
}

const IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];
const BACKOFF_MS_MAX = 2000;

export function retrySettings(given: Retry = {}): RetrySettings {
  return {
    attempts: given.attempts ?? 1,
    statuses: given.statuses ?? [502, 503, 504],
    backoffMs: given.backoffMs ?? 25,
    budget: given.budget ?? 0.2,
    budgetFloor: given.budgetFloor ?? 3,
    methods: given.methods ?? IDEMPOTENT,
  };
}

/** Full jitter below an exponential bound. `chance` is in [0, 1). */
export function backoffMs(settings: RetrySettings, retry: number, chance: number): number {
  return Math.min(BACKOFF_MS_MAX, settings.backoffMs * 2 ** (retry - 1)) * (0.5 + chance / 2);
}

const WINDOW_SECONDS = 10;

export class RetryBudget {
  readonly #requests = new Float64Array(WINDOW_SECONDS);
  readonly #retries = new Float64Array(WINDOW_SECONDS);
  #second = 0;

  request(now: number): void {
    this.#requests[this.#slot(now)]! += 1;
  }

  /** Takes one retry from the budget, or refuses. */
  take(settings: RetrySettings, now: number): boolean {
    const slot = this.#slot(now);
    const requests = this.#requests.reduce((sum, count) => sum + count, 0);
    const retries = this.#retries.reduce((sum, count) => sum + count, 0);
    if (retries + 1 > requests * settings.budget + WINDOW_SECONDS * settings.budgetFloor) return false;
    this.#retries[slot]! += 1;
    return true;
  }

  #slot(now: number): number {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      for (let gone = Math.max(this.#second + 1, second - WINDOW_SECONDS + 1); gone <= second; gone++) {
        this.#requests[gone % WINDOW_SECONDS] = 0;
        this.#retries[gone % WINDOW_SECONDS] = 0;
      }
      this.#second = second;
    }
    return second % WINDOW_SECONDS;
  }
}
