/** Webhooks: a subscription may have one, to which its messages are posted instead of waiting for consumers. */
import { type CallOptions, path, type Transport } from "./transport.ts";

export type PushFormat = "json" | "cloudevents" | "cloudevents-binary";

export interface PushTarget {
  /** https, and not into a private network unless the server allows that. */
  url: string;
  /** Default json. */
  format: PushFormat;
  /** Messages of one request; default 1. */
  batch: number;
  /** Requests at once; default 4. */
  concurrency: number;
  /** Default 15. */
  timeoutSeconds: number;
}

export interface NewPush extends Partial<PushTarget> {
  url: string;
  /** The current one first. Without them one is made, or those that there are stay. */
  secrets?: string[];
}

export interface Push extends PushTarget {
  subscriptionId: string;
  status: "active" | "paused" | "probing" | "disabled";
  /** Failed requests in a row. */
  failures: number;
  /** Of the last failure, or who paused it. */
  reason: string | null;
  /** When a pause ends by itself; null of one that a person made. */
  resumesAt: string | null;
  /** Only from the request that made it. */
  secret?: string;
  createdAt: string;
  updatedAt: string;
}

export class Pushes {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** What is not given takes its default. One that was paused begins anew. */
  set(subscriptionId: string, push: NewPush, options: CallOptions = {}): Promise<Push> {
    return this.#call("PUT", subscriptionId, "", { body: push, ...options });
  }

  /** Rejects with `push_not_found` when it has none. */
  get(subscriptionId: string, options: CallOptions = {}): Promise<Push> {
    return this.#call("GET", subscriptionId, "", options);
  }

  pause(subscriptionId: string, options: CallOptions = {}): Promise<Push> {
    return this.#call("POST", subscriptionId, "/pause", options);
  }

  resume(subscriptionId: string, options: CallOptions = {}): Promise<Push> {
    return this.#call("POST", subscriptionId, "/resume", options);
  }

  /** A new secret, shown this once; the former ones sign beside it. */
  rotate(subscriptionId: string, options: CallOptions = {}): Promise<{ secret: string }> {
    return this.#call("POST", subscriptionId, "/rotate", options);
  }

  /** The messages stay for other consumers. */
  delete(subscriptionId: string, options: CallOptions = {}): Promise<void> {
    return this.#call("DELETE", subscriptionId, "", options);
  }

  #call<Result>(
    method: "GET" | "PUT" | "POST" | "DELETE",
    id: string,
    verb: string,
    options: CallOptions & { body?: unknown },
  ): Promise<Result> {
    return this.#transport.json({
      method,
      path: `${path`/api/v1/subscriptions/${id}/push`}${verb}`,
      ...options,
    });
  }
}
