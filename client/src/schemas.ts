/** The schema registry: versions of schemas, how they compare, their life, and who uses them. */
import type { Json } from "./message.ts";
import {
  type CallOptions,
  idempotencyKey,
  type Page,
  type PageOptions,
  path,
  type Transport,
} from "./transport.ts";

export type SchemaState = "draft" | "in_review" | "approved" | "deprecated" | "retired";

export type CompatibilityMode =
  | "none"
  | "backward"
  | "backward_transitive"
  | "forward"
  | "forward_transitive"
  | "full"
  | "full_transitive";

export interface SchemaComparison {
  /** `compatible` is proven; `unknown` is not, and counts as incompatible. */
  verdict: "compatible" | "incompatible" | "unknown";
  /** A document that is valid under one and not the other. */
  counterexample?: Json;
  /** Why it could not be proven. */
  reason?: string;
}

export interface SchemaCheck extends SchemaComparison {
  version: number;
  /** `backward`: the new schema reads what was written under the old. */
  direction: "backward" | "forward";
}

export interface SchemaVerdict {
  mode: CompatibilityMode;
  compatible: boolean;
  checks: SchemaCheck[];
}

export interface SchemaSummary {
  id: string;
  subject: string;
  version: number;
  /** What serializers put before a message. */
  number: number;
  state: SchemaState;
  draft: "2020-12" | "draft-07";
  /** SHA-256 of the canonical JSON. */
  hash: string;
  description: string;
  author: string;
  compatible: boolean;
  approvalId: string | null;
  createdAt: string;
  updatedAt: string;
}

export interface SchemaVersion extends SchemaSummary {
  schema: Json;
  compatibility: SchemaVerdict;
}

export interface NewSchema {
  subject: string;
  schema: Json;
  description?: string;
  /** Submits it for approval at once. */
  submit?: boolean;
}

export interface SchemaSubject {
  name: string;
  /** Null: as the default has it. */
  compatibility: CompatibilityMode | null;
  effective: CompatibilityMode;
  lastVersion: number;
  createdAt: string;
  updatedAt: string;
}

export interface SchemaUser {
  kind: "topic" | "subscription" | "consumer" | "config" | "schema";
  /** Of a schema that refers to it, `subject@version`. */
  name: string;
  /** The topic of a subscription; `topic/subscription` of a consumer. */
  of: string | null;
  /** As it is named there; null is the latest. */
  version: number | null;
}

export interface SchemaUsage {
  items: SchemaUser[];
  total: number;
  /** Names of nodes that did not say in time who consumes there. */
  missing: string[];
}

export interface SchemaChange {
  pointer: string;
  kind: "added" | "removed" | "changed";
  before?: Json;
  after?: Json;
  /** True where no document is any more or less valid by it. */
  annotation: boolean;
}

export interface SchemaDiff {
  from: number;
  to: number;
  changes: SchemaChange[];
  backward: SchemaComparison;
  forward: SchemaComparison;
}

export interface SchemaTrial {
  compatibility: SchemaVerdict;
  /** How the newest messages of a topic do under it. */
  replay: {
    topic: string;
    messages: number;
    failing: number;
    share: number;
    places: { pointer: string; message: string; count: number }[];
  } | null;
}

export interface SchemaFilter {
  subject?: string | undefined;
  state?: SchemaState | undefined;
}

/** The steps of a version's life that somebody takes. */
export type SchemaStep = "submit" | "approve" | "deprecate" | "retire";

export class Schemas {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Versions by subject. */
  list({ signal, timeoutMs, ...query }: SchemaFilter & PageOptions = {}): Promise<Page<SchemaSummary>> {
    return this.#transport.json({
      method: "GET",
      path: "/api/v1/schemas",
      query: { ...query },
      signal,
      timeoutMs,
    });
  }

  get(id: string, options: CallOptions = {}): Promise<SchemaVersion> {
    return this.#transport.json({ method: "GET", path: path`/api/v1/schemas/${id}`, ...options });
  }

  /** Registers the next version of a subject; the same schema again is the version that it is already. */
  register(schema: NewSchema, options: CallOptions = {}): Promise<SchemaVersion & { created: boolean }> {
    return this.#post("/api/v1/schemas", schema, options);
  }

  /** Compares a schema with its subject, and with real messages of a topic; nothing is kept. */
  check(
    trial: { subject: string; schema: Json; replay?: { topic: string; limit?: number } },
    options: CallOptions = {},
  ): Promise<SchemaTrial> {
    return this.#transport.json({
      method: "POST",
      path: "/api/v1/schemas/check",
      body: trial,
      idempotent: true,
      ...options,
    });
  }

  /** What changed since another version; by default the one before. */
  diff(id: string, from?: number, options: CallOptions = {}): Promise<SchemaDiff> {
    const query = { from };
    return this.#transport.json({ method: "GET", path: path`/api/v1/schemas/${id}/diff`, query, ...options });
  }

  /** What uses this version, on all nodes. */
  usage(id: string, options: CallOptions = {}): Promise<SchemaUsage> {
    return this.#transport.json({ method: "GET", path: path`/api/v1/schemas/${id}/usage`, ...options });
  }

  submit(id: string, options: CallOptions = {}): Promise<SchemaVersion> {
    return this.#post(path`/api/v1/schemas/${id}/submit`, undefined, options);
  }

  approve(id: string, reason?: string, options: CallOptions = {}): Promise<SchemaVersion> {
    return this.#post(path`/api/v1/schemas/${id}/approve`, { reason }, options);
  }

  /** Refused while something uses it, unless `force`. */
  deprecate(
    id: string,
    body: { reason?: string; force?: boolean } = {},
    options: CallOptions = {},
  ): Promise<SchemaVersion> {
    return this.#post(path`/api/v1/schemas/${id}/deprecate`, body, options);
  }

  retire(
    id: string,
    body: { reason?: string; force?: boolean } = {},
    options: CallOptions = {},
  ): Promise<SchemaVersion> {
    return this.#post(path`/api/v1/schemas/${id}/retire`, body, options);
  }

  subjects({ limit, cursor, ...options }: PageOptions = {}): Promise<Page<SchemaSubject>> {
    const query = { limit, cursor };
    return this.#transport.json({ method: "GET", path: "/api/v1/schema-subjects", query, ...options });
  }

  subject(name: string, options: CallOptions = {}): Promise<SchemaSubject> {
    return this.#transport.json({ method: "GET", path: path`/api/v1/schema-subjects/${name}`, ...options });
  }

  /** How compatible its versions must be; null takes the default. */
  configure(
    name: string,
    compatibility: CompatibilityMode | null,
    options: CallOptions = {},
  ): Promise<SchemaSubject> {
    return this.#transport.json({
      method: "PUT",
      path: path`/api/v1/schema-subjects/${name}`,
      body: { compatibility },
      ...options,
    });
  }

  #post<Answer>(target: string, body: unknown, options: CallOptions): Promise<Answer> {
    const keyed = { headers: idempotencyKey(), idempotent: true } as const;
    return this.#transport.json({ method: "POST", path: target, body, ...keyed, ...options });
  }
}
