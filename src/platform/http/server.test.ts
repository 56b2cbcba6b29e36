import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Type } from "typebox";
import { systemClock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import { authorize } from "../access/access.ts";
import { anonymous } from "../auth/principal.ts";
import { mediaType, readLines } from "./body.ts";
import type { Problem } from "./problem.ts";
import { handled, Reply, type Route, route } from "./route.ts";
import { type HttpOptions, HttpServer } from "./server.ts";
import { validator } from "./validation.ts";

const common = { summary: "", permission: "public", audit: { none: "a test" } } as const;
const item = Type.Object(
  { name: Type.String({ minLength: 2 }), "a/b": Type.Optional(Type.Integer()) },
  { additionalProperties: false },
);

const routes: Route[] = [
  route({
    ...common,
    id: "t.items.create",
    method: "POST",
    path: "/api/items/{id}",
    params: Type.Object({ id: Type.Integer() }),
    query: Type.Object({ limit: Type.Integer({ minimum: 1, default: 7 }) }, { additionalProperties: false }),
    body: item,
    status: 201,
    response: Type.Object({}),
    handler: ({ params, query, body }) => ({ params, query, body }),
  }),
  route({ ...common, id: "t.nothing", method: "DELETE", path: "/api/nothing", handler: () => undefined }),
  route({
    ...common,
    id: "t.broken",
    method: "GET",
    path: "/api/broken",
    handler: () => {
      throw new Error("secret path /var/lib/x");
    },
  }),
  route({
    ...common,
    id: "t.wait",
    method: "GET",
    path: "/api/wait",
    response: Type.Object({}),
    handler: ({ signal }) =>
      new Promise((resolve) => signal.addEventListener("abort", () => resolve({ ended: "by signal" }))),
  }),
  route({
    ...common,
    id: "t.lines",
    method: "POST",
    path: "/api/lines",
    body: "stream",
    handler: async ({ request, response }) => {
      for await (const lines of readLines(request, 20)) {
        for (const line of lines) response.write(`${mediaType(request)} ${line}\n`);
      }
      response.end();
      return handled;
    },
  }),
  route({
    ...common,
    id: "t.echo",
    method: "POST",
    path: "/api/echo",
    response: item,
    body: item,
    handler: ({ body }) => body,
  }),
  route({
    ...common,
    id: "t.guarded",
    method: "GET",
    path: "/api/guarded",
    permission: "topics.read",
    handler: () => new Reply({ ok: true }),
  }),
];

async function started(change: Partial<HttpOptions> = {}): Promise<HttpServer> {
  const server = new HttpServer({
    host: "127.0.0.1",
    port: 0,
    routes,
    clock: systemClock,
    bodyLimitBytes: 1000,
    jsonDepthLimit: 8,
    requestTimeoutMs: 5000,
    headersTimeoutMs: 5000,
    drainTimeoutMs: 1000,
    authenticate: () => {
      throw new HotSwapError("token_missing");
    },
    authorize: () => {},
    ...change,
  });
  await server.start();
  return server;
}

async function problemOf(response: Response): Promise<Problem> {
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  return (await response.json()) as Problem;
}

describe("http server", () => {
  let server: HttpServer;
  before(async () => {
    server = await started();
  });
  after(() => server.stop());

  const post = (body: string | Buffer, headers: Record<string, string> = {}, path = "/api/items/5") =>
    fetch(server.url + path, {
      method: "POST",
      body,
      headers: { "content-type": "application/json", ...headers },
    });

  it("hands the handler what was validated, with defaults and numbers", async () => {
    const response = await post(`{"name":"xy"}`);
    assert.equal(response.status, 201);
    assert.deepEqual(await response.json(), { params: { id: 5 }, query: { limit: 7 }, body: { name: "xy" } });
  });

  it("answers a path that is named in full as the router does", async () => {
    const ask = async (path: string, body: string, method = "POST") => {
      const headers = { "content-type": "application/json", "x-request-id": "one" };
      const response = await fetch(server.url + path, { method, body, headers });
      const { date, ...fields } = Object.fromEntries(response.headers);
      return { status: response.status, fields, body: await response.json() };
    };
    for (const body of [`{"name":"xy"}`, `{"name":1}`, "{"]) {
      assert.deepEqual(await ask("/api/echo", body), await ask("/api/echo?", body));
    }
    assert.equal((await ask("/api/echo", "{}", "PUT")).status, 405);
  });

  it("takes a body however it comes: with its head, in pieces, chunked, behind another", async () => {
    const { socket, names } = await talkTo(server);
    const head = (fields: string) =>
      `POST /api/echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${fields}\r\n\r\n`;
    const whole = (name: string) => `${head(`content-length: ${name.length + 11}`)}{"name":"${name}"}`;
    const send = async (...pieces: string[]) => {
      for (const piece of pieces) {
        socket.write(piece);
        await turn();
      }
    };
    await send(whole("one"));
    assert.deepEqual(await names(1), ["one"]);
    await send(head("content-length: 14"), `{"name":`, `"two"}`);
    await send(`${head("transfer-encoding: chunked")}8\r\n{"name":\r\n`, `8\r\n"three"}\r\n0\r\n\r\n`);
    await send(whole("four") + whole("five") + whole("six"));
    assert.deepEqual(await names(6), ["one", "two", "three", "four", "five", "six"]);
    socket.destroy();
  });

  it("names every invalid field by pointer", async () => {
    const problem = await problemOf(await post(`{"name":1,"a/b":"x","more":true}`));
    assert.equal(problem.code, "validation_failed");
    assert.deepEqual(problem.errors?.map(({ pointer }) => pointer).sort(), ["/a~1b", "/more", "/name"]);
    const query = await problemOf(await post(`{"name":"xy"}`, {}, "/api/items/x?limit=0&other=1"));
    assert.deepEqual(
      query.errors?.map(({ pointer }) => pointer),
      ["path/id"],
    );
  });

  it("names of alternatives what is wrong with the one that was meant", () => {
    const strict = { additionalProperties: false };
    const schema = Type.Object({
      limit: Type.Optional(Type.Union([Type.Integer({ minimum: 0 }), Type.Null()])),
      backoff: Type.Optional(
        Type.Union([
          Type.Object({ delays: Type.Array(Type.Integer(), { minItems: 1 }) }, strict),
          Type.Object({ base: Type.Integer(), max: Type.Integer() }, strict),
        ]),
      ),
    });
    const validate = validator(schema, "body");
    for (const [body, ...told] of [
      [{ limit: -1 }, "/limit must be >= 0"],
      [{ limit: "x" }, "/limit must be integer", "/limit must be null"],
      [{ backoff: { delays: [] } }, "/backoff/delays must NOT have fewer than 1 items"],
      [{ backoff: { base: 1 } }, "/backoff/max is required"],
      [{ limit: -1, backoff: { base: 1, max: "x" } }, "/limit must be >= 0", "/backoff/max must be integer"],
    ] as const) {
      assert.throws(
        () => validate(body),
        (error) => {
          const fields = (error as HotSwapError).fields?.map(
            ({ pointer, message }) => `${pointer} ${message}`,
          );
          assert.deepEqual(fields, told);
          return true;
        },
      );
    }
  });

  for (const [what, body, code, status] of [
    ["malformed JSON", `{"name":`, "json_malformed", 400],
    ["an empty body", "", "json_malformed", 400],
    ["bytes that are not UTF-8", Buffer.from([0x22, 0xff, 0x22]), "encoding_invalid", 400],
    ["a document too deep", "[".repeat(9) + "]".repeat(9), "too_deep", 400],
    ["a body too large", `"${"x".repeat(1000)}"`, "body_too_large", 413],
  ] as const) {
    it(`refuses ${what}`, async () => {
      const response = await post(body);
      assert.equal(response.status, status);
      assert.equal((await problemOf(response)).code, code);
    });
  }

  it("refuses another content type", async () => {
    const problem = await problemOf(
      await post("name=xy", { "content-type": "application/x-www-form-urlencoded" }),
    );
    assert.equal(problem.code, "media_type_unsupported");
  });

  it("answers 404 for an unknown path and 405 with Allow for another method", async () => {
    const missing = await fetch(`${server.url}/api/other`);
    assert.equal((await problemOf(missing)).code, "route_not_found");
    const wrong = await fetch(`${server.url}/api/nothing`);
    assert.equal(wrong.status, 405);
    assert.equal(wrong.headers.get("allow"), "DELETE");
    assert.equal((await problemOf(wrong)).code, "method_not_allowed");
  });

  it("answers 204 without a body", async () => {
    const response = await fetch(`${server.url}/api/nothing`, { method: "DELETE" });
    assert.equal(response.status, 204);
    assert.equal(await response.text(), "");
  });

  it("tells nothing of its inside when a handler breaks", async () => {
    const response = await fetch(`${server.url}/api/broken`, { headers: { "x-request-id": "mine-1" } });
    assert.equal(response.status, 500);
    assert.equal(response.headers.get("x-request-id"), "mine-1");
    const text = await response.text();
    assert.match(text, /"code":"internal"/);
    assert.doesNotMatch(text, /secret|var\/lib/);
  });

  it("streams lines both ways, split anywhere, and refuses a long one", async () => {
    const body = new ReadableStream({
      async start(controller) {
        for (const part of ["ab", "c\r\nde", "f\n\ngh"]) controller.enqueue(Buffer.from(part));
        controller.close();
      },
    });
    const response = await fetch(`${server.url}/api/lines`, {
      method: "POST",
      body,
      duplex: "half",
      headers: { "content-type": "Text/X; a=b" },
    } as RequestInit);
    assert.equal(await response.text(), "text/x abc\ntext/x def\ntext/x gh\n");
  });

  it("asks for a token before anything else, with WWW-Authenticate", async () => {
    const response = await fetch(`${server.url}/api/guarded`);
    assert.equal(response.status, 401);
    assert.equal(response.headers.get("www-authenticate"), `Bearer realm="hotswap"`);
    assert.equal((await problemOf(response)).code, "token_missing");
  });

  it("answers what is not HTTP with a problem and closes", async () => {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    socket.write("NOT HTTP\r\n\r\n");
    let answer = "";
    socket.on("data", (bytes) => {
      answer += bytes;
    });
    await once(socket, "close");
    assert.match(answer, /^HTTP\/1\.1 400 /);
    assert.match(answer, /"code":"http_malformed"/);
  });
});

/** A connection by hand; `names` resolves once so many answers have come. */
async function talkTo(server: HttpServer) {
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
  let answers = "";
  socket.on("data", (bytes) => {
    answers += bytes;
  });
  await once(socket, "connect");
  const found = () => [...answers.matchAll(/\{"name":"(\w+)"\}/g)].map(([, name]) => name);
  const names = async (count: number) => {
    while (found().length < count) await once(socket, "data");
    return found();
  };
  return { socket, names };
}

describe("http server, limits and life", () => {
  it("takes a body that has come before it is known who sends it", async () => {
    const authenticate = async () => {
      for (let turns = 0; turns < 3; turns++) await turn();
      return { ...anonymous, tenant: "t", subject: "s" };
    };
    const [echo] = routes.filter(({ id }) => id === "t.echo");
    const server = await started({ authenticate, routes: [{ ...echo!, permission: "topics.read" }] });
    const headers = { "content-type": "application/json" };
    const body = `{"name":"early"}`;
    const response = await fetch(`${server.url}/api/echo`, { method: "POST", body, headers });
    assert.deepEqual([response.status, await response.text()], [200, body]);
    await server.stop();
  });

  it("sends 429 with Retry-After and the limit's headers", async () => {
    const principal = {
      subject: "s",
      tenant: "t",
      roles: [],
      attributes: {},
      expiresAt: Number.POSITIVE_INFINITY,
    };
    const server = await started({
      authenticate: () => principal,
      limit: () => ({
        result: { allowed: false, remaining: 0, retryAfterMs: 1500, resetMs: 3000 },
        headers: { ratelimit: `"default";r=0;t=3` },
      }),
    });
    const response = await fetch(`${server.url}/api/guarded`);
    assert.equal(response.status, 429);
    assert.equal(response.headers.get("retry-after"), "2");
    assert.equal(response.headers.get("ratelimit"), `"default";r=0;t=3`);
    assert.equal((await problemOf(response)).code, "rate_limited");
    await server.stop();
  });

  it("wakes what waits when it stops, answers it, and stops twice without harm", {
    timeout: 20_000,
  }, async () => {
    const server = await started({ drainTimeoutMs: 60_000 }); // the client keeps its connections open
    const waiting = fetch(`${server.url}/api/wait`);
    await fetch(`${server.url}/api/nothing`, { method: "DELETE" });
    await Promise.all([server.stop(), server.stop()]);
    assert.deepEqual(await (await waiting).json(), { ended: "by signal" });
  });

  it("says which port is taken", async () => {
    const first = await started();
    const port = Number(new URL(first.url).port);
    await assert.rejects(
      started({ port }),
      (error: HotSwapError) => error.code === "port_in_use" && error.message.includes(String(port)),
    );
    await first.stop();
  });

  it("lets pages of the named origins call, and nobody else's", async () => {
    const server = await started({ corsOrigins: ["https://console.example"] });
    const ask = (origin: string) =>
      fetch(`${server.url}/api/nothing`, {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "DELETE" },
      });
    const allowed = await ask("https://console.example");
    assert.equal(allowed.status, 204);
    assert.equal(allowed.headers.get("access-control-allow-origin"), "https://console.example");
    const called = await fetch(`${server.url}/api/broken`, {
      headers: { origin: "https://console.example" },
    });
    assert.equal(called.headers.get("access-control-allow-origin"), "https://console.example");
    const refused = await ask("https://evil.example");
    assert.equal(refused.status, 405);
    assert.equal(refused.headers.get("access-control-allow-origin"), null);
    await server.stop();
  });

  it("refuses a restricted token where nothing can fit the restriction", async () => {
    const restricted = {
      ...anonymous,
      tenant: "t",
      roles: ["admin" as const],
      attributes: { environment: "test" },
    };
    const server = await started({ authenticate: () => restricted, authorize });
    const response = await fetch(`${server.url}/api/guarded`);
    assert.equal(response.status, 403);
    assert.equal((await problemOf(response)).code, "permission_denied");
    await server.stop();
    const checking = routes.map((one) => ({ ...one, checksResource: true }));
    const other = await started({ routes: checking, authenticate: () => restricted, authorize });
    assert.ok((await fetch(`${other.url}/api/guarded`)).ok);
    await other.stop();
  });
});
