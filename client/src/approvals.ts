/** Approvals: somebody else agrees to exactly one content before it takes effect. */
import type { Json } from "./message.ts";
import {
  type CallOptions,
  idempotencyKey,
  type Page,
  type PageOptions,
  path,
  type Transport,
} from "./transport.ts";

export type ApprovalState = "pending" | "approved" | "rejected" | "void" | "expired" | "used";

export interface ApprovalSummary {
  id: string;
  /** What is to be done, such as `config.deploy`. */
  kind: string;
  /** To what, such as `configs/shop/7`. */
  resource: string;
  environment: string | null;
  summary: string | null;
  /** SHA-256 over the canonical JSON (RFC 8785) of the content. */
  contentHash: string;
  state: ApprovalState;
  author: string;
  requestedAt: string;
  expiresAt: string;
  decidedBy: string | null;
  decidedAt: string | null;
  reason: string | null;
}

export interface Approval extends ApprovalSummary {
  content: Json;
}

export interface NewApproval {
  kind: string;
  resource: string;
  content: Json;
  environment?: string;
  summary?: string;
  /** Default one day. */
  expiresInSeconds?: number;
}

export interface ApprovalFilter {
  state?: ApprovalState | undefined;
  kind?: string | undefined;
  resource?: string | undefined;
}

export class Approvals {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  request(approval: NewApproval, options: CallOptions = {}): Promise<Approval> {
    return this.#post("/api/v1/approvals", approval, options);
  }

  /** Newest first, without their contents. */
  list({ signal, timeoutMs, ...query }: ApprovalFilter & PageOptions = {}): Promise<Page<ApprovalSummary>> {
    return this.#transport.json({
      method: "GET",
      path: "/api/v1/approvals",
      query: { ...query },
      signal,
      timeoutMs,
    });
  }

  get(id: string, options: CallOptions = {}): Promise<Approval> {
    return this.#transport.json({ method: "GET", path: path`/api/v1/approvals/${id}`, ...options });
  }

  approve(id: string, reason?: string, options: CallOptions = {}): Promise<Approval> {
    return this.#post(path`/api/v1/approvals/${id}/approve`, { reason }, options);
  }

  reject(id: string, reason: string, options: CallOptions = {}): Promise<Approval> {
    return this.#post(path`/api/v1/approvals/${id}/reject`, { reason }, options);
  }

  #post(target: string, body: unknown, options: CallOptions): Promise<Approval> {
    const keyed = { headers: idempotencyKey(), idempotent: true } as const;
    return this.#transport.json({ method: "POST", path: target, body, ...keyed, ...options });
  }
}
