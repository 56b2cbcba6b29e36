/** What is told of one request: for `explain`, for spans and for the access log. */
import type { ErrorCode } from "../../core/catalogue.ts";

/** Why an exchange ended other than well; the letters of Envoy's access log where it has the same. */
export type ResponseFlag =
  | "NR" // no route
  | "UH" // no usable backend
  | "UF" // connection to the backend failed
  | "UC" // backend closed early
  | "UT" // backend too slow
  | "UP" // backend broke the protocol
  | "UO" // breaker open, or too many connections
  | "URX" // retries or their budget spent
  | "RL" // rate-limited
  | "DC" // client gone
  | "DT" // client too slow
  | "DP" // client broke the protocol
  | "UA" // refused by a policy
  | "LR"; // answered here: redirect, preflight

export interface AttemptRecord {
  readonly backend: string;
  readonly address: string;
  /** Milliseconds after the request began. */
  readonly startMs: number;
  /** Undefined when the connection was there already. */
  readonly connectMs?: number;
  readonly firstByteMs?: number;
  readonly endMs: number;
  readonly status?: number;
  readonly flag?: ResponseFlag;
  /** What went wrong, in words: of a connection, or which rule of HTTP the backend broke. */
  readonly problem?: string;
}

/** One exchange, for `explain`, for spans and for the access log. */
export interface RequestRecord {
  /** X-Request-Id. */
  readonly id: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  /** Wall time of the request's first byte. */
  readonly at: number;
  readonly worker: number;
  readonly revision: number;
  readonly method: string;
  readonly host: string;
  /** Without the query. */
  readonly path: string;
  readonly protocol: "1.0" | "1.1" | "2";
  readonly client: string;
  readonly subject?: string;
  readonly route?: string;
  readonly tenant?: string;
  readonly variant?: string;
  readonly status: number;
  /** Of an answer of our own that says what is wrong. */
  readonly code?: ErrorCode;
  readonly flags: readonly ResponseFlag[];
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly totalMs: number;
  /** Until the route and its policies had spoken. */
  readonly decidedMs: number;
  /** What the balancer chose from, as it saw it. Kept for what `explain` asks for. */
  readonly candidates?: readonly Candidate[];
  readonly attempts: readonly AttemptRecord[];
}

export interface Candidate {
  readonly backend: string;
  readonly weight: number;
  readonly inFlight: number;
  readonly usable: boolean;
  /** Why not: "unhealthy", "ejected", "open", "draining", "weight 0". */
  readonly reason?: string;
}
