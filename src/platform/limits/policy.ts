/**
 * A rate limit that is announced to clients: its name, its numbers, and how an outcome is said in header
 * fields, as draft-ietf-httpapi-ratelimit-headers-10 has them (structured fields, RFC 9651).
 */
import { HotSwapError } from "../../core/errors.ts";
import type { GcraResult } from "../../stores/kv/index.ts";

export interface LimitPolicy {
  readonly name: string;
  /** How many at once. */
  readonly burst: number;
  /** Milliseconds in which one more becomes available; a fraction for fast limits. */
  readonly intervalMs: number;
  /**
   * The field RateLimit-Policy: q is the burst, w the seconds in which all of it becomes available again.
   */
  readonly field: string;
}

/** `perSecond` may be a fraction: 1000 per minute is { burst: 1000, perSecond: 1000 / 60 }. */
export function limitPolicy(numbers: { name: string; burst: number; perSecond: number }): LimitPolicy {
  const { name, burst, perSecond } = numbers;
  if (!/^[a-z][a-z0-9_-]{0,63}$/.test(name)) throw new RangeError(`a limit named ${JSON.stringify(name)}`);
  if (!(Number.isSafeInteger(burst) && burst >= 1 && perSecond > 0 && perSecond <= 1e6)) {
    throw new HotSwapError(
      "setting_invalid",
      `The limit "${name}" must have a burst of at least 1 and more than 0, at most 1000000 per second.`,
    );
  }
  // Rounded up, but not because of the last digit of a fraction.
  const windowSeconds = Math.max(1, Math.ceil(burst / perSecond - 1e-6));
  return { name, burst, intervalMs: 1000 / perSecond, field: `"${name}";q=${burst};w=${windowSeconds}` };
}

/**
 * The fields of an answer; Retry-After only when it was refused. Seconds are rounded up, so never too
 * early.
 */
export function rateLimitHeaders(policy: LimitPolicy, result: GcraResult): Record<string, string> {
  const { remaining, retryAfterMs } = result;
  const headers: Record<string, string> = {
    "ratelimit-policy": policy.field,
    ratelimit: `"${policy.name}";r=${remaining};t=${Math.ceil(nextMs(policy, result) / 1000)}`,
  };
  if (!result.allowed) headers["retry-after"] = String(Math.max(1, Math.ceil(retryAfterMs / 1000)));
  return headers;
}

/** Milliseconds until `remaining` grows; 0 when it is as large as it gets. */
function nextMs(policy: LimitPolicy, result: GcraResult): number {
  const missing = policy.burst - result.remaining;
  return missing <= 0 ? 0 : Math.max(0, result.resetMs - (missing - 1) * policy.intervalMs);
}
