/**
 * Short-lived shared state: cache, counters, leases, pub/sub. Values are strings; a key may expire. Every
 * operation is atomic. Nothing in here is the only copy of anything: losing the store costs work, never truth.
 */
import type { Service } from "../../core/lifecycle.ts";

export interface SetOptions {
  /** Milliseconds until the key disappears; without it the key stays. */
  ttlMs?: number;
  /** "absent": only when there is no such key. { equals }: only when the key holds this value now. */
  when?: "absent" | { equals: string };
}

export interface GcraResult {
  allowed: boolean;
  /** Requests that would be allowed at once from now on. */
  remaining: number;
  /** Milliseconds until one of `cost` would be allowed; 0 when allowed. */
  retryAfterMs: number;
  /** Milliseconds until the limit is whole again. */
  resetMs: number;
}

export interface Kv extends Service {
  get(key: string): Promise<string | undefined>;
  /** Resolves to whether the value was set. */
  set(key: string, value: string, options?: SetOptions): Promise<boolean>;
  /** Resolves to whether a key was removed. With `equals`, only when it holds that value. */
  delete(key: string, options?: { equals?: string }): Promise<boolean>;
  /** Adds to an integer (0 when absent) and resolves to the sum; `ttlMs` is set when the key is made. */
  increment(key: string, by: number, options?: { ttlMs?: number }): Promise<number>;
  /** Takes `cost` from a generic cell rate limit of `burst` that refills one per `intervalMs`. */
  gcra(key: string, limit: { burst: number; intervalMs: number; cost: number }): Promise<GcraResult>;
  /** Sends to all current subscribers of the channel, on all nodes; at most once, no memory. */
  publish(channel: string, message: string): Promise<void>;
  /** Resolves when the subscription is live, to the function that ends it. */
  subscribe(channel: string, listener: (message: string) => void): Promise<() => Promise<void>>;
}
