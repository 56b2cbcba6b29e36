/**
 * The two ways in which a request fails. The server refused it: `HotSwapProblem`, with the code of its error
 * catalogue. Or no answer came: `HotSwapConnectionError`. An abort is neither; the signal's reason is thrown.
 */

/** One invalid place of the request, by JSON Pointer. */
export interface FieldError {
  pointer: string;
  message: string;
}

export class HotSwapProblem extends Error {
  /** Stable; see the reference of errors. `http_<status>` when something else than HotSwap answered. */
  readonly code: string;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  /** What to do about it. */
  readonly help: string;
  readonly errors: readonly FieldError[];
  /** The server's log holds the cause under this id. */
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;
  /** What some codes add, such as the id of the approval that is waited for. */
  readonly data: Readonly<Record<string, unknown>>;

  constructor(status: number, body: ProblemBody, retryAfterMs?: number) {
    const code = body.code ?? `http_${status}`;
    const title = body.title ?? `The server answered with status ${status}`;
    super(`${code}: ${body.detail ?? title}`);
    this.name = "HotSwapProblem";
    this.code = code;
    this.status = status;
    this.title = title;
    this.detail = body.detail ?? title;
    this.help = body.help ?? "";
    this.errors = body.errors ?? [];
    this.requestId = body.requestId;
    this.retryAfterMs = body.retryAfterMs ?? retryAfterMs;
    this.data = body.data ?? {};
  }
}

/** What `application/problem+json` carries (RFC 9457); nothing is taken for granted. */
export interface ProblemBody {
  title?: string;
  status?: number;
  code?: string;
  detail?: string;
  help?: string;
  errors?: FieldError[];
  requestId?: string;
  retryAfterMs?: number;
  data?: Record<string, unknown>;
}

/**
 * - `refused`: no connection was made, so nothing was sent and any request may be repeated;
 * - `lost`: the connection ended before the answer; the server may or may not have acted;
 * - `timeout`: no answer in time; the same doubt as `lost`.
 */
export type ConnectionFailure = "refused" | "lost" | "timeout";

export class HotSwapConnectionError extends Error {
  readonly failure: ConnectionFailure;

  constructor(failure: ConnectionFailure, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "HotSwapConnectionError";
    this.failure = failure;
  }
}

/** With these codes the server says that nothing of the request was accepted. */
const nothingAccepted = new Set([
  "overloaded",
  "rate_limited",
  "shutting_down",
  "topic_moved",
  "lock_not_acquired",
  "idempotency_in_progress",
]);

/** True when repeating the request cannot do anything twice. */
export function isSafeToRepeat(error: unknown): boolean {
  if (error instanceof HotSwapProblem) return nothingAccepted.has(error.code);
  return error instanceof HotSwapConnectionError && error.failure === "refused";
}

/** True when the failure may pass by itself; whether repeating is safe is the request's matter. */
export function isTransient(error: unknown): boolean {
  if (error instanceof HotSwapConnectionError) return true;
  return isSafeToRepeat(error) || (error instanceof HotSwapProblem && [502, 503, 504].includes(error.status));
}

/** Reads an answer that is not a success. */
export function problemOf(status: number, text: string, retryAfter: string | undefined): HotSwapProblem {
  const seconds = Number(retryAfter);
  const retryAfterMs = retryAfter !== undefined && Number.isFinite(seconds) ? seconds * 1000 : undefined;
  let body: ProblemBody = {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null) body = parsed;
  } catch {
    // Not HotSwap but something between: the status is all there is to say.
  }
  return new HotSwapProblem(status, body, retryAfterMs);
}
