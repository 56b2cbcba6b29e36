/** The audit: who changed what, in a chain that nobody can edit unseen. */
import type { Json } from "./message.ts";
import type { CallOptions, Page, PageOptions, Transport } from "./transport.ts";

export interface AuditEntry {
  tenant: string;
  /** Position in the tenant's chain, from 1, without gaps. */
  seq: number;
  at: string;
  /** Subject of the token, or `system:<part>`. */
  actor: string;
  action: string;
  resource: string;
  requestId: string;
  outcome: "success" | "denied" | "failure";
  /** What else is worth knowing; secrets are masked. */
  detail: Json;
  /** Digests of the resource before and after the change. */
  before: string | null;
  after: string | null;
  previous: string;
  hash: string;
}

export interface AuditFilter {
  actor?: string | undefined;
  action?: string | undefined;
  resource?: string | undefined;
  /** RFC 3339, inclusive. */
  from?: string | undefined;
  /** RFC 3339, exclusive. */
  to?: string | undefined;
}

export class Audit {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Newest first. */
  list({ signal, timeoutMs, ...query }: AuditFilter & PageOptions = {}): Promise<Page<AuditEntry>> {
    return this.#transport.json({
      method: "GET",
      path: "/api/v1/audit",
      query: { ...query },
      signal,
      timeoutMs,
    });
  }

  /** Every entry that fits, newest first, page after page. */
  all(filter: AuditFilter & CallOptions = {}): AsyncGenerator<AuditEntry> {
    return this.#transport.items((cursor) => this.list({ ...filter, cursor }));
  }

  /** The whole chain with checkpoints and keys as NDJSON text, for `hotswap audit verify`. */
  async *export(options: CallOptions = {}): AsyncGenerator<string> {
    const headers = { accept: "application/x-ndjson" };
    const response = await this.#transport.open({
      method: "GET",
      path: "/api/v1/audit/export",
      headers,
      ...options,
    });
    yield* response.chunks();
  }
}
