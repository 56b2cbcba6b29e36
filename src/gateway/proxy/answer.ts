/**
 * Answers of the proxy itself: problem+json (RFC 9457) in the same form as everywhere in HotSwap, as one string that
 * goes out in one write.
 */
import { STATUS_CODES } from "node:http";
import { catalogue, type ErrorCode } from "../../core/catalogue.ts";

export interface Answer {
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail?: string;
  readonly retryAfterSeconds?: number;
  /** Further lines of the head, each with its CRLF. */
  readonly fields?: string;
}

export function answerBody(answer: Answer, requestId: string): string {
  const { title, help } = catalogue[answer.code];
  return JSON.stringify({
    type: `/docs/errors#${answer.code}`,
    title,
    status: answer.status,
    code: answer.code,
    detail: answer.detail ?? title,
    help,
    requestId,
  });
}

/** The whole answer. A HEAD request gets the same without its body. */
export function answerText(
  answer: Answer,
  how: {
    readonly requestId: string;
    readonly isHead: boolean;
    readonly closes: boolean;
    readonly fields: string;
  },
): string {
  const body = answerBody(answer, how.requestId);
  const retry = answer.retryAfterSeconds === undefined ? "" : `Retry-After: ${answer.retryAfterSeconds}\r\n`;
  return (
    `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? "Refused"}\r\n` +
    `Content-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
    `${retry}${how.fields}${answer.fields ?? ""}${how.closes ? "Connection: close\r\n" : ""}\r\n` +
    (how.isHead ? "" : Buffer.from(body).toString("latin1"))
  );
}
