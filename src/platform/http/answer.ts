/**
 * Writes answers: head and body in one go, with a known length. The framework finds the route and answers nothing
 * itself, so that every answer has one form and the way of a message passes through as little as possible.
 *
 * A handler that has begun an answer and fails cannot be followed by a problem: then the connection ends.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { HotSwapError } from "../../core/errors.ts";
import { hasBody } from "./body.ts";
import { asHotSwapError, problemHeaders, problemType, toProblem } from "./problem.ts";
import { Reply, type Route } from "./route.ts";
import { securityHeaders } from "./static.ts";

const jsonType = "application/json; charset=utf-8";

/** What a handler has returned: a Reply, or anything that becomes JSON. */
export function answer(response: ServerResponse, result: unknown, successStatus: number): void {
  const { body, status = successStatus, headers } = result instanceof Reply ? result : new Reply(result);
  const fields: OutgoingHttpHeaders = { ...securityHeaders, ...headers };
  if (body === undefined || body === null) {
    write(response, status, fields, undefined);
    return;
  }
  const isText = fields["content-type"] !== undefined && (typeof body === "string" || Buffer.isBuffer(body));
  fields["content-type"] ??= jsonType;
  write(response, status, fields, isText ? body : JSON.stringify(body));
}

/** The error as a problem; `extend` adds members for clients that know errors of another form. */
export function answerProblem(
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
  requestId: string,
  extend?: Route["problem"],
): void {
  const plain = toProblem(asHotSwapError(error), requestId);
  const problem = extend ? { ...plain, ...extend(plain) } : plain;
  const fields: OutgoingHttpHeaders = { "x-request-id": requestId, ...problemHeaders(problem) };
  // What has not been read of the body would be taken for the next request; end the connection instead.
  if (!request.complete && hasBody(request)) fields.connection = "close";
  write(response, problem.status, fields, JSON.stringify(problem));
}

/** Status, fields and bytes as they are. */
export function write(
  response: ServerResponse,
  status: number,
  fields: OutgoingHttpHeaders,
  body: string | Buffer | undefined,
): void {
  if (response.headersSent) return void (response.writableEnded || response.destroy());
  let length = 0;
  if (body !== undefined) length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  if (body !== undefined || (status !== 204 && status !== 304)) fields["content-length"] = length;
  response.writeHead(status, fields);
  // Text of as many bytes as characters is ASCII, and goes out with its head as it is.
  if (typeof body === "string" && length === body.length) response.end(body, "latin1");
  else response.end(body);
}

/** What the HTTP parser itself refuses never reaches a route; it gets a problem too, and the connection ends. */
export function answerMalformed(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") return void socket.destroy();
  const code = malformedCode(error.code);
  const problem = toProblem(new HotSwapError(code), "-");
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} Error\r\nContent-Type: ${problemType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  );
}

function malformedCode(parserCode: string | undefined) {
  if (parserCode === "HPE_HEADER_OVERFLOW") return "header_too_large" as const;
  if (parserCode === "ERR_HTTP_REQUEST_TIMEOUT") return "request_timeout" as const;
  return "http_malformed" as const;
}
