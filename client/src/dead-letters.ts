/** Dead letters: what the subscriptions of a topic have given up, and what becomes of it. */
import type { Json, Message, Origin } from "./message.ts";
import {
  type CallOptions,
  idempotencyKey,
  type Page,
  type PageOptions,
  path,
  type Transport,
} from "./transport.ts";

export interface DeadLetterFilter {
  reason?: string;
  cause?: Origin["cause"];
  subscription?: string;
  /** ISO 8601, of the time at which it was given up: from, and before. */
  from?: string;
  to?: string;
}

export interface DeadLetterList<Payload = Json> {
  total: number;
  complete: boolean;
  groups: {
    subscription: string;
    cause: Origin["cause"];
    reason: string;
    count: number;
    firstAt: string;
    lastAt: string;
  }[];
  messages: (Message<Payload> & { origin: Origin })[];
  next: string | null;
}

export interface NewReplay extends DeadLetterFilter {
  /** Default replay: delivered again to the subscription that failed. */
  action?: "replay" | "discard";
  /** Of the dead letters, or of the messages that they were. */
  messageIds?: string[];
  headers?: Record<string, string>;
  ratePerSecond?: number;
}

export interface Replay {
  id: string;
  topic: string;
  action: "replay" | "discard";
  status: "running" | "done" | "cancelled" | "failed";
  selection: unknown;
  ratePerSecond: number | null;
  matched: number;
  processed: number;
  failed: number;
  error: string | null;
  /** The first that fit, when it is created. */
  sample?: string[];
  createdBy: string;
  createdAt: string;
  updatedAt: string;
}

export class DeadLetters {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  list<Payload = Json>(
    topic: string,
    { limit, cursor, reason, cause, subscription, from, to, ...options }: PageOptions & DeadLetterFilter = {},
  ): Promise<DeadLetterList<Payload>> {
    const query = { limit, cursor, reason, cause, subscription, from, to };
    return this.#transport.json({
      method: "GET",
      path: path`/api/v1/topics/${topic}/dlq`,
      query,
      ...options,
    });
  }

  /** Begins a replay; with `dryRun` it only says what would go. */
  replay(
    topic: string,
    selection: NewReplay,
    { dryRun, ...options }: CallOptions & { dryRun?: boolean } = {},
  ): Promise<Replay> {
    return this.#transport.json({
      method: "POST",
      path: path`/api/v1/topics/${topic}/dlq/replay`,
      query: { dryRun },
      body: selection,
      headers: idempotencyKey(),
      idempotent: true,
      ...options,
    });
  }

  replays(topic: string, { limit, cursor, ...options }: PageOptions = {}): Promise<Page<Replay>> {
    const query = { limit, cursor };
    return this.#transport.json({
      method: "GET",
      path: path`/api/v1/topics/${topic}/dlq/replays`,
      query,
      ...options,
    });
  }

  get(topic: string, id: string, options: CallOptions = {}): Promise<Replay> {
    return this.#transport.json({
      method: "GET",
      path: path`/api/v1/topics/${topic}/dlq/replays/${id}`,
      ...options,
    });
  }

  /** What it has done stays done. */
  cancel(topic: string, id: string, options: CallOptions = {}): Promise<Replay> {
    return this.#transport.json({
      method: "POST",
      path: path`/api/v1/topics/${topic}/dlq/replays/${id}/cancel`,
      ...options,
    });
  }

  /** Replays one, by its own id or by that of the message that it was. */
  replayMessage(id: string, options: CallOptions = {}): Promise<{ messageId: string; subscription: string }> {
    return this.#transport.json({ method: "POST", path: path`/api/v1/messages/${id}/replay`, ...options });
  }
}
