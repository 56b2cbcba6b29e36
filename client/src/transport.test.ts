/**
 * The transport against a plain HTTP server that misbehaves on purpose: refusals, broken connections,
 * silence. What needs HotSwap itself is tested against HotSwap, in client.test.ts.
 */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, describe, it } from "node:test";
import { nodeWire } from "./node.ts";
import { HotSwapConnectionError, HotSwapProblem } from "./problem.ts";
import { path, Transport, type TransportOptions } from "./transport.ts";
import { fetchWire } from "./wire.ts";

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

const ends: (() => Promise<void>)[] = [];
after(() => Promise.all(ends.map((end) => end())));

/** A server that gives these answers in turn, the last one again and again, and notes what came. */
async function serverOf(...answers: Answer[]) {
  const seen: { method: string; url: string; headers: IncomingMessage["headers"]; body: string }[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const answer = answers[Math.min(seen.length, answers.length - 1)]!;
    seen.push({ method: request.method!, url: request.url!, headers: request.headers, body });
    answer(request, response, body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  ends.push(stop);
  return { url: `http://127.0.0.1:${port}`, seen, stop };
}

const ok: Answer = (_request, response) => response.end(`{"fine":true}`);
const hangUp: Answer = (_request, response) => response.destroy();
const silence: Answer = () => {};
const problem =
  (status: number, code: string, extra = {}): Answer =>
  (_request, response) => {
    response.writeHead(status, { "content-type": "application/problem+json", "retry-after": "0" });
    response.end(JSON.stringify({ status, code, detail: "no", requestId: "r-1", ...extra }));
  };

const wires = { fetch: fetchWire, node: nodeWire };

for (const [name, makeWire] of Object.entries(wires)) {
  describe(`transport over ${name}`, () => {
    const wire = makeWire();
    after(() => wire.close?.());
    const transport = (url: string, options: Partial<TransportOptions> = {}) =>
      new Transport({ url, wire, retry: { baseMs: 1 }, ...options });
    const get = { method: "GET", path: "/x" } as const;
    const post = { method: "POST", path: "/x", body: { a: 1 } } as const;

    it("sends JSON with the token and keeps a path in the address", async () => {
      const { url, seen } = await serverOf(ok);
      const call = transport(`${url}/behind/`, { token: async () => "secret" });
      assert.deepEqual(await call.json({ ...post, query: { q: "a b", none: undefined } }), { fine: true });
      assert.equal(seen[0]!.url, "/behind/x?q=a+b");
      assert.equal(seen[0]!.body, `{"a":1}`);
      assert.equal(seen[0]!.headers.authorization, "Bearer secret");
      assert.equal(seen[0]!.headers["content-type"], "application/json");
    });

    it("throws the server's problem with all that it says", async () => {
      const errors = [{ pointer: "/name", message: "too long" }];
      const { url, seen } = await serverOf(problem(400, "validation_failed", { errors, help: "shorten" }));
      const error = await transport(url)
        .json(get)
        .catch((thrown: unknown) => thrown);
      assert.ok(error instanceof HotSwapProblem);
      const { code, status, detail, requestId, help } = error;
      assert.deepEqual(
        { code, status, detail, requestId, help, errors: error.errors },
        {
          code: "validation_failed",
          status: 400,
          detail: "no",
          requestId: "r-1",
          help: "shorten",
          errors,
        },
      );
      assert.equal(seen.length, 1);
    });

    it("makes a problem of an answer that is not HotSwap's", async () => {
      const { url } = await serverOf((_request, response) => response.writeHead(418).end("<html>"));
      await assert.rejects(transport(url).json(get), { code: "http_418", status: 418 });
    });

    it("repeats any request of which nothing was accepted", async () => {
      const { url, seen } = await serverOf(problem(503, "overloaded"), problem(429, "rate_limited"), ok);
      assert.deepEqual(await transport(url).json(post), { fine: true });
      assert.equal(seen.length, 3);
    });

    it("gives up after the attempts of its policy", async () => {
      const { url, seen } = await serverOf(problem(503, "overloaded"));
      const call = transport(url, { retry: { baseMs: 1, attempts: 3 } });
      await assert.rejects(call.json(post), { code: "overloaded" });
      assert.equal(seen.length, 3);
    });

    it("does not wait longer than its policy, whatever the server asks for", async () => {
      const { url, seen } = await serverOf(problem(429, "rate_limited", { retryAfterMs: 60_000 }));
      await assert.rejects(transport(url).json(get), { retryAfterMs: 60_000 });
      assert.equal(seen.length, 1);
    });

    it("repeats an idempotent request after a lost connection, and no other", async () => {
      const lost = await serverOf(hangUp, ok);
      assert.deepEqual(await transport(lost.url).json(get), { fine: true });
      const posted = await serverOf(hangUp, ok);
      await assert.rejects(transport(posted.url).json(post), { failure: "lost" });
      assert.equal(posted.seen.length, 1);
    });

    it("tells a refused connection from a lost one", async () => {
      const { url, stop } = await serverOf(ok);
      await stop();
      const call = transport(url, { retry: { attempts: 2, baseMs: 1 } });
      const error = await call.json(post).catch((thrown: unknown) => thrown);
      assert.ok(error instanceof HotSwapConnectionError);
      assert.equal(error.failure, "refused");
    });

    it("gives up on a silent server", async () => {
      const { url } = await serverOf(silence);
      await assert.rejects(transport(url, { timeoutMs: 30 }).json(post), { failure: "timeout" });
    });

    it("ends at once with the signal's reason, while sending and while waiting to repeat", async () => {
      const silent = await serverOf(silence);
      const sending = new AbortController();
      const sent = transport(silent.url).json({ ...post, signal: sending.signal });
      sending.abort(new Error("enough"));
      await assert.rejects(sent, { message: "enough" });

      const waiting = new AbortController();
      const busy = await serverOf((request, response, body) => {
        problem(503, "overloaded", { retryAfterMs: 9_000 })(request, response, body);
        response.on("finish", () => setImmediate(() => waiting.abort(new Error("no patience"))));
      });
      await assert.rejects(transport(busy.url).json({ ...post, signal: waiting.signal }), {
        message: "no patience",
      });
    });

    it("asks once for a new token when the old one has expired", async () => {
      const { url, seen } = await serverOf(problem(401, "token_expired"), ok);
      const tokens = ["old", "new"];
      await transport(url, { token: () => tokens.shift()! }).json(post);
      assert.deepEqual(
        seen.map(({ headers }) => headers.authorization),
        ["Bearer old", "Bearer new"],
      );
      const fixed = await serverOf(problem(401, "token_expired"), ok);
      await assert.rejects(transport(fixed.url, { token: "old" }).json(post), { code: "token_expired" });
    });
  });
}

describe("path", () => {
  it("escapes what is put in", () => assert.equal(path`/t/${"a/b c"}/x`, "/t/a%2Fb%20c/x"));
  it("refuses what would walk up", () => {
    for (const value of ["", ".", ".."]) assert.throws(() => path`/t/${value}`, TypeError);
  });
});
