/**
 * The client for Node: the same API over node:http, which is faster than fetch and streams both ways at once,
 * so that a publisher keeps one request open and its order without waiting for each answer.
 */
import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import { HotSwap } from "./index.ts";
import { http, https } from "./node-http.ts";
import { openNodeSocket } from "./node-socket.ts";
import { HotSwapConnectionError } from "./problem.ts";
import type { TransportOptions } from "./transport.ts";
import type { Wire, WireRequest, WireResponse } from "./wire.ts";

export { type FileCacheOptions, fileCache } from "./file-cache.ts";
export * from "./index.ts";

/** A client over node:http. `close` it when done: kept-alive connections hold the process for a while. */
export function connect(options: Omit<TransportOptions, "wire">): HotSwap {
  return new HotSwap({ ...options, wire: nodeWire() });
}

export interface NodeWireOptions {
  /** Connections to one server. Default 64. */
  maxSockets?: number;
}

/** With this wire, a time-out means silence of the server, not the length of the whole answer. */
export function nodeWire({ maxSockets = 64 }: NodeWireOptions = {}): Wire {
  const agentOptions = {
    keepAlive: true,
    maxSockets,
    maxFreeSockets: maxSockets,
    scheduling: "lifo",
  } as const;
  const plain = new http.Agent(agentOptions);
  const secure = new https.Agent(agentOptions);
  return {
    duplex: true,
    openSocket: openNodeSocket,
    send(request) {
      const isSecure = request.url.startsWith("https:");
      return isSecure ? exchange(https.request, secure, request) : exchange(http.request, plain, request);
    },
    close() {
      plain.destroy();
      secure.destroy();
    },
  };
}

type Open = (url: string, options: RequestOptions) => ClientRequest;

function exchange(open: Open, agent: Agent, wire: WireRequest): Promise<WireResponse> {
  const { method, url, headers, body, signal, timeoutMs } = wire;
  return new Promise((resolve, reject) => {
    const request = open(url, { method, headers, agent, ...(signal && { signal }) });
    const fail = (error: unknown) => failureOf(error, signal, url);
    let answered = false;
    request.on("response", (response) => {
      answered = true;
      resolve(responseOf(response, fail));
    });
    // An answer that came before the connection broke (a long body was refused) is worth more than the break.
    request.on("error", (error) => setImmediate(() => answered || reject(fail(error))));
    if (timeoutMs !== undefined) {
      request.setTimeout(timeoutMs, () => {
        request.destroy(
          new HotSwapConnectionError("timeout", `${new URL(url).origin} did not answer in time`),
        );
      });
    }
    if (typeof body === "object") void pump(body, request);
    else request.end(body);
  });
}

function responseOf(response: IncomingMessage, fail: (error: unknown) => Error): WireResponse {
  return {
    status: response.statusCode!,
    header: (name) => {
      const value = response.headers[name];
      return typeof value === "object" ? value.join(", ") : value;
    },
    // By events: an async iterator pauses the socket between chunks, which halves the rate of large answers.
    text: () =>
      new Promise((resolve, reject) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () =>
          resolve((chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString()),
        );
        response.on("error", (error) => reject(fail(error)));
      }),
    async *chunks() {
      response.setEncoding("utf8");
      try {
        for await (const chunk of response) yield chunk as string;
      } catch (error) {
        throw fail(error);
      }
    },
  };
}

/** Writes the body as fast as the socket takes it, and stops when the request has ended otherwise. */
async function pump(body: AsyncIterable<string>, request: ClientRequest): Promise<void> {
  let resume = () => {};
  request.on("drain", () => resume()).on("close", () => resume());
  try {
    for await (const chunk of body) {
      if (request.destroyed) return;
      if (!request.write(chunk)) await new Promise<void>((resolve) => (resume = resolve));
      if (request.destroyed) return;
    }
    request.end();
  } catch (error) {
    request.destroy(error as Error);
  }
}

/** Before any of these a connection was not made, so nothing was sent. */
const refusals = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "ENOENT"]);

function failureOf(error: unknown, signal: AbortSignal | undefined, url: string): Error {
  if (signal?.aborted) return signal.reason;
  if (error instanceof HotSwapConnectionError) return error;
  const { code = "no answer" } = error as NodeJS.ErrnoException;
  const { origin } = new URL(url);
  return refusals.has(code)
    ? new HotSwapConnectionError("refused", `${origin} cannot be reached (${code})`, error)
    : new HotSwapConnectionError("lost", `the connection to ${origin} broke (${code})`, error);
}
