/**
 * From a call to an answer: base address, token, JSON, time-outs, problems and retries. All nouns of the
 * client speak through one transport.
 *
 * A request is repeated only when that cannot do anything twice: the server said that it accepted nothing,
 * no connection was made, or the request is idempotent. Retry-After is honoured, the delays are jittered and
 * bounded, and an abort ends the waiting at once.
 */
import { HotSwapProblem, isSafeToRepeat, isTransient, problemOf } from "./problem.ts";
import { type OpenSocket, openWebSocket } from "./socket.ts";
import { type Backoff, backoffMs, sleep } from "./time.ts";
import { fetchWire, type Wire, type WireResponse } from "./wire.ts";

export type Token = string | (() => string | Promise<string>);

export interface TransportOptions {
  /** Address of the server, such as http://127.0.0.1:7070. A path before /api is kept. */
  url: string;
  /** A token, or a function that is asked for one before each request (and again when it has expired). */
  token?: Token | undefined;
  /** Per attempt. Default 30,000. */
  timeoutMs?: number | undefined;
  retry?: Partial<RetryPolicy> | undefined;
  /** Default: fetch. */
  wire?: Wire | undefined;
}

export interface RetryPolicy extends Backoff {
  /** Attempts in all, 1 = never repeat. Default 5. */
  attempts: number;
}

/** What every call takes as its last argument. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
}

export interface ApiRequest extends CallOptions {
  method: "GET" | "POST" | "PUT" | "DELETE";
  path: string;
  query?: Record<string, string | number | boolean | undefined> | undefined;
  body?: unknown;
  headers?: Record<string, string>;
  /** Repeating the request has no further effect. Default: true for GET. */
  idempotent?: boolean;
}

/** A list is read page by page; `next` is the cursor of the following one. */
export interface Page<Item> {
  items: Item[];
  next: string | null;
}

export interface PageOptions extends CallOptions {
  limit?: number | undefined;
  cursor?: string | undefined;
}

const defaultRetry: RetryPolicy = { attempts: 5, baseMs: 100, maxMs: 10_000 };

export class Transport {
  readonly wire: Wire;
  readonly retry: RetryPolicy;
  readonly #base: string;
  readonly #token: Token | undefined;
  readonly #timeoutMs: number;

  constructor(options: TransportOptions) {
    this.wire = options.wire ?? fetchWire();
    this.retry = { ...defaultRetry, ...options.retry };
    this.#base = new URL(options.url).href.replace(/\/$/, "");
    this.#token = options.token;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
  }

  /** Sends the request, repeats it where that is safe, and returns the answer's JSON (undefined for 204). */
  async json<Answer>(request: ApiRequest): Promise<Answer> {
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const idempotent = request.idempotent ?? request.method === "GET";
    let renewed = false;
    for (let attempt = 0; ; attempt++) {
      try {
        const response = await this.#send(request, body);
        const text = await response.text();
        return (text === "" ? undefined : JSON.parse(text)) as Answer;
      } catch (error) {
        const renewable: boolean = isExpired(error) && typeof this.#token === "function" && !renewed;
        renewed ||= renewable;
        if (renewable) continue;
        const repeatable = isSafeToRepeat(error) || (idempotent && isTransient(error));
        if (!repeatable || attempt + 1 >= this.retry.attempts) throw error;
        await this.pause(attempt, error, request.signal);
      }
    }
  }

  /** One attempt, with a body as it is to be sent. Resolves when the answer begins, if it is a success. */
  open(request: ApiRequest, body?: string | AsyncIterable<string>): Promise<WireResponse> {
    return this.#send(request, body);
  }

  get openSocket(): OpenSocket {
    return this.wire.openSocket ?? openWebSocket;
  }

  /** The address of a WebSocket endpoint. */
  socketUrl(apiPath: string): string {
    return this.#base.replace(/^http/, "ws") + apiPath;
  }

  async token(): Promise<string | undefined> {
    return typeof this.#token === "function" ? this.#token() : this.#token;
  }

  /** Waits before the next attempt; rethrows when the server asks for more patience than the policy has. */
  async pause(attempt: number, error: unknown, signal?: AbortSignal): Promise<void> {
    const retryAfterMs = error instanceof HotSwapProblem ? error.retryAfterMs : undefined;
    if (retryAfterMs !== undefined && retryAfterMs > this.retry.maxMs) throw error;
    await sleep(backoffMs(this.retry, attempt, retryAfterMs), signal);
  }

  /** All items of a list, page after page. */
  async *items<Item>(read: (cursor: string | undefined) => Promise<Page<Item>>): AsyncGenerator<Item> {
    for (let cursor: string | undefined; ; ) {
      const page = await read(cursor);
      yield* page.items;
      if (page.next === null) return;
      cursor = page.next;
    }
  }

  async #send(request: ApiRequest, body: string | AsyncIterable<string> | undefined): Promise<WireResponse> {
    request.signal?.throwIfAborted();
    const token = typeof this.#token === "function" ? await this.#token() : this.#token; // most need no wait
    const headers: Record<string, string> = { accept: "application/json" };
    if (token !== undefined) headers.authorization = `Bearer ${token}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const response = await this.wire.send({
      method: request.method,
      url: this.#base + request.path + queryOf(request.query),
      headers: { ...headers, ...request.headers },
      body,
      signal: request.signal,
      timeoutMs: request.timeoutMs ?? this.#timeoutMs,
    });
    if (response.status >= 200 && response.status < 300) return response;
    throw problemOf(response.status, await response.text(), response.header("retry-after"));
  }
}

/** A path with its parameters escaped. Dot segments are refused: URL parsers would walk up the path. */
export function path(parts: TemplateStringsArray, ...values: string[]): string {
  return parts.reduce((whole, part, index) => {
    const value = values[index - 1]!;
    if (/^\.{0,2}$/.test(value)) throw new TypeError(`${JSON.stringify(value)} cannot stand in a path`);
    return whole + encodeURIComponent(value) + part;
  });
}

/** A fresh key for a POST that creates, so that repeating it is safe. Needs no secure context. */
export function idempotencyKey(): Record<string, string> {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return { "idempotency-key": Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("") };
}

function queryOf(query: ApiRequest["query"]): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {}))
    if (value !== undefined) given.set(name, String(value));
  return given.size === 0 ? "" : `?${given}`;
}

function isExpired(error: unknown): boolean {
  return error instanceof HotSwapProblem && error.code === "token_expired";
}
