/** What a subscription promises its consumers, and what becomes of a message that failed. */
import type { Filter } from "./filter.ts";

export const ackModes = ["at-least-once", "at-most-once"] as const;

/** The delay after the nth failed attempt: the nth of a list, whose last one repeats; or base · 2^(n−1) up to max. */
export type Backoff =
  | { readonly delaysMs: readonly number[] }
  | { readonly baseMs: number; readonly maxMs: number };

export interface SubscriptionPolicy {
  /** At most once: settled, durably, before it is handed out. */
  readonly ackMode: (typeof ackModes)[number];
  /** Deliveries after which a failed message becomes a dead letter; 0 sets no limit. */
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  /** Whether the messages behind a dead letter of their key wait until it was replayed or discarded. */
  readonly blockKeyOnDeadLetter: boolean;
  /** Whether what expires becomes a dead letter, instead of being passed over. */
  readonly deadLetterExpired: boolean;
  /** The version of the topic's schema that its consumers read by, if they say. */
  readonly schemaVersion?: number | null;
  /** Which messages it wants; all when there is none. */
  readonly filter?: Filter | undefined;
}

/** A first delivery, and five more behind 2, 4, 8, 16 and 32 seconds. */
export const usualPolicy: SubscriptionPolicy = {
  ackMode: "at-least-once",
  maxAttempts: 6,
  backoff: { delaysMs: [2_000, 4_000, 8_000, 16_000, 32_000] },
  blockKeyOnDeadLetter: false,
  deadLetterExpired: false,
  schemaVersion: null,
};

/** A dead letter waits for as long as it takes, and is never dead-lettered itself. */
export const deadLetterPolicy: SubscriptionPolicy = { ...usualPolicy, maxAttempts: 0 };

export function policyOf(given: Partial<SubscriptionPolicy>): SubscriptionPolicy {
  return { ...usualPolicy, ...given };
}

/** Milliseconds between the end of the attempt (1, 2, …) and the next one. */
export function backoffMs(backoff: Backoff, attempt: number): number {
  if ("delaysMs" in backoff) {
    const { delaysMs } = backoff;
    return delaysMs[Math.min(attempt, delaysMs.length) - 1] ?? 0;
  }
  // 2^52 is beyond every maximum, and the product stays a finite number.
  return Math.min(backoff.maxMs, backoff.baseMs * 2 ** Math.min(attempt - 1, 52));
}
