/** Topics: named sets of partitions that messages are published to. */
import type { Durability, Json, Message } from "./message.ts";
import {
  type CallOptions,
  idempotencyKey,
  type Page,
  type PageOptions,
  path,
  type Transport,
} from "./transport.ts";

/** queue: each message goes to one consumer. pubsub: each subscription gets every message. */
export type TopicType = "queue" | "pubsub";

export interface Topic {
  name: string;
  type: TopicType;
  partitions: number;
  durability: Durability;
  /** How long an idempotency key is remembered; 0: not at all. */
  dedupWindowSeconds: number;
  /** After this time a message is not delivered any more, unless it says its own; null: never. */
  messageTtlSeconds: number | null;
  /** How long messages are kept; 0: until they are done, null: while there is room. */
  retentionSeconds: number | null;
  /** Of all partitions together; null: no limit. */
  retentionBytes: number | null;
  /** Whether the limits spare what a subscription has not finished. */
  retain: Retain;
  /** What every message must fit. */
  schema: Required<SchemaBinding> | null;
  strategy: Strategy;
  /** Of a load-balanced queue. */
  balancing: Balancing;
  description: string;
  /** The topic whose dead letters it holds; such queues make themselves. */
  deadLettersOf?: string;
  createdAt: string;
  updatedAt: string;
  /** Grows with each change; `update` takes it to notice changes by others. */
  version: number;
}

export interface NewTopic {
  name: string;
  /** Default queue. */
  type?: TopicType;
  /** 1..256, default 1. May grow later, never shrink. */
  partitions?: number;
  /** Default fsync. */
  durability?: Durability;
  /** Default 300. */
  dedupWindowSeconds?: number;
  /** Default null. */
  messageTtlSeconds?: number | null;
  /** Default 0 for a queue, null for pubsub. */
  retentionSeconds?: number | null;
  /** Default null. */
  retentionBytes?: number | null;
  /** Default unacknowledged. */
  retain?: Retain;
  /** Default null. */
  schema?: SchemaBinding | null;
  /** How messages find consumers. Default load-balanced for a queue, fan-out for pubsub. */
  strategy?: Strategy;
  /** Of a load-balanced queue: consumers take turns (default), or who holds least is served first. */
  balancing?: Balancing;
  description?: string;
}

export type Strategy = "direct" | "fan-out" | "load-balanced" | "priority" | "content-based";
export type Balancing = "round-robin" | "least-loaded";
export type Retain = "unacknowledged" | "limits";

export interface SchemaBinding {
  subject: string;
  /** Null, the default: the latest in force. */
  version?: number | null;
  /** strict (default) refuses what does not fit; warn only counts it. */
  enforcement?: "strict" | "warn";
}

/** Of `strategy` not to or from priority, which is fixed at creation. */
export type TopicChange = Partial<Omit<NewTopic, "name" | "type">>;

export interface TopicStats {
  name: string;
  messages: number;
  bytes: number;
  publishedTotal: number;
  partitions: PartitionStats[];
  subscriptions: SubscriptionStats[];
}

export interface PartitionStats {
  partition: number;
  /** Offset of the oldest message stored. */
  start: number;
  /** Offset that the next message gets. */
  end: number;
  bytes: number;
}

export interface SubscriptionStats {
  id: string;
  name: string;
  /** Messages that are not acknowledged yet, whether waiting, delayed or in flight. */
  depth: number;
  inFlight: number;
  /** Not delivered yet. */
  lag: number;
  delayed: number;
  /** Null when nothing is left to acknowledge. */
  oldestUnackedAgeMs: number | null;
  deliveredTotal: number;
  ackedTotal: number;
  redeliveredTotal: number;
}

export interface PeekOptions extends CallOptions {
  /** Default 0. */
  partition?: number;
  /** An offset, or a time: the first message of then or later. "latest" (the default) is the newest page. */
  from?: number | Date | "earliest" | "latest";
  /** Default 50. */
  limit?: number;
}

export class Topics {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  create(topic: NewTopic, options: CallOptions = {}): Promise<Topic> {
    return this.#transport.json({
      method: "POST",
      path: "/api/v1/topics",
      body: topic,
      headers: idempotencyKey(),
      idempotent: true,
      ...options,
    });
  }

  list({ limit, cursor, ...options }: PageOptions = {}): Promise<Page<Topic>> {
    return this.#transport.json({
      method: "GET",
      path: "/api/v1/topics",
      query: { limit, cursor },
      ...options,
    });
  }

  /** Every topic, page after page. */
  all(options: CallOptions = {}): AsyncGenerator<Topic> {
    return this.#transport.items((cursor) => this.list({ cursor, ...options }));
  }

  get(name: string, options: CallOptions = {}): Promise<Topic> {
    return this.#transport.json({ method: "GET", path: path`/api/v1/topics/${name}`, ...options });
  }

  /** Fails with `etag_mismatch` when the topic is no longer at `version`. */
  update(name: string, version: number, change: TopicChange, options: CallOptions = {}): Promise<Topic> {
    return this.#transport.json({
      method: "PUT",
      path: path`/api/v1/topics/${name}`,
      body: change,
      headers: { "if-match": `"${version}"` },
      ...options,
    });
  }

  /** Deletes the topic with all its messages and subscriptions. */
  delete(name: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.json({ method: "DELETE", path: path`/api/v1/topics/${name}`, ...options });
  }

  stats(name: string, options: CallOptions = {}): Promise<TopicStats> {
    return this.#transport.json({ method: "GET", path: path`/api/v1/topics/${name}/stats`, ...options });
  }

  /** Reads messages where they lie: nothing is leased, counted or consumed. */
  async peek<Payload = Json>(name: string, options: PeekOptions = {}): Promise<Message<Payload>[]> {
    const { partition, from = "latest", limit, ...call } = options;
    const answer = await this.#transport.json<{ messages: Message<Payload>[] }>({
      method: "GET",
      path: path`/api/v1/topics/${name}/messages`,
      query: { partition, from: from instanceof Date ? from.toISOString() : from, limit },
      ...call,
    });
    return answer.messages;
  }
}
