/** Subscriptions: each is a position in a topic with the state of every message that is not yet done. */
import {
  type CallOptions,
  idempotencyKey,
  type Page,
  type PageOptions,
  path,
  type Transport,
} from "./transport.ts";

/** The delay after each failed attempt, of which the last repeats; or a base that doubles up to a maximum. */
export type Backoff = { delaysMs: number[] } | { baseMs: number; maxMs: number };

type Scalar = string | number | boolean | null;

/** A condition on a header, or on the values that a JSONPath selects in the payload. */
export type FilterCondition = ({ header: string } | { payload: string }) & {
  equals?: Scalar;
  in?: Scalar[];
  prefix?: string;
  exists?: boolean;
  gt?: number;
  gte?: number;
  lt?: number;
  lte?: number;
};
export type Filter = FilterCondition | { all: Filter[] } | { any: Filter[] } | { not: Filter };

export interface SubscriptionSettings {
  /** 1..43,200, default 30: after this a message that was not acknowledged counts as failed. */
  ackDeadlineSeconds: number;
  /** Default at-least-once. At most once: settled before it is handed out. */
  ackMode: "at-least-once" | "at-most-once";
  /** Deliveries after which a failed message becomes a dead letter; default 6, 0 sets no limit. */
  maxAttempts: number;
  /** Default 2, 4, 8, 16, 32 seconds. */
  backoff: Backoff;
  /** Whether messages behind a dead letter of their key wait until it was replayed or discarded. */
  blockKeyOnDeadLetter: boolean;
  /** Whether what expires becomes a dead letter, instead of being passed over. */
  deadLetterExpired: boolean;
  /** The version of the topic's schema that its consumers read by; null, the default: as the topic has it. */
  schemaVersion: number | null;
  /** Which messages it wants; all without one. Null takes it away. */
  filter?: Filter | null;
}

export interface Subscription extends SubscriptionSettings {
  id: string;
  name: string;
  topic: string;
  version: number;
  createdAt: string;
  updatedAt: string;
}

export interface NewSubscription extends Partial<SubscriptionSettings> {
  name: string;
  topic: string;
  /** Where it begins. Default latest: only what is published from now on. */
  from?: "earliest" | "latest";
}

/** A time is RFC 3339 and means the first message of then or later; an offset moves one partition only. */
export type SeekTarget =
  | { to: "earliest" | "latest" }
  | { time: string }
  | { partition: number; offset: number };

export interface SeekResult {
  id: string;
  name: string;
  topic: string;
  /** Where it goes on. */
  partitions: { partition: number; offset: number }[];
}

export interface SubscriptionExplanation {
  subscription: string;
  topic: string;
  depth: number;
  inFlight: number;
  delayed: number;
  /** What keeps messages back, and how many. */
  reasons: { code: string; messages: number; detail: string }[];
  consumers: {
    name: string;
    via: "pull" | "stream" | "events" | "push";
    state: "active" | "standby" | "stalled" | "gone";
    priority: number;
    inFlight: number;
    waiting: number;
    delivered: number;
    acked: number;
    lastSeen: string;
  }[];
  /** Of its webhook, when its status last changed; null without one. */
  push: { status: string; reason: string | null } | null;
}

/** Where a message stands for a subscription, and why. */
export interface MessageExplanation {
  messageId: string;
  topic: string;
  subscription: string;
  state: string;
  detail: string;
  attempts: number;
  consumer?: string;
  until?: string;
  blockedBy?: { messageId: string; state: string };
  mismatch?: { pointer: string; condition: string };
  lastReason?: string;
  deadLetterId?: string;
  deadLetter?: string;
}

export class Subscriptions {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  create(subscription: NewSubscription, options: CallOptions = {}): Promise<Subscription> {
    return this.#transport.json({
      method: "POST",
      path: "/api/v1/subscriptions",
      body: subscription,
      headers: idempotencyKey(),
      idempotent: true,
      ...options,
    });
  }

  list({
    topic,
    limit,
    cursor,
    ...options
  }: PageOptions & { topic?: string } = {}): Promise<Page<Subscription>> {
    const query = { topic, limit, cursor };
    return this.#transport.json({ method: "GET", path: "/api/v1/subscriptions", query, ...options });
  }

  /** Every subscription, or every one of a topic. */
  all({ topic, ...options }: CallOptions & { topic?: string } = {}): AsyncGenerator<Subscription> {
    return this.#transport.items((cursor) =>
      this.list({ ...(topic !== undefined && { topic }), cursor, ...options }),
    );
  }

  get(id: string, options: CallOptions = {}): Promise<Subscription> {
    return this.#transport.json({ method: "GET", path: path`/api/v1/subscriptions/${id}`, ...options });
  }

  /** Why its messages are not with consumers, and who its consumers are. */
  explain(id: string, options: CallOptions = {}): Promise<SubscriptionExplanation> {
    return this.#transport.json({
      method: "GET",
      path: path`/api/v1/subscriptions/${id}/explain`,
      ...options,
    });
  }

  explainMessage(
    messageId: string,
    { subscription, ...options }: CallOptions & { subscription?: string } = {},
  ): Promise<MessageExplanation> {
    return this.#transport.json({
      method: "GET",
      path: path`/api/v1/messages/${messageId}/explain`,
      query: { subscription },
      ...options,
    });
  }

  /** What is not named stays. Fails with `etag_mismatch` when somebody else has changed it since `version`. */
  update(
    id: string,
    version: number,
    change: Partial<SubscriptionSettings>,
    options: CallOptions = {},
  ): Promise<Subscription> {
    return this.#transport.json({
      method: "PUT",
      path: path`/api/v1/subscriptions/${id}`,
      body: change,
      headers: { "if-match": `"${version}"` },
      ...options,
    });
  }

  /**
   * Makes the subscription go on from another place. What is out on lease is taken back; its receipts settle nothing.
   */
  seek(id: string, target: SeekTarget, options: CallOptions = {}): Promise<SeekResult> {
    return this.#transport.json({
      method: "POST",
      path: path`/api/v1/subscriptions/${id}/seek`,
      body: target,
      ...options,
    });
  }

  delete(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.json({ method: "DELETE", path: path`/api/v1/subscriptions/${id}`, ...options });
  }
}
