/**
 * Consuming a topic with `for await`. Messages are leased page by page with a long poll; acks are gathered.
 * A broken connection is mended with jittered back-off for as long as it takes; an error that will not pass
 * by itself (no permission, no such topic) is thrown by the loop.
 *
 * Leaving the loop, aborting the signal or closing hands back what was leased but not looked at, sends what
 * was acknowledged, and only then is the consumer done. Delivery is at least once: a message may come again.
 */
import type { Json, LeasedMessage, Nack, SettleAnswer } from "./message.ts";
import { isTransient } from "./problem.ts";
import { Settlement } from "./settlement.ts";
import { backoffMs, every, nowMs, sleep } from "./time.ts";
import type { CallOptions, RetryPolicy } from "./transport.ts";

/** What a consumer asks of the server; Messages does it. */
export interface Leases {
  pull<Payload>(topic: string, options: PullOptions): Promise<LeasedMessage<Payload>[]>;
  ack(receipts: readonly string[]): Promise<SettleAnswer>;
  nack(items: readonly Nack[]): Promise<SettleAnswer>;
  extend(receipts: readonly string[], seconds: number): Promise<SettleAnswer>;
}

export interface PullOptions extends CallOptions {
  /** Default "default", which every queue topic has. */
  subscription?: string;
  /** Who consumes, as `explain` shows it; the same name is the same consumer. Default: the token's subject. */
  consumer?: string | undefined;
  /** 0..9: larger goes first with the strategies `priority` and `direct`. */
  consumerPriority?: number | undefined;
  /** 1..1,000, default 10. */
  limit?: number;
  /** 0..30: how long to wait for the first message. */
  waitSeconds?: number;
}

export interface ConsumeOptions {
  /** Default "default", which every queue topic has. */
  subscription?: string;
  /** Who consumes, as `explain` shows it; the same name is the same consumer. Default: the token's subject. */
  consumer?: string | undefined;
  /** 0..9: larger goes first with the strategies `priority` and `direct`. */
  consumerPriority?: number | undefined;
  /** 1..1,000, default 100: messages leased at once. */
  limit?: number;
  /** 1..30, default 20: how long one request waits for messages. */
  waitSeconds?: number;
  /** Lease the next page while half of this one is still to be worked on. Default false. */
  prefetch?: boolean;
  /** Keep leases alive while their messages are worked on, each at most `capSeconds`. Default: not. */
  keepLease?: { seconds: number; capSeconds: number } | undefined;
  /** Acks sent together (default 500), and how long one may wait for others (default 5). */
  ackBatch?: number;
  ackLingerMs?: number;
  /** Aborting ends the loop quietly. */
  signal?: AbortSignal | undefined;
  /** Told before each new try after a failed request. */
  onRetry?: ((error: unknown, attempt: number) => void) | undefined;
  /** Told of each ack or nack that did not count, mostly `lease_lost`: the message will come again. */
  onSettleFailure?: ((receipt: string, error: unknown) => void) | undefined;
}

/** A leased message that can say what became of it. */
export class Delivery<Payload = Json> implements LeasedMessage<Payload> {
  readonly messageId: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly headers: Record<string, string>;
  readonly payload: Payload;
  readonly publishedAt: string;
  readonly attempt: number;
  readonly receipt: string;
  readonly leaseExpiresAt: string;
  readonly #settler: Settler;

  constructor(message: LeasedMessage<Payload>, settler: Settler) {
    this.messageId = message.messageId;
    this.topic = message.topic;
    this.partition = message.partition;
    this.offset = message.offset;
    this.key = message.key;
    this.headers = message.headers;
    this.payload = message.payload;
    this.publishedAt = message.publishedAt;
    this.attempt = message.attempt;
    this.receipt = message.receipt;
    this.leaseExpiresAt = message.leaseExpiresAt;
    this.#settler = settler;
  }

  /** Done. Resolves when the server knows; need not be awaited. */
  ack(): Promise<void> {
    return this.#settler.ack(this.receipt);
  }

  /** Not done: deliver it again after `delayMs`, by default after the subscription's back-off. */
  nack(options: Omit<Nack, "receipt"> = {}): Promise<void> {
    return this.#settler.nack({ receipt: this.receipt, ...options });
  }

  /** Still at work: the lease runs for `seconds` from now. */
  extend(seconds: number): Promise<void> {
    return this.#settler.extend(this.receipt, seconds);
  }
}

interface Settler {
  ack(receipt: string): Promise<void>;
  nack(item: Nack): Promise<void>;
  extend(receipt: string, seconds: number): Promise<void>;
}

/** Above this, acks come faster than the server takes them, and the loop waits. */
const ackRequestsAtMost = 4;

export class Consumer<Payload = Json> implements AsyncIterableIterator<Delivery<Payload>>, AsyncDisposable {
  readonly #server: Leases;
  readonly #retry: RetryPolicy;
  readonly #topic: string;
  readonly #options: ConsumeOptions & { limit: number };
  readonly #acks: Settlement<string>;
  readonly #nacks: Settlement<Nack>;
  readonly #settler: Settler;
  readonly #closing = new AbortController();
  /** Receipts on lease and when they came; kept only where leases are kept alive. */
  readonly #leases = new Map<string, number>();
  #endKeeping: (() => void) | undefined;
  #page: LeasedMessage<Payload>[] = [];
  #position = 0;
  #coming: Promise<LeasedMessage<Payload>[]> | undefined;
  #closed: Promise<void> | undefined;

  constructor(server: Leases, retry: RetryPolicy, topic: string, options: ConsumeOptions) {
    this.#server = server;
    this.#retry = retry;
    this.#topic = topic;
    this.#options = { limit: 100, ...options };
    const gathering = {
      size: options.ackBatch ?? 500,
      lingerMs: options.ackLingerMs ?? 5,
      onFailure: options.onSettleFailure,
    };
    this.#acks = new Settlement((receipts) => server.ack(receipts), gathering);
    this.#nacks = new Settlement((items) => server.nack(items), gathering);
    this.#settler = {
      ack: (receipt) => this.#release(receipt, this.#acks.add(receipt, receipt)),
      nack: (item) => this.#release(item.receipt, this.#nacks.add(item, item.receipt)),
      extend: (receipt, seconds) => this.#extend([receipt], seconds),
    };
    const untilClosed = { signal: this.#closing.signal };
    options.signal?.addEventListener("abort", () => void this.close(), untilClosed);
    if (options.signal?.aborted) this.#closing.abort();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Delivery<Payload>, undefined>> {
    while (!this.#closing.signal.aborted) {
      if (this.#acks.underWay > ackRequestsAtMost) await this.#acks.relief();
      if (this.#options.prefetch && this.#page.length - this.#position <= this.#options.limit / 2)
        this.#ask();
      const message = this.#page[this.#position];
      if (message) {
        this.#page[this.#position++] = undefined!; // the page must not hold what the caller lets go
        return { done: false, value: new Delivery(message, this.#settler) };
      }
      try {
        this.#page = await this.#ask();
      } catch (error) {
        await this.close();
        throw error;
      }
      this.#position = 0;
      this.#coming = undefined;
    }
    return this.return();
  }

  async return(): Promise<IteratorResult<Delivery<Payload>, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  /** Resolves when the server knows of every ack and nack so far. */
  async flush(): Promise<void> {
    await Promise.all([this.#acks.flush(), this.#nacks.flush()]);
  }

  /** Ends the loop, hands back what was not looked at, and flushes. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    const coming = (await this.#coming?.catch(() => [])) ?? [];
    const unseen = this.#page.slice(this.#position).concat(coming);
    this.#page = [];
    for (const { receipt } of unseen) void this.#settler.nack({ receipt, release: true });
    await this.flush();
    this.#endKeeping?.();
  }

  /** The next page, asked for at most once at a time. */
  #ask(): Promise<LeasedMessage<Payload>[]> {
    if (!this.#coming) {
      this.#coming = this.#lease();
      this.#coming.catch(() => {}); // a prefetch's failure is thrown when its page is needed
    }
    return this.#coming;
  }

  /** One page with at least one message, however long that takes; empty only when closing. */
  async #lease(): Promise<LeasedMessage<Payload>[]> {
    const { subscription = "default", consumer, consumerPriority, limit, waitSeconds = 20 } = this.#options;
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted; ) {
      try {
        const page = await this.#server.pull<Payload>(this.#topic, {
          ...{ subscription, consumer, consumerPriority },
          ...{ limit, waitSeconds, signal },
        });
        failures = 0;
        if (page.length > 0) return this.#keep(page);
      } catch (error) {
        if (signal.aborted) break;
        if (!isTransient(error)) throw error;
        this.#options.onRetry?.(error, ++failures);
        await sleep(backoffMs(this.#retry, failures), signal).catch(() => {}); // closing
      }
    }
    return [];
  }

  #keep(page: LeasedMessage<Payload>[]): LeasedMessage<Payload>[] {
    const { keepLease } = this.#options;
    if (!keepLease) return page;
    const now = nowMs();
    for (const { receipt } of page) this.#leases.set(receipt, now);
    const extend = () => this.#extendLeases(keepLease.seconds, keepLease.capSeconds);
    // At once too: how long the first lease runs is the subscription's matter and may be short.
    extend();
    this.#endKeeping ??= every((keepLease.seconds * 1000) / 3, extend);
    return page;
  }

  #extendLeases(seconds: number, capSeconds: number): void {
    const oldest = nowMs() - capSeconds * 1000;
    for (const [receipt, since] of this.#leases) if (since < oldest) this.#leases.delete(receipt);
    if (this.#leases.size === 0) return;
    // What fails here shows when the message is acknowledged; the next turn tries again.
    void this.#extend([...this.#leases.keys()], seconds).catch(() => {});
  }

  async #extend(receipts: string[], seconds: number): Promise<void> {
    await this.#server.extend(receipts, seconds);
  }

  #release(receipt: string, settled: Promise<void>): Promise<void> {
    this.#leases.delete(receipt);
    return settled;
  }
}
