/**
 * Short-lived shared state: cache, counters, leases, pub/sub. Values are strings; a key may expire. Every
 * operation is atomic and touches one key, so that a cluster can split the keys. Nothing in here is the only
 * copy of anything: losing the store costs work, never truth.
 *
 * A call rejects with `store_unavailable` when the store cannot be reached or does not answer. Whether the
 * operation happened is then unknown, as with any lost connection. What a programmer did wrong (an oversized
 * key, an increment of text) throws plainly.
 */
import type { Service } from "../../core/lifecycle.ts";

/** UTF-16 units in a key or channel name. */
export const keyLengthMax = 1024;
/** UTF-16 units in a value or message. */
export const valueLengthMax = 1024 * 1024;

export interface SetOptions {
  /** Milliseconds (> 0, rounded up) until the key disappears; without it the key stays. */
  ttlMs?: number;
  /** "absent": only when there is no such key. { equals }: only when the key holds this value now. */
  when?: "absent" | { equals: string };
}

/**
 * A generic cell rate limit: `burst` (≥ 1) at once, refilled one per `intervalMs` (> 0, fractions allowed).
 */
export interface GcraLimit {
  burst: number;
  intervalMs: number;
  /**
   * How much to take, an integer ≥ 0. More than `burst` is allowed when the limit is whole, and paid off
   * after.
   */
  cost: number;
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

export interface SubscribeOptions {
  /** Called when the subscription is live again after a lost connection: messages in between are lost. */
  onResume?: () => void;
}

/** What an operator wants to know of the store; never on the path of a call. */
export type KvEvent =
  | { kind: "lost"; error: unknown }
  | { kind: "restored" }
  | { kind: "listener_failed"; channel: string; error: unknown };

export interface Kv extends Service {
  /** True when other nodes see this state too; false when it lives and dies with this process. */
  readonly shared: boolean;
  get(key: string): Promise<string | undefined>;
  /** Resolves to whether the value was set. A new value has no other expiry than `ttlMs`. */
  set(key: string, value: string, options?: SetOptions): Promise<boolean>;
  /** Resolves to whether a key was removed. With `equals`, only when it holds that value. */
  delete(key: string, options?: { equals?: string }): Promise<boolean>;
  /** Adds to an integer (0 when absent) and resolves to the sum; `ttlMs` is set when the key is made. */
  increment(key: string, by: number, options?: { ttlMs?: number }): Promise<number>;
  /**
   * Takes from a rate limit, or takes nothing. A store in this process answers at once, without a promise.
   */
  gcra(key: string, limit: GcraLimit): GcraResult | Promise<GcraResult>;
  /** Sends to all current subscribers of the channel, on all nodes; at most once, no memory. */
  publish(channel: string, message: string): Promise<void>;
  /**
   * Resolves when the subscription is live, to the function that ends it. A listener runs after the call
   * that sent the message has returned; what it throws goes to the store's `report` and to nobody else.
   */
  subscribe(
    channel: string,
    listener: (message: string) => void,
    options?: SubscribeOptions,
  ): Promise<() => Promise<void>>;
  /** Resolves when the store answers within `timeoutMs`, rejects with `store_unavailable` otherwise. */
  ping(timeoutMs: number): Promise<void>;
}
