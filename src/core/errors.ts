/**
 * The one error type of HotSwap. Domain code throws it with a code of the catalogue and knows nothing of
 * HTTP; the edge (platform/http/problem.ts) maps the code's kind to a status once.
 *
 * `detail` and `fields` are shown to the caller; `cause` is for the log only and never leaves the process.
 */
import { type CatalogueEntry, catalogue, type ErrorCode } from "./catalogue.ts";

/** One invalid place in the caller's input: an RFC 6901 pointer into the body, or `query/name`, `path/name`. */
export interface FieldError {
  pointer: string;
  message: string;
}

export interface ErrorOptions {
  fields?: FieldError[];
  /** Milliseconds after which a retry may succeed; becomes Retry-After. */
  retryAfterMs?: number;
  /** Machine-readable facts that belong in the answer (never secrets, never internals). */
  data?: Record<string, unknown>;
  cause?: unknown;
}

export class HotSwapError extends Error {
  readonly code: ErrorCode;
  readonly fields: FieldError[];
  readonly retryAfterMs: number | undefined;
  readonly data: Record<string, unknown> | undefined;

  constructor(code: ErrorCode, detail?: string, options: ErrorOptions = {}) {
    super(detail ?? catalogue[code].title, { cause: options.cause });
    this.name = "HotSwapError";
    this.code = code;
    this.fields = options.fields ?? [];
    this.retryAfterMs = options.retryAfterMs;
    this.data = options.data;
  }

  get entry(): CatalogueEntry {
    return catalogue[this.code];
  }
}

/** True for an error that carries this code, so that callers can react to one case and let others pass. */
export function hasCode(error: unknown, code: ErrorCode): error is HotSwapError {
  return error instanceof HotSwapError && error.code === code;
}
