/**
 * What a subscription's settings say of one message: whether it is wanted, and what becomes of it when it fails. They
 * may change at any time; what was decided by then stays so. Decides only: who is told and what is kept is the affair
 * of taking.ts and settling.ts.
 */
import { expiresAtOf, isDeadLetter } from "../message.ts";
import type { Fate } from "./entry.ts";
import { type CompiledFilter, compileFilter } from "./filter.ts";
import { backoffMs, type SubscriptionPolicy } from "./policy.ts";

export type Unwanted = "expired" | "filtered";

export class Terms {
  policy: SubscriptionPolicy;
  filter: CompiledFilter | undefined;
  ackDeadlineMs: number;
  /** False for a dead-letter queue itself: nothing of it expires or is given up. */
  readonly #givesUp: boolean;

  constructor(policy: SubscriptionPolicy, ackDeadlineMs: number, givesUp: boolean) {
    this.policy = policy;
    this.filter = policy.filter && compileFilter(policy.filter);
    this.ackDeadlineMs = ackDeadlineMs;
    this.#givesUp = givesUp;
  }

  change(policy: SubscriptionPolicy, ackDeadlineMs: number): void {
    this.policy = policy;
    this.filter = policy.filter && compileFilter(policy.filter);
    this.ackDeadlineMs = ackDeadlineMs;
  }

  /** Whether what expires becomes a dead letter, instead of being passed over. */
  get buriesExpired(): boolean {
    return this.policy.deadLetterExpired && this.#givesUp;
  }

  isWanted(body: Buffer): boolean {
    return isDeadLetter(body) || this.filter?.mismatch(body) === undefined;
  }

  /** A dead letter waits for as long as it takes, also when it is replayed. What the filter refuses never expires. */
  whyUnwanted(body: Buffer, now: number): Unwanted | undefined {
    if (isDeadLetter(body)) return undefined;
    if (this.filter?.mismatch(body) !== undefined) return "filtered";
    const expiresAt = expiresAtOf(body);
    return expiresAt === undefined || expiresAt > now ? undefined : "expired";
  }

  /** Of a message that has failed; `now` is monotonic. */
  fateOf(attempt: number, now: number, delayMs?: number): Fate {
    const { maxAttempts, backoff } = this.policy;
    if (maxAttempts > 0 && attempt >= maxAttempts && this.#givesUp) return "dead";
    return now + (delayMs ?? backoffMs(backoff, attempt));
  }

  /** Of a message whose consumer says that it will never do. */
  fateOfRejected(attempt: number, now: number, delayMs?: number): Fate {
    return this.#givesUp ? "dead" : this.fateOf(attempt, now, delayMs);
  }
}
