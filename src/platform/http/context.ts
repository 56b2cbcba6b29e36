/**
 * The context of one request. Its signal is made only when a handler asks for it: most requests never wait
 * for anything that would need to be ended, and an AbortController each would cost them.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { HotSwapError } from "../../core/errors.ts";
import type { Principal } from "../auth/principal.ts";
import type { Context } from "./route.ts";

export interface RequestParts {
  principal: Principal;
  params: unknown;
  query: unknown;
  body: unknown;
  requestId: string;
  request: IncomingMessage;
  response: ServerResponse;
}

export class RequestContext implements Context {
  readonly principal: Principal;
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly requestId: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly #stopping: AbortSignal;
  #signal: AbortSignal | undefined;

  constructor(parts: RequestParts, stopping: AbortSignal) {
    this.principal = parts.principal;
    this.params = parts.params;
    this.query = parts.query;
    this.body = parts.body;
    this.requestId = parts.requestId;
    this.request = parts.request;
    this.response = parts.response;
    this.#stopping = stopping;
  }

  get headers(): IncomingMessage["headers"] {
    return this.request.headers;
  }

  get signal(): AbortSignal {
    this.#signal ??= this.#makeSignal();
    return this.#signal;
  }

  #makeSignal(): AbortSignal {
    const gone = new AbortController();
    this.response.once("close", () => {
      if (this.response.writableFinished) return; // closed because all has been sent
      gone.abort(new HotSwapError("request_timeout", "The client has gone."));
    });
    return AbortSignal.any([gone.signal, this.#stopping]);
  }
}
