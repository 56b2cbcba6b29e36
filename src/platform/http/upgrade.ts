/**
 * WebSocket endpoints (RFC 6455). A route with `upgrade` goes through the same gate as every other: identified,
 * authorised, counted, its query validated; only then the connection changes its protocol. What is refused is
 * answered in HTTP, with a problem.
 *
 * A page cannot set header fields on a WebSocket, so a token may also come as a subprotocol `hotswap.bearer.<token>`
 * beside the real one. It never comes in the query, which proxies and browsers write down. Pages of foreign origins
 * are refused unless the settings name them.
 */
import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { Clock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import type { Principal } from "../auth/principal.ts";
import type { RequestObserver } from "./observer.ts";
import { asHotSwapError, problemHeaders, toProblem } from "./problem.ts";
import type { Opened, Route, Upgrading } from "./route.ts";
import { validator } from "./validation.ts";

export interface UpgradeParts {
  routes: readonly Route[];
  clock: Clock;
  origins: readonly string[];
  /** Aborted when the server stops. */
  stopping: AbortSignal;
  /** Who calls, whether they may, and whether they may now; adds the header fields of its answer. */
  admit(
    route: Route,
    request: IncomingMessage,
    headers: Record<string, string>,
  ): Principal | Promise<Principal>;
  requestId(request: IncomingMessage): string;
  observe?: ((route: Route) => RequestObserver) | undefined;
}

interface Endpoint {
  route: Route;
  server: WebSocketServer;
  /** Whole paths; the groups are its parameters. */
  pattern: RegExp;
  validateParams: ((value: unknown) => unknown) | undefined;
  validateQuery: ((value: unknown) => unknown) | undefined;
  observer: RequestObserver | undefined;
}

const bearerPrefix = "hotswap.bearer.";

export class Upgrades {
  readonly #parts: UpgradeParts;
  readonly #endpoints: Endpoint[] = [];
  /** Connections whose handshake is under way. */
  readonly #waiting = new Set<Duplex>();

  constructor(parts: UpgradeParts) {
    this.#parts = parts;
    for (const route of parts.routes) {
      if (!route.upgrade) continue;
      const { protocol, frameBytes: maxPayload } = route.upgrade;
      this.#endpoints.push({
        route,
        pattern: new RegExp(`^${route.path.replaceAll(/\{(\w+)\}/g, "(?<$1>[^/]+)")}$`),
        server: new WebSocketServer({
          noServer: true,
          perMessageDeflate: false, // costs both sides more than a local network does
          maxPayload,
          handleProtocols: (offered) => (offered.has(protocol) ? protocol : false),
        }),
        validateParams: route.params && validator(route.params, "path"),
        validateQuery: route.query && validator(route.query, "query"),
        observer: parts.observe?.(route),
      });
    }
  }

  /** Whether the request is meant for an endpoint here; any other `Upgrade` is passed over (RFC 9110 §7.8). */
  wants({ url = "/", headers }: IncomingMessage): boolean {
    return headers.upgrade?.toLowerCase() === "websocket" && this.#find(url) !== undefined;
  }

  #find(url: string): Endpoint | undefined {
    const path = url.split("?", 1)[0]!;
    return this.#endpoints.find(({ pattern }) => pattern.test(path));
  }

  /** For the server's event `upgrade`. */
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    this.#waiting.add(socket);
    void this.#handle(request, socket, head).finally(() => this.#waiting.delete(socket));
  }

  /** Ends what is still open, without a farewell. */
  terminate(): void {
    for (const socket of this.#waiting) socket.destroy();
    for (const { server } of this.#endpoints) {
      for (const client of server.clients) client.terminate();
    }
  }

  async #handle(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { clock } = this.#parts;
    const started = clock.monotonic();
    const requestId = this.#parts.requestId(request);
    const endpoint = this.#find(request.url ?? "/")!;
    endpoint.observer?.begin(request);
    const headers: Record<string, string> = {};
    let status = 101;
    let failure: HotSwapError | undefined;
    try {
      const upgrading = await this.#admit(endpoint, request, requestId, headers);
      const opened = await endpoint.route.upgrade!.open(upgrading);
      if (socket.destroyed) return;
      await this.#shakeHands(endpoint, request, socket, head, opened);
    } catch (error) {
      failure = asHotSwapError(error);
      status = refuse(socket, failure, requestId, headers);
    } finally {
      endpoint.observer?.end(request, status, clock.monotonic() - started, failure, requestId);
    }
  }

  async #admit(
    { route, pattern, validateParams, validateQuery }: Endpoint,
    request: IncomingMessage,
    requestId: string,
    headers: Record<string, string>,
  ): Promise<Upgrading> {
    const { stopping } = this.#parts;
    if (stopping.aborted) throw stopping.reason;
    this.#refuseForeignOrigin(request);
    refuseOtherProtocols(request, route.upgrade!.protocol);
    takeBearer(request);
    const principal = await this.#parts.admit(route, request, headers);
    const [path, search = ""] = (request.url ?? "/").split("?", 2) as [string, string?];
    const params = decoded(pattern.exec(path)?.groups ?? {});
    const query = Object.fromEntries(new URLSearchParams(search));
    return {
      principal,
      params: validateParams ? validateParams(params) : {},
      query: validateQuery ? validateQuery(query) : {},
      headers: request.headers,
      requestId,
      signal: stopping,
      renew: async (token) => {
        const { socket } = request;
        const asking = { headers: { ...request.headers, authorization: `Bearer ${token}` }, socket };
        return this.#parts.admit(route, { ...asking, httpVersionMinor: 1 } as IncomingMessage, {});
      },
    };
  }

  /** Resolves when the endpoint has the open connection. */
  #shakeHands(
    { server }: Endpoint,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    opened: Opened,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      // What `ws` finds wrong with the handshake, which it would answer itself in plain text.
      server.once("wsClientError", (error) => {
        reject(new HotSwapError("http_malformed", `The handshake is not one of RFC 6455: ${error.message}.`));
      });
      server.handleUpgrade(request, socket, head, (webSocket: WebSocket) => {
        server.removeAllListeners("wsClientError");
        webSocket.on("error", () => {}); // ends in `close`, which is what an endpoint listens to
        opened(webSocket, socket);
        resolve();
      });
    });
  }

  #refuseForeignOrigin({ headers: { origin, host } }: IncomingMessage): void {
    if (origin === undefined || this.#parts.origins.includes(origin)) return;
    if (URL.canParse(origin) && new URL(origin).host === host) return;
    throw new HotSwapError("origin_refused", `Pages of ${origin} may not open a WebSocket here.`);
  }
}

function decoded(groups: Record<string, string>): Record<string, string> {
  try {
    return Object.fromEntries(Object.entries(groups).map(([name, text]) => [name, decodeURIComponent(text)]));
  } catch (cause) {
    throw new HotSwapError("validation_failed", "The path cannot be decoded.", { cause });
  }
}

function offeredBy(request: IncomingMessage): string[] {
  const { "sec-websocket-protocol": offered = "" } = request.headers;
  return offered.split(",").map((name) => name.trim());
}

function refuseOtherProtocols(request: IncomingMessage, protocol: string): void {
  if (offeredBy(request).includes(protocol)) return;
  throw new HotSwapError("upgrade_required", `Offer the subprotocol ${protocol}.`);
}

/** A token that came as a subprotocol is treated as if it had come in its header field. */
function takeBearer(request: IncomingMessage): void {
  const bearer = offeredBy(request).find((name) => name.startsWith(bearerPrefix));
  if (bearer === undefined || request.headers.authorization !== undefined) return;
  request.headers.authorization = `Bearer ${bearer.slice(bearerPrefix.length)}`;
}

function refuse(
  socket: Duplex,
  error: HotSwapError,
  requestId: string,
  headers: Record<string, string>,
): number {
  const problem = toProblem(error, requestId);
  const body = JSON.stringify(problem);
  const fields = {
    ...headers,
    ...problemHeaders(problem),
    "x-request-id": requestId,
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const status = `${problem.status} ${STATUS_CODES[problem.status] ?? "Error"}`;
  socket.end(`HTTP/1.1 ${status}\r\n${lines.join("")}\r\n${body}`);
  return problem.status;
}
