/**
 * A whole server inside the test's process: the composition root as it is, with its embedded PostgreSQL and its
 * log on disk in a folder of its own, and real HTTP. Every call made through it is held against the server's own
 * OpenAPI document.
 */
import { rm } from "node:fs/promises";
import { type RunningServer, startServer } from "../src/cli/server.ts";
import type { Role } from "../src/platform/access/permissions.ts";
import type { TokenRequest } from "../src/platform/auth/index.ts";
import type { Route } from "../src/platform/http/route.ts";
import { loadSettings } from "../src/platform/settings/index.ts";
import { createLog } from "../src/platform/telemetry/index.ts";
import { type Answer, Contract } from "./contract.ts";
import { serverFolder } from "./server-folder.ts";

export interface CallOptions {
  /** Sent as JSON; a string or Buffer is sent as it is. */
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export class TestServer {
  readonly data: string;
  readonly contract: Contract;
  readonly #flags: Record<string, string>;
  #running: RunningServer;

  private constructor(data: string, flags: Record<string, string>, running: RunningServer) {
    this.data = data;
    this.#flags = flags;
    this.#running = running;
    this.contract = Contract.ofRoutes(running.routes);
  }

  /** `flags` are settings by flag, without the dashes. */
  static async start(flags: Record<string, string> = {}): Promise<TestServer> {
    const data = await serverFolder("hotswap-server-");
    try {
      return new TestServer(data, flags, await run(data, flags));
    } catch (error) {
      await rm(data, { recursive: true, force: true });
      throw error;
    }
  }

  get url(): string {
    return this.#running.url;
  }

  /** Where the API gateway listens. */
  get gateway(): string {
    return this.#running.gateway!;
  }

  get routes(): readonly Route[] {
    return this.#running.routes;
  }

  stop(): Promise<void> {
    return this.#running.stop();
  }

  /** Starts again on the same data, with more flags if given; stops before that if need be. */
  async restart(flags: Record<string, string> = {}): Promise<void> {
    await this.stop();
    this.#running = await run(this.data, { ...this.#flags, ...flags });
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.data, { recursive: true, force: true });
  }

  token(request: Partial<TokenRequest> = {}): Promise<string> {
    const usual = { subject: "ann", tenant: "acme", roles: ["admin"] as Role[], ttlSeconds: 600 };
    return this.#running.issuer.mint({ ...usual, ...request });
  }

  /** Calls as this principal; `ann`, admin of `acme`, unless told otherwise. */
  async as(request: Partial<TokenRequest> = {}): Promise<Caller> {
    return new Caller(this, await this.token(request));
  }
}

/** Paths are those below /api/v1, unless they begin with two slashes: `//health`. */
export class Caller {
  readonly token: string | undefined;
  readonly #server: TestServer;

  constructor(server: TestServer, token: string | undefined) {
    this.#server = server;
    this.token = token;
  }

  /** Somebody else on the same server. */
  as = (request: Partial<TokenRequest>) => this.#server.as(request);
  get = (path: string, options?: CallOptions) => this.call("GET", path, options);
  delete = (path: string, options?: CallOptions) => this.call("DELETE", path, options);
  post = (path: string, body?: unknown, options?: CallOptions) =>
    this.call("POST", path, { body, ...options });
  put = (path: string, body?: unknown, options?: CallOptions) => this.call("PUT", path, { body, ...options });

  async call(method: Method, path: string, options: CallOptions = {}): Promise<Answer> {
    const { body, headers, signal } = options;
    const target = path.startsWith("//") ? path.slice(1) : `/api/v1${path}`;
    const response = await fetch(this.#server.url + target, {
      method,
      headers: {
        ...(this.token && { authorization: `Bearer ${this.token}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? null : rawOf(body),
      ...(signal && { signal }),
    });
    const answer = await toAnswer(response);
    const operation = this.#server.contract.find(method, target);
    if (operation) this.#server.contract.check(operation, answer);
    return answer;
  }

  /** The body of a success; throws with the problem otherwise. */
  async ok(call: Promise<Answer>, status?: number): Promise<Answer["json"]> {
    const answer = await call;
    const fits = status === undefined ? answer.status < 300 : answer.status === status;
    if (!fits) throw new Error(`answered ${answer.status}: ${answer.text}`);
    return answer.json;
  }
}

export async function toAnswer(response: Response): Promise<Answer> {
  const text = await response.text();
  const isJson = /^application\/([\w.-]+\+)?json/.test(response.headers.get("content-type") ?? "");
  const json = isJson && text !== "" ? JSON.parse(text) : undefined;
  return { status: response.status, headers: response.headers, text, json };
}

const rawOf = (body: unknown) =>
  typeof body === "string" || Buffer.isBuffer(body) ? (body as string) : JSON.stringify(body);

async function run(data: string, flags: Record<string, string>): Promise<RunningServer> {
  const given = { data, port: "0", "gateway-port": "0", "log-level": "error", ...flags };
  const { settings } = await loadSettings({ mode: "development", flags: given, env: {}, cwd: data });
  const log = createLog({ level: settings.telemetry.logLevel });
  return startServer({ mode: "development", settings, log, version: "test" });
}
