/** Subscriptions: each is a position in a topic with the state of every message that is not yet done. */
import {
  type CallOptions,
  idempotencyKey,
  type Page,
  type PageOptions,
  path,
  type Transport,
} from "./transport.ts";

export interface Subscription {
  id: string;
  name: string;
  topic: string;
  ackDeadlineSeconds: number;
  createdAt: string;
}

export interface NewSubscription {
  name: string;
  topic: string;
  /** 1..43,200, default 30: after this a message that was not acknowledged is delivered again. */
  ackDeadlineSeconds?: number;
  /** Where it begins. Default latest: only what is published from now on. */
  from?: "earliest" | "latest";
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

  delete(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.json({ method: "DELETE", path: path`/api/v1/subscriptions/${id}`, ...options });
  }
}
