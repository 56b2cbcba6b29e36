/**
 * Passes a request on to the node that serves its topic, with the caller's own token, which is verified there again.
 * One hop: what has been passed on is answered by who gets it, or refused with `topic_moved`, and then looked up anew.
 *
 * A request that was sent and not answered may have been carried out. It is repeated only when that does no harm.
 */
import { Agent, type IncomingMessage, type OutgoingHttpHeaders, request as send } from "node:http";
import { pipeline } from "node:stream/promises";
import { HotSwapError } from "../../core/errors.ts";
import type { Context } from "../../platform/http/route.ts";
import type { BrokerNode } from "./node.ts";

/** On a request: it has been passed on. On an answer: it was not carried out, as the topic is not served there. */
export const hopHeader = "x-hotswap-hop";
export const movedHeader = "x-hotswap-moved";

export const isPassedOn = (headers: IncomingMessage["headers"]) => headers[hopHeader] !== undefined;

/** Of one connection only (RFC 9110 §7.6.1); and the key of a request that this node runs once already. */
const ownHeaders = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "host",
  "expect",
  "idempotency-key",
]);

export type Caller = Pick<Context, "headers" | "request" | "response" | "requestId">;

export interface Outgoing {
  method: string;
  /** With the query. */
  path: string;
  /** Sent as it is; undefined for the caller's own body as it arrives. */
  body: Buffer | undefined;
  /** Repeating it does no harm. */
  isRepeatable: boolean;
}

/** Not carried out: the node could not be reached, or does not serve the topic. */
export const notThere = Symbol("notThere");

export class Forwarder {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 256, keepAliveMsecs: 5000 });
  /** Requests that wait for an answer, by node. */
  readonly #waiting = new Map<string, Set<AbortController>>();

  /** Ends the wait for answers of a node that is gone: a frozen process holds its connections. */
  gone(node: BrokerNode): void {
    for (const wait of this.#waiting.get(node.id) ?? []) wait.abort();
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Resolves to the answer, whose body is still to be read. */
  async exchange(
    context: Caller,
    node: BrokerNode,
    outgoing: Outgoing,
  ): Promise<IncomingMessage | typeof notThere> {
    const wait = new AbortController();
    const waiting = this.#waiting.get(node.id) ?? new Set();
    this.#waiting.set(node.id, waiting.add(wait));
    const onClose = () => wait.abort();
    context.response.once("close", onClose);
    try {
      const answer = await this.#send(context, node, outgoing, wait.signal);
      if (answer === notThere) return notThere;
      if (answer.headers[movedHeader] === undefined) return answer;
      answer.resume();
      return notThere;
    } finally {
      context.response.off("close", onClose);
      waiting.delete(wait);
    }
  }

  #send(
    { headers, request, requestId }: Caller,
    node: BrokerNode,
    { method, path, body, isRepeatable }: Outgoing,
    signal: AbortSignal,
  ): Promise<IncomingMessage | typeof notThere> {
    const url = new URL(node.address);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage | typeof notThere>();
    const outgoing = send({
      agent: this.#agent,
      host: url.hostname.replace(/^\[|\]$/g, ""),
      port: url.port || 80,
      method,
      path,
      headers: passedHeaders(headers, requestId, body),
      signal,
    });
    let isConnected = false;
    outgoing.once("socket", (socket) => {
      if (socket.connecting) socket.once("connect", () => (isConnected = true));
      else isConnected = true;
    });
    outgoing.once("response", resolve);
    outgoing.once("error", (cause) => {
      if (!isConnected || (isRepeatable && !request.destroyed)) return resolve(notThere);
      const detail = "The node that serves the topic was lost before it answered.";
      reject(new HotSwapError("log_outcome_unknown", detail, { cause, retryAfterMs: 1000 }));
    });
    if (body) outgoing.end(body);
    else pipeline(request, outgoing).catch(() => {}); // the request's own error says it
    return promise;
  }
}

function passedHeaders(
  headers: IncomingMessage["headers"],
  requestId: string,
  body: Buffer | undefined,
): OutgoingHttpHeaders {
  const passed: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) if (!ownHeaders.has(name)) passed[name] = value;
  passed[hopHeader] = "1";
  passed["x-request-id"] = requestId;
  if (body) passed["content-length"] = body.length;
  return passed;
}

/** The answer's head without what belongs to the connection. */
export function answerHeaders(answer: IncomingMessage): OutgoingHttpHeaders {
  const passed: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(answer.headers)) if (!ownHeaders.has(name)) passed[name] = value;
  return passed;
}

export async function wholeBody(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk);
  return Buffer.concat(chunks);
}
