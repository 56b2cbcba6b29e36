/**
 * Locks that work across nodes: a lease in the key-value store, and a fencing token that lets the thing
 * being protected refuse a holder whose lease has run out without his noticing (a long pause, a slow
 * packet).
 *
 * What holds, as long as the store keeps its keys:
 * - At most one lease of a name is valid at any time. A holder counts its time from before it asked, so its
 *   own view ends no later than the store's.
 * - Tokens of a name are strictly increasing in the order in which leases are granted, also after expiry.
 *   The token is drawn while the lease is held, and the lease is confirmed after: a holder that was
 *   overtaken meanwhile gets nothing.
 * - Only the holder's own lease is extended or released.
 *
 * When the store forgets (a restart of Redis without persistence, a fail-over to a replica that lags, the
 * restart of this process with the store in memory) two holders can overlap until the older lease ends.
 * Tokens go on rising then too, as far as the nodes' wall clocks agree, since no token is below the time of
 * day. So a lock saves work; what must never happen twice has to check the token where it happens.
 */
import { type Clock, sleep, type Timer } from "../../core/clock.ts";
import { HotSwapError, hasCode } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import type { Kv } from "../../stores/kv/index.ts";

export interface AcquireOptions {
  /** How long the lease lasts unless it is extended. Default 10 s. */
  ttlMs?: number;
  /** How long to wait for another holder to let go. Default 0: not at all. */
  waitMs?: number;
  /** Ends the waiting; the acquisition rejects with its reason. */
  signal?: AbortSignal;
  /** Extends the lease by itself, until it is released or lost. Default false. */
  renew?: boolean;
}

export interface Lease {
  /** Send it with every effect; the target refuses one that is lower than the highest it has seen. */
  readonly token: number;
  /** Aborted, with `lock_lost`, when the lease has ended without being released. */
  readonly signal: AbortSignal;
  /**
   * Lets the lease last `ttlMs` from now. Rejects with `lock_lost`, or `store_unavailable` while it still
   * lasts.
   */
  extend(): Promise<void>;
  /** Idempotent, and never rejects: a lease that the store did not hear of ends by itself. */
  release(): Promise<void>;
}

export interface Lock {
  /** Rejects with `lock_not_acquired` when another holds it after `waitMs`, or with `store_unavailable`. */
  acquire(name: string, options?: AcquireOptions): Promise<Lease>;
  /**
   * Runs the work under a lease that renews itself, and releases it after. Rejects with `lock_lost` when the
   * lease was lost before the work ended, whatever became of the work: it was not alone.
   */
  withLock<Result>(
    name: string,
    work: (lease: Lease) => Promise<Result>,
    options?: Omit<AcquireOptions, "renew">,
  ): Promise<Result>;
}

const defaultTtlMs = 10_000;
/** Between two looks at a lock that is held; each is drawn from the upper half of a growing range. */
const lookDelayMs = { first: 10, max: 250 };
/** A counter that nobody has used for this long starts at the time of day again, which is higher. */
const fenceTtlMs = 24 * 3_600_000;

export class KvLock implements Lock {
  readonly #kv: Kv;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(options: { kv: Kv; clock: Clock; random: Random }) {
    this.#kv = options.kv;
    this.#clock = options.clock;
    this.#random = options.random;
  }

  async acquire(name: string, options: AcquireOptions = {}): Promise<Lease> {
    const { ttlMs = defaultTtlMs, waitMs = 0, signal } = options;
    if (!(ttlMs > 0)) throw new RangeError(`a lease of ${ttlMs} ms`);
    const giveUpAt = this.#clock.monotonic() + waitMs;
    for (let delayMs = lookDelayMs.first; ; delayMs = Math.min(delayMs * 2, lookDelayMs.max)) {
      signal?.throwIfAborted();
      const lease = await this.#try(name, ttlMs, options.renew ?? false);
      if (lease) return lease;
      const leftMs = giveUpAt - this.#clock.monotonic();
      if (leftMs <= 0) {
        throw new HotSwapError("lock_not_acquired", `The lock "${name}" is held by somebody else.`, {
          retryAfterMs: 1000,
        });
      }
      await sleep(this.#clock, Math.min(leftMs, (delayMs * (1 + this.#random.number())) / 2), signal);
    }
  }

  async withLock<Result>(
    name: string,
    work: (lease: Lease) => Promise<Result>,
    options: Omit<AcquireOptions, "renew"> = {},
  ): Promise<Result> {
    const lease = await this.acquire(name, { ...options, renew: true });
    try {
      const result = await work(lease);
      lease.signal.throwIfAborted();
      return result;
    } finally {
      await lease.release();
    }
  }

  /** Undefined when another holds it, or took it before this attempt was over. */
  async #try(name: string, ttlMs: number, renew: boolean): Promise<Lease | undefined> {
    const key = `lock/${name}`;
    const owner = Buffer.from(this.#random.bytes(16)).toString("hex");
    if (!(await this.#kv.set(key, owner, { ttlMs, when: "absent" }))) return undefined;
    const lease = new KvLease({ kv: this.#kv, clock: this.#clock, key, owner, name, ttlMs, renew });
    try {
      const token = await this.#drawToken(`fence/${name}`);
      await lease.confirm(token);
      return lease;
    } catch (error) {
      await lease.release();
      if (hasCode(error, "lock_lost")) return undefined;
      throw error;
    }
  }

  /** One more than the last, and not below the time of day in microseconds, which no rate of use outruns. */
  async #drawToken(key: string): Promise<number> {
    for (;;) {
      const last = await this.#kv.get(key);
      const token = Math.max(Number(last ?? 0) + 1, Math.floor(this.#clock.now() * 1000));
      const when = last === undefined ? "absent" : { equals: last };
      if (await this.#kv.set(key, String(token), { ttlMs: fenceTtlMs, when })) return token;
    }
  }
}

interface LeaseOptions {
  kv: Kv;
  clock: Clock;
  key: string;
  owner: string;
  name: string;
  ttlMs: number;
  renew: boolean;
}

class KvLease implements Lease {
  readonly #options: LeaseOptions;
  readonly #lost = new AbortController();
  #token = 0;
  #released = false;
  #endsAt = 0;
  #end: Timer | undefined;
  #renewal: Timer | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  get token(): number {
    return this.#token;
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /**
   * The last step of the acquisition: the lease is still this owner's, so no later one has drawn a token.
   */
  async confirm(token: number): Promise<void> {
    this.#token = token;
    await this.extend();
    if (this.#options.renew) this.#renewLater();
  }

  async extend(): Promise<void> {
    const { kv, clock, key, owner, ttlMs } = this.#options;
    this.#throwIfOver();
    const endsAt = clock.monotonic() + ttlMs;
    const extended = await kv.set(key, owner, { ttlMs, when: { equals: owner } });
    if (!extended || clock.monotonic() >= endsAt) this.#lose();
    this.#throwIfOver();
    this.#endAt(endsAt);
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#end?.cancel();
    this.#renewal?.cancel();
    const { kv, key, owner } = this.#options;
    await kv.delete(key, { equals: owner }).catch(() => {}); // it ends by itself
  }

  #endAt(endsAt: number): void {
    this.#endsAt = Math.max(this.#endsAt, endsAt);
    this.#end?.cancel();
    const { clock } = this.#options;
    this.#end = clock.after(this.#endsAt - clock.monotonic(), () => this.#lose());
  }

  #renewLater(): void {
    this.#renewal = this.#options.clock.after(this.#options.ttlMs / 3, async () => {
      try {
        await this.extend();
      } catch {
        // Lost: the signal says so. Store away: there is time for another attempt before the lease ends.
      }
      if (!this.#released && !this.signal.aborted) this.#renewLater();
    });
  }

  #lose(): void {
    if (this.#released) return;
    this.#end?.cancel();
    this.#renewal?.cancel();
    this.#lost.abort(this.#lostError());
  }

  #throwIfOver(): void {
    if (this.#released || this.signal.aborted) throw this.#lostError();
  }

  #lostError(): HotSwapError {
    return new HotSwapError("lock_lost", `The lock "${this.#options.name}" is no longer yours.`);
  }
}
