/**
 * Weaknesses that other proxies had, each as the bytes that showed it. What must not pass is refused, its connection
 * ends, and nothing of it, nor of what was smuggled behind it, reaches a backend; what may pass must arrive in a form
 * that means the same to everybody.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { answering, ok, RawClient, routeTo, startBackend, startEngine } from "./engine.testing.ts";

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
const post = (fields: string, body = "") => `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`;
const get = (target: string, fields = "") => `GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;

/** Names whoever had it: an advisory, or a technique of request smuggling that has no number of its own. */
type Case = readonly [name: string, bytes: string];

const refused: readonly Case[] = [
  [
    "GHSA-mp2g-9vg9-f4cg (h3): an encoding after chunked",
    post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
  ],
  [
    "GHSA-mp2g-9vg9-f4cg (h3): an encoding before chunked",
    post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
  ],
  [
    "GHSA-mp2g-9vg9-f4cg (h3): two fields",
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n"),
  ],
  ["GHSA-2q7r-29rg-6m5h (reply-from): encoded dot segments", get("/ho/%2E%2E/hi")],
  ["GHSA-2q7r-29rg-6m5h (reply-from): with an encoded slash", get("/ho/..%2Fhi")],
  ["GHSA-2q7r-29rg-6m5h (reply-from): with a parameter", get("/ho/..;x=1/hi")],
  ["GHSA-v574-6498-x57v (reply-from): a target that runs on from an origin", get("1/private")],
  ["fast-proxy#42: a whole URL of another host", get("http://10.10.10.10/")],
  ["CL.TE", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")],
  ["TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n")],
  ["CL.CL", post("Content-Length: 0\r\nContent-Length: 5\r\n")],
  ["CL.CL, the same twice", post("Content-Length: 0\r\nContent-Length: 0\r\n")],
  ["CL with a sign", post("Content-Length: +0\r\n")],
  ["CL in hexadecimal", post("Content-Length: 0x0\r\n")],
  ["CL with a blank inside", post("Content-Length: 0 0\r\n")],
  ["CL of more than 15 digits", post("Content-Length: 0000000000000000\r\n")],
  ["TE hidden by a blank before the colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n")],
  ["TE hidden by a vertical tab", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n")],
  ["TE hidden in a folded line", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n")],
  ["TE hidden behind a bare LF", post("X: y\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")],
  ["TE hidden behind a bare CR", post("X: y\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n")],
  ["TE in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["a chunk's size with a sign", post("Transfer-Encoding: chunked\r\n", "+0\r\n\r\n")],
  ["a chunk's size in 0x", post("Transfer-Encoding: chunked\r\n", "0x0\r\n\r\n")],
  ["a chunk's size that overflows", post("Transfer-Encoding: chunked\r\n", "10000000000000000\r\n")],
  ["a chunk's line with a bare LF", post("Transfer-Encoding: chunked\r\n", "0\n\r\n")],
  ["a chunk's extension with a bare LF", post("Transfer-Encoding: chunked\r\n", "0;a\nb\r\n\r\n")],
  ["a trailer with a bare LF", post("Transfer-Encoding: chunked\r\n", "0\r\nX: y\n\r\n")],
  ["NUL in a value", get("/", "X: \0\r\n")],
  ["two Hosts", get("/", "Host: b\r\n")],
  ["no Host", "GET / HTTP/1.1\r\n\r\n"],
  ["a Host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"],
  ["HTTP/0.9", "GET /\r\n\r\n"],
  ["HTTP/1.1 with a blank too many", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a fragment", get("/a#b")],
  ["a backslash", get("/a\\b")],
];

describe("what other proxies let through", () => {
  let backend: Awaited<ReturnType<typeof startBackend>>;
  let other: Awaited<ReturnType<typeof startBackend>>;
  let proxy: Awaited<ReturnType<typeof startEngine>>;
  let seen: string[] = [];
  before(async () => {
    const tell = (name: string) =>
      answering((request) => {
        seen.push(`${name} ${request}`);
        return ok(name);
      });
    [backend, other] = [await startBackend("b", tell("b")), await startBackend("c", tell("c"))];
    proxy = await startEngine(
      {
        routes: [
          routeTo(["b"], { id: "rest" }),
          routeTo(["c"], {
            id: "moved",
            match: { path: { prefix: "/moved" } },
            request: { replacePrefix: "/" },
          }),
        ],
        backends: [backend.settings(), other.settings()],
      },
      { trustedHops: ["10.0.0.1"] },
    );
  });
  after(async () => {
    await proxy?.[Symbol.asyncDispose]();
    await Promise.all([backend, other].map((one) => one?.[Symbol.asyncDispose]()));
  });

  for (const [name, bytes] of refused) {
    test(`${name}: refused, and nothing reaches a backend`, async () => {
      seen = [];
      using client = new RawClient(proxy.port);
      const answer = await client.send(bytes + smuggled).end();
      assert.match(answer, /^HTTP\/1\.[01] (400|501|505) /);
      assert.equal(answer.match(/HTTP\/1\.[01] \d/g)?.length, 1, answer);
      assert.deepEqual(seen, []);
    });
  }

  const passed = async (bytes: string) => {
    seen = [];
    using client = new RawClient(proxy.port);
    await client.send(bytes).until(/\r\n\r\n[bc]$/);
    assert.equal(seen.length, 1);
    return seen[0]!;
  };

  test("reply-from before 12.6.2: Connection takes away nothing that the proxy adds", async () => {
    const names =
      "X-Forwarded-For, X-Forwarded-Proto, X-Request-Id, traceparent, Host, Content-Length, Authorization";
    const request = await passed(
      post(`Connection: ${names}\r\nAuthorization: x\r\nContent-Length: 2\r\n`, "{}"),
    );
    for (const name of names.split(", ")) assert.match(request, new RegExp(`\r\n${name}: `, "i"));
  });

  test("CVE-2026-3635 (fastify): forwarding fields of a peer that is not a trusted hop do not count", async () => {
    const forged = "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-For: 6.6.6.6\r\n";
    const request = await passed(get("/", `${forged}Forwarded: for=6.6.6.6;host=evil.test;proto=https\r\n`));
    assert.match(request, /\r\nX-Forwarded-Proto: http\r\n/);
    assert.doesNotMatch(request, /evil\.test|6\.6\.6\.6/);
  });

  test("GHSA-v2v2-hph8-q5xp (reply-from): a body arrives as it was sent, whatever its type seems to be", async () => {
    const body = '"{\\"method\\":\\"x\\"}"';
    const type = "Content-Type: application/json ; charset=utf-8\r\n";
    const request = await passed(post(`${type}Content-Length: ${body.length}\r\n`, body));
    assert.ok(request.endsWith(`\r\n\r\n${body}`), request);
    assert.match(request, /Content-Type: application\/json ; charset=utf-8\r\n/);
  });

  test("GHSA-v574-6498-x57v (reply-from): the path never decides which backend it is", async () => {
    // The same text put together from another origin and another path.
    const path = `/${other.port}/private`;
    assert.match(await passed(get(path)), /^b GET /);
    assert.match(await passed(get(`/moved${path}`)), new RegExp(`^c GET ${path} `));
    assert.match(await passed(get(path)), /^b GET /);
  });

  test("h2c smuggling: the backend is not asked for another protocol than websocket", async () => {
    const request = await passed(
      get("/", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"),
    );
    assert.doesNotMatch(request, /upgrade|http2-settings|h2c/i);
  });

  test("fast-proxy#42: a path that looks like another host stays a path", async () => {
    assert.match(
      await passed(get("//10.10.10.10/x")),
      /^b GET \/\/10\.10\.10\.10\/x HTTP\/1\.1\r\nHost: a\r\n/,
    );
    assert.match(
      await passed(get("/moved//10.10.10.10/x")),
      /^c GET \/+10\.10\.10\.10\/x HTTP\/1\.1\r\nHost: a\r\n/,
    );
  });
});
