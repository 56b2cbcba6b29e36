/**
 * The HTTP server of the API and the console: turns the list of routes into a listening Fastify instance.
 * In this order a request is: identified, authorised, counted against its rate limit, read, validated,
 * handled, answered. Nobody's body is read before they are known and allowed.
 *
 * It knows nothing of any system: what it needs of other rooms comes in as functions.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import type { ErrorCode } from "../../core/catalogue.ts";
import type { Clock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import type { Service } from "../../core/lifecycle.ts";
import type { GcraResult } from "../../stores/kv/port.ts";
import type { Resource } from "../access/access.ts";
import type { Permission } from "../access/permissions.ts";
import { anonymous, type Principal } from "../auth/principal.ts";
import { answer, answerMalformed, answerProblem, write } from "./answer.ts";
import { BodyRequest, mediaType, parseJson, readBody } from "./body.ts";
import { RequestContext } from "./context.ts";
import { allowOrigins } from "./cors.ts";
import type { RequestObserver } from "./observer.ts";
import { asHotSwapError } from "./problem.ts";
import { type Context, handled, Reply, type Route } from "./route.ts";
import type { StaticFiles } from "./static.ts";
import { Upgrades } from "./upgrade.ts";
import { queryReader, refuseUnkeepable, validator } from "./validation.ts";

type MaybePromise<T> = T | Promise<T>;

export interface HttpOptions {
  host: string;
  /** 0: any free port. */
  port: number;
  routes: readonly Route[];
  clock: Clock;
  bodyLimitBytes: number;
  jsonDepthLimit: number;
  /** The whole request must have arrived within this. */
  requestTimeoutMs: number;
  /** The head of a request must have arrived within this; at most `requestTimeoutMs`. Default 15,000. */
  headersTimeoutMs: number;
  /** After this, stopping ends what is still open. */
  drainTimeoutMs: number;
  /** Pages of other origins that may call; none by default. */
  corsOrigins?: readonly string[] | undefined;
  authenticate(request: IncomingMessage): MaybePromise<Principal>;
  authorize(principal: Principal, permission: Permission, resource?: Resource): void;
  /** Undefined: no limit. */
  limit?:
    | ((principal: Principal, request: IncomingMessage) => MaybePromise<LimitOutcome | undefined>)
    | undefined;
  /** Runs the work of an `idempotent` route at most once per key. */
  once?:
    | ((context: Context, route: Route, key: string, work: () => Promise<Reply>) => Promise<Reply>)
    | undefined;
  observe?: ((route: Route) => RequestObserver) | undefined;
  files?: StaticFiles | undefined;
}

export interface LimitOutcome {
  result: GcraResult;
  headers: Record<string, string>;
}

/** One request with what the router has found in its path. */
interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  id: string;
  params: unknown;
  /** Undefined of a request that has none. */
  query: unknown;
}

type Serve = (exchange: Exchange) => void;

/** Adds header fields to the answer. */
type AddHeaders = (headers: Record<string, string>) => void;

const sweepMs = 20;

export class HttpServer implements Service {
  readonly name = "http";
  readonly #options: HttpOptions;
  readonly #app: FastifyInstance;
  readonly #stopping = new AbortController();
  readonly #requestIdPrefix: string;
  readonly #upgrades: Upgrades;
  /** By path and method: routes that a request can name in full, which the router need not look for. */
  readonly #direct = new Map<string, Map<string, Serve>>();
  #requestCount = 0;
  #isDraining = false;

  constructor(options: HttpOptions) {
    this.#options = options;
    this.#requestIdPrefix = Math.trunc(options.clock.now()).toString(36);
    this.#app = fastify({
      logger: false,
      exposeHeadRoutes: false, // a HEAD that runs a GET would lease messages
      requestTimeout: options.requestTimeoutMs,
      keepAliveTimeout: 72_000,
      return503OnClosing: false, // requests that are already on a connection are answered while draining
      forceCloseConnections: "idle",
      routerOptions: { maxParamLength: 512 },
      http: {
        IncomingMessage: BodyRequest,
        headersTimeout: options.headersTimeoutMs,
        connectionsCheckingInterval: Math.ceil(options.headersTimeoutMs / 4), // how late a time-out may be
        maxHeaderSize: 16 * 1024,
        requireHostHeader: false, // is asked for in #admit, where the answer can be a problem
        shouldUpgradeCallback: (request) => this.#upgrades.wants(request),
      },
      genReqId: (request) => this.#requestId(request),
      clientErrorHandler: answerMalformed,
      frameworkErrors: (error, request, reply) => {
        const wrapped = new HotSwapError("validation_failed", "The path cannot be decoded.", {
          cause: error,
        });
        this.#refuse(request, reply, wrapped);
      },
    });
    this.#app.removeAllContentTypeParsers();
    this.#app.addContentTypeParser("*", (_request, _payload, done) => done(null)); // routes read their own body
    this.#app.setErrorHandler((error, request, reply) => this.#refuse(request, reply, ofFramework(error)));
    this.#app.setNotFoundHandler((request, reply) => this.#notFound(request, reply));
    // An expectation that nobody knows is passed over, as RFC 9110 §10.1.1 allows.
    this.#app.server.on("checkExpectation", (...parts) => this.#app.server.emit("request", ...parts));
    allowOrigins(this.#app, options.corsOrigins ?? []);
    for (const route of options.routes) this.#mount(route);
    this.#goDirectly();
    this.#upgrades = this.#mountUpgrades();
  }

  async start(): Promise<void> {
    try {
      // Thousands come back at once after a restart; in a short queue they would wait for seconds.
      await this.#app.listen({ host: this.#options.host, port: this.#options.port, backlog: 4096 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
      throw new HotSwapError("port_in_use", `${this.#options.host}:${this.#options.port} is taken.`, {
        cause: error,
      });
    }
  }

  /** Known after `start`. */
  get url(): string {
    const { address, port, family } = this.#app.server.address() as AddressInfo;
    return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
  }

  /** From now on every answer ends its connection, so that callers go elsewhere before it is closed on them. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Stops accepting, wakes long polls through their signal, and waits for open requests up to the drain time-out. */
  async stop(): Promise<void> {
    this.#isDraining = true;
    this.#stopping.abort(new HotSwapError("shutting_down"));
    const { clock, drainTimeoutMs } = this.#options;
    const deadline = clock.after(drainTimeoutMs, () => {
      this.#app.server.closeAllConnections();
      this.#upgrades.terminate();
    });
    // A connection that is busy now becomes idle when it is answered, and then nobody else would end it.
    const closeIdle = () => {
      this.#app.server.closeIdleConnections();
      sweep = clock.after(sweepMs, closeIdle);
    };
    let sweep = clock.after(sweepMs, closeIdle);
    await this.#app.close();
    sweep.cancel();
    deadline.cancel();
  }

  #requestId(request: IncomingMessage): string {
    const given = request.headers["x-request-id"];
    if (typeof given === "string" && /^[\w.:-]{1,128}$/.test(given)) return given;
    this.#requestCount += 1;
    return `${this.#requestIdPrefix}-${this.#requestCount.toString(36)}`;
  }

  #mount(route: Route): void {
    const options = this.#options;
    const validateParams = route.params && validator(route.params, "path");
    const readQuery = queryReader(route.query);
    const readInput = this.#bodyReader(route);
    const observer = options.observe?.(route);
    const successStatus = route.status ?? (route.response || route.responseType ? 200 : 204);

    const handle = async ({ request, response, id, params, query }: Exchange): Promise<void> => {
      const started = options.clock.monotonic();
      let failure: HotSwapError | undefined;
      observer?.begin(request);
      if (this.#isDraining) response.shouldKeepAlive = false;
      try {
        const admitted = this.#admit(route, request, (headers) => setHeaders(response, headers));
        const parts = {
          principal: admitted instanceof Promise ? await admitted : admitted,
          params: validateParams ? validateParams(params) : {},
          query: readQuery(query),
          body: readInput ? await readInput(request) : undefined,
          requestId: id,
          request,
          response,
        };
        const result = await this.#run(route, new RequestContext(parts, this.#stopping.signal));
        if (result !== handled) answer(response, result, successStatus);
      } catch (error) {
        failure = asHotSwapError(error);
        answerProblem(request, response, error, id, route.problem);
      } finally {
        observer?.end(request, response.statusCode, options.clock.monotonic() - started, failure, id);
      }
    };
    const around = observer?.around?.bind(observer);
    const serve: Serve = (exchange) => {
      const served = around ? around(exchange.request, () => handle(exchange)) : handle(exchange);
      served.catch(() => exchange.response.destroy()); // what cannot even be answered
    };
    this.#app.route({
      method: route.method,
      url: toPattern(route.path),
      handler: (request, reply) => {
        reply.hijack();
        const { raw, id, params, query } = request;
        serve({ request: raw, response: reply.raw, id, params, query });
      },
    });
    if (isDirect(route)) {
      const methods = this.#direct.get(route.path) ?? new Map<string, Serve>();
      this.#direct.set(route.path, methods.set(route.method, serve));
    }
  }

  /** Requests whose path is that of a route, letter by letter, do not go through the framework. */
  #goDirectly(): void {
    const { server } = this.#app;
    if ((this.#options.corsOrigins ?? []).length > 0) return; // whose fields the framework adds
    const [route] = server.listeners("request") as [(...parts: unknown[]) => void];
    server.removeAllListeners("request");
    server.on("request", (request, response) => {
      const serve = this.#direct.get(request.url!)?.get(request.method!);
      if (!serve) return void route.call(server, request, response);
      serve({ request, response, id: this.#requestId(request), params: nothing, query: undefined });
    });
  }

  /** Who calls, whether they may, and whether they may now. Synchronous when nothing has to be looked up. */
  #admit(route: Route, request: IncomingMessage, answerWith: AddHeaders): MaybePromise<Principal> {
    if (request.headers.host === undefined && request.httpVersionMinor > 0) {
      throw new HotSwapError("http_malformed", "The Host header is missing.");
    }
    if (route.permission === "public") return anonymous;
    const principal = this.#options.authenticate(request);
    if (principal instanceof Promise)
      return principal.then((known) => this.#allow(route, known, request, answerWith));
    return this.#allow(route, principal, request, answerWith);
  }

  #allow(
    route: Route,
    principal: Principal,
    request: IncomingMessage,
    answerWith: AddHeaders,
  ): MaybePromise<Principal> {
    const resource = route.checksResource ? undefined : nothing;
    this.#options.authorize(principal, route.permission as Permission, resource);
    const outcome = this.#options.limit?.(principal, request);
    if (!outcome) return principal;
    const apply = (settled: LimitOutcome | undefined) => {
      if (!settled) return principal;
      answerWith(settled.headers);
      if (settled.result.allowed) return principal;
      throw new HotSwapError("rate_limited", undefined, { retryAfterMs: settled.result.retryAfterMs });
    };
    return outcome instanceof Promise ? outcome.then(apply) : apply(outcome);
  }

  #bodyReader(route: Route): ((request: IncomingMessage) => Promise<unknown>) | undefined {
    const limitBytes = route.bodyLimit ?? this.#options.bodyLimitBytes;
    const schema = route.body;
    if (schema === undefined || schema === "stream") return undefined;
    if (schema === "bytes") return (request) => readBody(request, limitBytes);
    const validate = validator(schema, "body");
    return async (request) => {
      const type = mediaType(request);
      if (type !== "application/json") {
        throw new HotSwapError("media_type_unsupported", `Send application/json, not ${type || "nothing"}.`);
      }
      const bytes = await readBody(request, limitBytes);
      const value = validate(parseJson(bytes, this.#options.jsonDepthLimit));
      refuseUnkeepable(value, "body");
      return value;
    };
  }

  #run(route: Route, context: Context): unknown {
    const key = route.idempotent ? context.headers["idempotency-key"] : undefined;
    if (typeof key !== "string" || !this.#options.once) return route.handler(context);
    const work = async () => asReply(await route.handler(context));
    return this.#options.once(context, route, key, work);
  }

  #refuse(request: FastifyRequest, reply: FastifyReply, error: unknown): void {
    reply.hijack();
    answerProblem(request.raw, reply.raw, error, request.id);
  }

  #mountUpgrades(): Upgrades {
    const { routes, clock, corsOrigins = [], observe } = this.#options;
    const upgrades = new Upgrades({
      routes,
      clock,
      origins: corsOrigins,
      stopping: this.#stopping.signal,
      admit: (route, request, headers) =>
        this.#admit(route, request, (more) => void Object.assign(headers, more)),
      requestId: (request) => this.#requestId(request),
      observe,
    });
    this.#app.server.on("upgrade", (request, socket, head) => upgrades.handle(request, socket, head));
    return upgrades;
  }

  /** A path that exists under another method answers 405 with Allow, not 404. */
  #notFound(request: FastifyRequest, reply: FastifyReply): void {
    const path = request.url.split("?", 1)[0]!;
    const methods = this.#options.routes
      .filter((route) => fits(route.path, path))
      .map(({ method }) => method);
    if (methods.length > 0) {
      const allow = [...new Set(methods)].join(", ");
      reply.raw.setHeader("allow", allow);
      const detail = `${path} has ${allow}, not ${request.method}.`;
      this.#refuse(request, reply, new HotSwapError("method_not_allowed", detail));
      return;
    }
    const accept = request.headers.accept ?? "";
    const file = request.method === "GET" ? this.#options.files?.find(path, accept) : undefined;
    if (!file) {
      this.#refuse(request, reply, new HotSwapError("route_not_found", `There is nothing at ${path}.`));
      return;
    }
    reply.hijack();
    write(reply.raw, 200, { ...file.headers }, file.content);
  }
}

/** What the framework refuses by itself before a route sees the request. */
const refusals: Readonly<Record<string, [ErrorCode, string]>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ["media_type_unsupported", "The Content-Type is not a media type."],
  FST_ERR_ROUTE_MISSING_CONTENT_TYPE: ["method_not_allowed", "No endpoint has this method."],
};

function ofFramework(error: unknown): unknown {
  const refusal = refusals[(error as { code?: string }).code ?? ""];
  return refusal ? new HotSwapError(...refusal) : error;
}

/** A resource without attributes, which no restriction fits; a path without parameters. */
const nothing: Resource = Object.freeze({});

function asReply(result: unknown): Reply {
  return result instanceof Reply ? result : new Reply(result);
}

function setHeaders(response: ServerResponse, headers: Record<string, string>): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}

/** Without parameters, and with a body whose type the route judges itself. */
function isDirect({ path, body }: Route): boolean {
  return !path.includes("{") && body !== undefined && body !== "bytes";
}

/** Whether the router would find the path under this pattern. */
function fits(pattern: string, path: string): boolean {
  const given = path.split("/");
  const parts = pattern.split("/");
  const isAt = (part: string, i: number) => (part.startsWith("{") ? given[i] !== "" : part === given[i]);
  return parts.length === given.length && parts.every(isAt);
}

/** OpenAPI's `{name}` is the router's `:name`. */
function toPattern(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ":$1");
}
