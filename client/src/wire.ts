/**
 * A wire carries one HTTP request and brings back one response; it knows nothing of JSON, tokens or retries.
 * Two exist: fetch (here, runs everywhere) and node:http (node.ts, faster and full duplex).
 */
import { HotSwapConnectionError } from "./problem.ts";
import type { OpenSocket } from "./socket.ts";

export interface WireRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  /** An iterable is streamed with back-pressure; only a duplex wire takes one. */
  body?: string | AsyncIterable<string> | undefined;
  signal?: AbortSignal | undefined;
  /** Until the whole answer is there; for a streamed body until the answer begins. Undefined: no limit. */
  timeoutMs?: number | undefined;
}

export interface WireResponse {
  status: number;
  header(name: string): string | undefined;
  /** The whole body. */
  text(): Promise<string>;
  /** The body as it arrives, as decoded text cut anywhere. */
  chunks(): AsyncIterable<string>;
}

export interface Wire {
  /** Rejects with HotSwapConnectionError, or with the signal's reason. */
  send(request: WireRequest): Promise<WireResponse>;
  /** True when an answer can be read while the request's body is still being sent. */
  readonly duplex: boolean;
  /** Default: the WebSocket of the platform. */
  openSocket?: OpenSocket;
  close?(): void;
}

/** The default. Browsers do not stream request bodies over HTTP/1.1, so this wire is not duplex anywhere. */
export function fetchWire(fetchFunction: typeof fetch = (...input) => fetch(...input)): Wire {
  return {
    duplex: false,
    async send({ method, url, headers, body, signal, timeoutMs }) {
      if (body !== undefined && typeof body !== "string") throw new TypeError("fetch does not stream bodies");
      const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
      const signals = [signal, timeout].filter((candidate) => candidate !== undefined);
      const init = { method, headers, body: body ?? null, signal: AbortSignal.any(signals) };
      const fail = (error: unknown) => failureOf(error, signal, timeout, url);
      const response = await fetchFunction(url, init).catch(fail);
      return {
        status: response.status,
        header: (name) => response.headers.get(name) ?? undefined,
        text: () => response.text().catch(fail),
        async *chunks() {
          const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
          for (;;) {
            const part = await reader?.read().catch(fail);
            if (!part || part.done) return;
            yield part.value;
          }
        },
      };
    },
  };
}

function failureOf(
  error: unknown,
  signal: AbortSignal | undefined,
  timeout: AbortSignal | undefined,
  url: string,
): never {
  if (signal?.aborted) throw signal.reason;
  const { origin } = new URL(url);
  if (timeout?.aborted)
    throw new HotSwapConnectionError("timeout", `${origin} did not answer in time`, error);
  // Node's fetch says why in the cause; browsers do not tell, and then the doubtful case must be assumed.
  const code = (error as { cause?: { code?: string } }).cause?.code;
  if (code === "ECONNREFUSED")
    throw new HotSwapConnectionError("refused", `${origin} refused the connection`, error);
  throw new HotSwapConnectionError("lost", `no answer came from ${origin}`, error);
}
