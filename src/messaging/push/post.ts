/**
 * POSTs to one webhook: to the address that was looked at and no other, with the certificate checked, no redirect
 * followed, and an end in time whatever the receiver does. What it says is read only as far as politeness asks.
 *
 * Connections are kept for the next request to the same address, and belong to this webhook alone: no other tenant's
 * request goes over them.
 */
import * as http from "node:http";
import * as https from "node:https";
import { isIP } from "node:net";
import type { Clock } from "../../core/clock.ts";
import type { Address } from "./address.ts";

export interface Post {
  address: Address;
  headers: Record<string, string>;
  body: Buffer;
  timeoutMs: number;
  signal: AbortSignal;
}

export interface Answer {
  status: number;
  /** Milliseconds that the receiver asks for. */
  retryAfterMs: number | undefined;
}

const retryAfterMax = 3_600;
/** An idle connection is closed by us after this time; most receivers close it sooner. */
const idleMs = 60_000;
/** A longer or slower answer costs its connection: nobody reads it. */
const answerBytesMax = 64 << 10;
const answerMs = 2_000;

export class Poster {
  readonly #url: URL;
  readonly #clock: Clock;
  readonly #agent: http.Agent;

  /** Keeps as many connections as there are requests at once. */
  constructor(url: URL, clock: Clock, connections: number) {
    this.#url = url;
    this.#clock = clock;
    const { Agent } = url.protocol === "https:" ? https : http;
    const options = { keepAlive: true, maxSockets: connections, maxFreeSockets: connections };
    this.#agent = new Agent({ ...options, timeout: idleMs });
  }

  async post(post: Post): Promise<Answer> {
    const first = await this.#send(post, this.#agent);
    if (first !== "closed") return first;
    // The receiver has closed a kept connection at this moment. It will know the request by its id if it has it.
    const second = await this.#send(post, false);
    if (second !== "closed") return second;
    throw new Error("the receiver closes its connections");
  }

  close(): void {
    this.#agent.destroy();
  }

  /** `closed` when a connection that was kept has ended without an answer. */
  #send({ address, headers, body, timeoutMs, signal }: Post, agent: http.Agent | false) {
    return new Promise<Answer | "closed">((resolve, reject) => {
      const { protocol, port, host, hostname, pathname, search } = this.#url;
      const request = (protocol === "https:" ? https : http).request({
        method: "POST",
        // By its address, so that the agent keeps connections apart by it; the certificate is held against the name.
        host: address.address,
        port,
        path: pathname + search,
        ...(isIP(hostname.replace(/^\[|\]$/g, "")) === 0 && { servername: hostname }),
        headers: { host, ...headers, "content-length": String(body.length), "user-agent": "hotswap" },
        agent,
        signal,
      });
      const timer = this.#clock.after(timeoutMs, () =>
        request.destroy(new Error(`no answer within ${timeoutMs} ms`)),
      );
      request.on("error", (error: NodeJS.ErrnoException) => {
        timer.cancel();
        const isStale = request.reusedSocket && (error.code === "ECONNRESET" || error.code === "EPIPE");
        if (isStale) resolve("closed");
        else reject(error);
      });
      request.on("response", (response) => {
        timer.cancel();
        resolve(answerOf(response));
        this.#leave(response);
      });
      request.end(body);
    });
  }

  /** Reads the rest of a short answer, so that the connection can be used again. */
  #leave(response: http.IncomingMessage): void {
    let bytes = 0;
    const timer = this.#clock.after(answerMs, () => response.destroy());
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > answerBytesMax) response.destroy();
    });
    response.on("error", () => {}); // the answer is known
    response.on("close", () => timer.cancel());
  }
}

function answerOf({ statusCode, headers }: http.IncomingMessage): Answer {
  const seconds = Number(headers["retry-after"]);
  const asked = Number.isFinite(seconds) && seconds > 0;
  return {
    status: statusCode!,
    retryAfterMs: asked ? Math.min(seconds, retryAfterMax) * 1000 : undefined,
  };
}
