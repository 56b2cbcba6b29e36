/**
 * The one place where errors become HTTP: `application/problem+json` (RFC 9457) with the catalogue's code, a
 * pointer per invalid field and a link to the help. What is not a HotSwapError is a defect: the caller gets
 * `internal` with the request id, the log gets the cause.
 */
import type { CatalogueEntry, ErrorKind } from "../../core/catalogue.ts";
import { catalogue, type ErrorCode } from "../../core/catalogue.ts";
import { type FieldError, HotSwapError } from "../../core/errors.ts";

export const statusOfKind: Record<ErrorKind, number> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  timeout: 408,
  conflict: 409,
  gone: 410,
  precondition_failed: 412,
  too_large: 413,
  unsupported_media_type: 415,
  unprocessable: 422,
  upgrade_required: 426,
  precondition_required: 428,
  header_too_large: 431,
  limited: 429,
  internal: 500,
  unavailable: 503,
  insufficient_storage: 507,
  bad_gateway: 502,
  gateway_timeout: 504,
};

export interface Problem {
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  detail: string;
  help: string;
  requestId: string;
  errors?: FieldError[];
  retryAfterMs?: number;
  data?: Record<string, unknown>;
  /** On routes of another registry's surface (schemas/confluent): its own code and text. */
  error_code?: number;
  message?: string;
}

export const problemType = "application/problem+json";

/** Whatever was thrown, as an error of the catalogue; foreign errors become `internal` and keep their cause. */
export function asHotSwapError(error: unknown): HotSwapError {
  return error instanceof HotSwapError ? error : new HotSwapError("internal", undefined, { cause: error });
}

export function toProblem(error: HotSwapError, requestId: string): Problem {
  const entry: CatalogueEntry = catalogue[error.code];
  return {
    type: `/docs/errors#${error.code}`,
    title: entry.title,
    status: statusOfKind[entry.kind],
    code: error.code,
    detail: error.message,
    help: entry.help,
    requestId,
    ...(error.fields.length > 0 && { errors: error.fields }),
    ...(error.retryAfterMs !== undefined && { retryAfterMs: Math.ceil(error.retryAfterMs) }),
    ...(error.data && { data: error.data }),
  };
}

/** Header fields that belong to the problem itself. */
export function problemHeaders(problem: Problem): Record<string, string> {
  const headers: Record<string, string> = { "content-type": problemType };
  if (problem.retryAfterMs !== undefined) {
    headers["retry-after"] = String(Math.max(1, Math.ceil(problem.retryAfterMs / 1000)));
  }
  if (problem.status === 426) headers.upgrade = "websocket"; // RFC 9110 §15.5.22
  if (problem.status === 401) {
    const error = problem.code === "token_missing" ? "" : `, error="invalid_token"`;
    headers["www-authenticate"] = `Bearer realm="hotswap"${error}`;
  }
  return headers;
}
