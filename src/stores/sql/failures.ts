/**
 * Tells the errors of PostgreSQL apart: what means "the server is not there just now", what is worth another try,
 * and what is the caller's own (a constraint, a mistake in the SQL), which passes through untouched.
 * Class numbers are those of PostgreSQL's appendix A.
 */
import { HotSwapError } from "../../core/errors.ts";

const unavailable = [
  /^08/, // connection exceptions
  /^28/, // the role is refused
  /^3D000$/, // the database does not exist
  /^40(001|P01)$/, // still in conflict after the last try
  /^53/, // out of memory, disk or connections
  /^57(P..|014)$/, // shut down, crashed, or over the statement timeout
  /^58/, // I/O error of the server
  /^25(006|P03)$/, // a standby, or idle in the transaction for too long
  /^55P03$/, // a lock was not had in time
];

/** pg reports the end of a connection without a code. */
const lostConnection =
  /^(Connection terminated|Connection ended|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Client was closed|The server does not support SSL)/;

const socketCalls = new Set<unknown>(["connect", "read", "write", "getaddrinfo"]);

/** The SQLSTATE, the code of the socket or TLS error, or undefined. */
export function failureCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}

function isFromServer(error: unknown): boolean {
  return error instanceof Error && "severity" in error && /^[0-9A-Z]{5}$/.test(failureCode(error) ?? "");
}

/** A deadlock or a serialization failure: the same work may succeed when it is run again. */
export function isConflict(error: unknown): boolean {
  return isFromServer(error) && /^40(001|P01)$/.test(failureCode(error) ?? "");
}

/** The connection ended under the transaction, as when it waited for too long: whatever it did is undone. */
export function isCutOff(error: unknown): boolean {
  if (isFromServer(error)) return failureCode(error) === "25P03";
  const ended = /^(Connection terminated unexpectedly|Client has encountered a connection error)/;
  return error instanceof Error && ended.test(error.message);
}

/** True when a row of this key exists already; with `constraint`, only for that unique constraint or index. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  if (!isFromServer(error) || failureCode(error) !== "23505") return false;
  return constraint === undefined || (error as { constraint?: string }).constraint === constraint;
}

function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = failureCode(error) ?? "";
  if (isFromServer(error)) return unavailable.some((pattern) => pattern.test(code));
  const syscall = (error as { syscall?: unknown }).syscall;
  // Trying several addresses of one name fails with an AggregateError, which has no syscall.
  const fromSocket = socketCalls.has(syscall) || (error instanceof AggregateError && /^E[A-Z]+$/.test(code));
  const fromTls = /CERT|^ERR_(TLS|SSL)/.test(code);
  return fromSocket || fromTls || lostConnection.test(error.message);
}

/** What to throw for an error out of a transaction: `store_unavailable` when the server is not there, else itself. */
export function storeFailure(error: unknown): unknown {
  if (!isUnavailable(error)) return error;
  const code = failureCode(error);
  const detail = `PostgreSQL did not answer${code ? ` (${code})` : ""}.`;
  return new HotSwapError("store_unavailable", detail, { retryAfterMs: 1000, cause: error });
}
