/** For the tests of rooms with routes: a real server, issuer and verifier around the routes under test. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type Clock, systemClock } from "../../core/clock.ts";
import { openSecrets, type SecretStore } from "../../stores/secrets/index.ts";
import { authorize } from "../access/access.ts";
import type { Route } from "../http/route.ts";
import { type HttpOptions, HttpServer } from "../http/server.ts";
import { Issuer, type TokenRequest } from "./issuer.ts";
import { Verifier } from "./verifier.ts";

/** A started store in a folder of its own, which goes away with the test. */
export async function testSecrets(t: TestContext): Promise<SecretStore> {
  const folder = await mkdtemp(join(tmpdir(), "hotswap-secrets-"));
  const secrets = openSecrets({ path: join(folder, "secrets.json") });
  await secrets.start();
  t.after(async () => {
    await secrets.stop();
    await rm(folder, { recursive: true });
  });
  return secrets;
}

export interface Answer {
  url: string;
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of many shapes
  json: any;
}

export type Call = (
  method: string,
  path: string,
  options?: Partial<TokenRequest> & { body?: unknown; headers?: Record<string, string> },
) => Promise<Answer>;

/**
 * Serves the routes and resolves to a function that calls them, as admin `ann` of `acme` unless told
 * otherwise.
 */
export async function testServer(
  t: TestContext,
  routes: readonly Route[],
  options: Partial<HttpOptions> & { clock?: Clock } = {},
): Promise<Call> {
  const clock = options.clock ?? systemClock;
  const issuer = await Issuer.open({ secrets: await testSecrets(t), clock, mode: "development" });
  const verifier = new Verifier({ issuers: [issuer.trusted()], clock });
  const server = new HttpServer({
    host: "127.0.0.1",
    port: 0,
    routes,
    clock,
    bodyLimitBytes: 1024 * 1024,
    jsonDepthLimit: 64,
    requestTimeoutMs: 10_000,
    headersTimeoutMs: 5000,
    drainTimeoutMs: 1_000,
    authenticate: (request) => verifier.verify(request.headers.authorization, request.socket.remoteAddress),
    authorize,
    ...options,
  });
  await server.start();
  t.after(() => server.stop());
  return async (method, path, { body, headers, ...token } = {}) => {
    const bearer = await issuer.mint({
      subject: "ann",
      tenant: "acme",
      roles: ["admin"],
      ttlSeconds: 60,
      ...token,
    });
    const response = await fetch(server.url + path, {
      method,
      headers: {
        authorization: `Bearer ${bearer}`,
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") && !text.includes("\n");
    return {
      url: response.url,
      status: response.status,
      headers: response.headers,
      text,
      json: isJson && text ? JSON.parse(text) : undefined,
    };
  };
}
