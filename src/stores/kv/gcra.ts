/**
 * The generic cell rate algorithm (ITU-T I.371, as virtual scheduling): the whole state is one number, the
 * time at which the limit will be whole again. `wholeAt` of the past or undefined is a whole limit.
 *
 * Pure; redis.scripts.ts says the same in Lua, and a property test holds the two together.
 */
import type { GcraLimit, GcraResult } from "./port.ts";

export interface GcraStep {
  /** The state after this step; unchanged when refused. */
  wholeAt: number;
  result: GcraResult;
}

export function gcra(wholeAt: number | undefined, now: number, limit: GcraLimit): GcraStep {
  const { burst, intervalMs, cost } = limit;
  const capacityMs = burst * intervalMs;
  const before = wholeAt === undefined || wholeAt < now ? now : wholeAt;
  // More than the burst would never fit: it asks for a whole limit instead, and is charged in full.
  const retryAfterMs = Math.max(0, before + Math.min(cost, burst) * intervalMs - capacityMs - now);
  const allowed = retryAfterMs <= roundingMs;
  const after = allowed ? before + cost * intervalMs : before;
  const resetMs = after - now;
  return {
    wholeAt: after,
    result: {
      allowed,
      remaining: Math.max(0, Math.floor((capacityMs - resetMs + roundingMs) / intervalMs)),
      retryAfterMs: allowed ? 0 : retryAfterMs,
      resetMs,
    },
  };
}

/** Sums of fractional intervals are off by less than this, which must not cost a caller a request. */
export const roundingMs = 0.001;
