/**
 * A route is data: method, path, schemas, permission, audit rule and handler in one object. The server, the
 * OpenAPI document, `hotswap routes` and the coverage tests are all derived from the list of routes, so none
 * of them can forget an endpoint.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Static, TSchema } from "typebox";
import type { WebSocket } from "ws";
import type { ErrorCode } from "../../core/catalogue.ts";
import { HotSwapError } from "../../core/errors.ts";
import type { Permission } from "../access/permissions.ts";
import type { Principal } from "../auth/principal.ts";
import type { Problem } from "./problem.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** Every change is audited under an action name, or the route says why it is not. */
export type AuditRule = { action: string } | { none: string };

export interface Context<Params = unknown, Query = unknown, Body = unknown> {
  /** Who calls. On a public route: an anonymous principal without roles. */
  principal: Principal;
  params: Params;
  query: Query;
  /** Validated JSON; on a route with `body: "stream"` or `"bytes"` it is undefined or a Buffer. */
  body: Body;
  /** Header fields, names in lower case. */
  headers: IncomingMessage["headers"];
  requestId: string;
  /** Aborted when the client is gone or the server stops. */
  signal: AbortSignal;
  /** The sockets' side, for streams. A handler that writes to `response` itself returns `handled`. */
  request: IncomingMessage;
  response: ServerResponse;
}

/** What a handler may return instead of a plain JSON body. */
export class Reply {
  readonly body: unknown;
  readonly status: number | undefined;
  readonly headers: Record<string, string>;

  /** A string or Buffer body is sent as it is and needs a content-type in `headers`; anything else becomes JSON. */
  constructor(body: unknown, options: { status?: number; headers?: Record<string, string> } = {}) {
    this.body = body;
    this.status = options.status;
    this.headers = options.headers ?? {};
  }
}

/** Returned by a handler that has taken over the response. */
export const handled = Symbol("handled");

/** A connection that is about to become a WebSocket. */
export interface Upgrading<Params = unknown, Query = unknown> {
  principal: Principal;
  params: Params;
  query: Query;
  /** Of the request that asked for it, names in lower case; the token is in `authorization`. */
  headers: IncomingMessage["headers"];
  requestId: string;
  /** Aborted when the server stops: say goodbye then, before the drain time-out ends what is open. */
  signal: AbortSignal;
  /** A later token of the same connection: checked like the first, against the permission of the route. */
  renew(token: string): Promise<Principal>;
}

/** A connection that has become one. */
export interface Upgraded<Params = unknown, Query = unknown> extends Upgrading<Params, Query> {
  socket: WebSocket;
  /** What the WebSocket writes to: for a frame that is made once and goes to many. */
  wire: Duplex;
}

/** Takes the open connection. Must not throw; `socket` reports its end by `close`. */
export type Opened = (socket: WebSocket, wire: Duplex) => void;

export interface Upgrade {
  /** The subprotocol that a client must offer. */
  protocol: string;
  /** The largest message that is taken. */
  frameBytes: number;
  /** Asked before the handshake: what it throws is answered in HTTP instead. */
  open(upgrading: Upgrading): Opened | Promise<Opened>;
}

export interface Route {
  /** OpenAPI operationId, `<system>.<noun>.<verb>`, unique. */
  id: string;
  method: Method;
  /** With parameters as `{name}`. */
  path: string;
  summary: string;
  description?: string;
  /** "public" is for what must answer without a token, such as /health. */
  permission: Permission | "public";
  /**
   * The handler checks the resource itself against the token's restrictions. On every other route a token with
   * restrictions is refused, as there is nothing that could fit them.
   */
  checksResource?: boolean;
  audit: AuditRule;
  params?: TSchema;
  query?: TSchema;
  /** A schema: validated JSON. "bytes": the raw body as a Buffer. "stream": nothing is read; use `request`. */
  body?: TSchema | "bytes" | "stream";
  /** For "bytes" and "stream": schemas by content type, for the document. */
  bodyContent?: Record<string, TSchema>;
  /** Success answer: its status (default 200) and schema; undefined for 204. */
  status?: number;
  response?: TSchema;
  /** A GET that honours If-None-Match: it may answer 304 and nothing else. */
  conditional?: boolean;
  /** Content type of the success answer when it is not application/json. */
  responseType?: string;
  /** Further content types that it may have, with their schemas; of lines, the schema of one. */
  responseContent?: Record<string, TSchema>;
  /** Further members of a problem, for clients that know errors of another form. */
  problem?: (problem: Problem) => Record<string, unknown>;
  /** Codes of the catalogue that this route adds to those any route may answer. */
  errors?: readonly ErrorCode[];
  /** A POST that creates: the server honours Idempotency-Key. */
  idempotent?: boolean;
  /** Bytes of body accepted; default is the server's setting. */
  bodyLimit?: number;
  /** Of a WebSocket endpoint, a GET; `handler` then answers who comes without Upgrade: `upgradeRequired`. */
  upgrade?: Upgrade;
  handler: (context: Context) => unknown;
}

/** The handler of a WebSocket endpoint. */
export function upgradeRequired(): never {
  throw new HotSwapError("upgrade_required");
}

// The words first: for TypeBox they are schemas too, of anything.
type Shape<S> = S extends "bytes"
  ? Buffer
  : S extends "stream" | undefined
    ? undefined
    : S extends TSchema
      ? Static<S>
      : undefined;

/** Identity at run time; ties the types of schemas and handler together. */
export function route<
  Params extends TSchema | undefined = undefined,
  Query extends TSchema | undefined = undefined,
  Body extends TSchema | "bytes" | "stream" | undefined = undefined,
>(
  definition: Omit<Route, "params" | "query" | "body" | "handler"> & {
    params?: Params;
    query?: Query;
    body?: Body;
    handler: (context: Context<Shape<Params>, Shape<Query>, Shape<Body>>) => unknown;
  },
): Route {
  return definition as unknown as Route;
}
