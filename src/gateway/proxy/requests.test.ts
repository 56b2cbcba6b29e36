import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { answering, ok } from "./engine.testing.ts";
import { get, keeping, proxyTo } from "./proxying.testing.ts";
import type { Route } from "./snapshot.route.ts";

describe("a request on its way to the backend", { concurrency: true }, () => {
  test("is written anew: case kept, hop-by-hop fields gone, forwarding fields the proxy's own", async () => {
    let seen = "";
    await using proxy = await proxyTo(keeping((request) => (seen = request)));
    using client = proxy.client();
    const fields =
      "X-CaSe:kept \r\nConnection: X-Gone, keep-alive\r\nX-Gone: 1\r\nKeep-Alive: timeout=5\r\nTE: gzip\r\n" +
      "X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Client-Certificate: me\r\n" +
      "Proxy-Connection: x\r\nX-Request-Id: mine-1\r\n";
    await client.send(get(fields, "/a%20b?c=d")).until("ok");
    assert.match(
      seen,
      /^GET \/a%20b\?c=d HTTP\/1\.1\r\nHost: a\.example\r\nX-CaSe: kept\r\nX-Forwarded-For: 127\.0\.0\.1\r\n/,
    );
    assert.match(seen, /X-Forwarded-Proto: http\r\n/);
    assert.match(seen, /X-Request-Id: mine-1\r\ntraceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-00\r\n/);
    assert.doesNotMatch(seen, /6\.6\.6\.6|X-Gone|Keep-Alive|Connection|TE:|Certificate/);
    assert.match(client.received, /X-Request-Id: mine-1\r\n/);
  });

  test("keeps forwarding fields that come from a trusted hop", async () => {
    let seen = "";
    const trust = { trustedHops: ["127.0.0.0/8"] };
    await using proxy = await proxyTo(
      keeping((request) => (seen = request)),
      {},
      trust,
    );
    using client = proxy.client();
    await client
      .send(get("X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: o.example\r\n"))
      .until("ok");
    assert.match(
      seen,
      /X-Forwarded-For: 9\.9\.9\.9, 127\.0\.0\.1\r\nX-Forwarded-Host: o\.example\r\nX-Forwarded-Proto: https\r\n/,
    );
    assert.equal(proxy.engine.recent(1)[0]?.client, "9.9.9.9");
    for (const [hop, address] of [
      ["9.9.9.8:4711", "9.9.9.8"],
      ["[2001:db8::1]:4711", "2001:db8::1"],
      ["nobody", "127.0.0.1"],
    ]) {
      client.received = "";
      await client.send(get(`X-Forwarded-For: ${hop}\r\n`)).until("ok");
      assert.equal(proxy.engine.recent(1)[0]?.client, address);
    }
  });

  test("carries the caller's trace on, and starts one when there is none or it is broken", async () => {
    let seen = "";
    await using proxy = await proxyTo(keeping((request) => (seen = request)));
    using client = proxy.client();
    const trace = "0af7651916cd43dd8448eb211c80319c";
    const state = "tracestate: a=1\r\n";
    await client.send(get(`traceparent: 00-${trace}-b7ad6b7169203331-01\r\n${state}`)).until("ok");
    assert.match(seen, /tracestate: a=1\r\n/);
    assert.match(seen, new RegExp(`traceparent: 00-${trace}-(?!b7ad6b7169203331)[0-9a-f]{16}-01`));
    const broken = `traceparent: 00-${"0".repeat(32)}-b7ad6b7169203331-01\r\n`;
    await client.send(get(broken + state)).until(/ok[\s\S]*ok/);
    assert.doesNotMatch(seen, /tracestate/);
    assert.match(seen, /traceparent: 00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-00/);
  });

  test("brings a body of known length in pieces, and chunks framed anew with their trailer", async () => {
    let seen = "";
    await using proxy = await proxyTo((socket) => {
      socket.on("data", (chunk) => {
        seen += chunk.toString("latin1");
        if (/hello$|\r\n0\r\n(X-Sum: 1\r\n)?\r\n$/.test(seen)) socket.write(ok());
      });
    });
    using client = proxy.client();
    client.send("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
    await once(proxy.backend.sockets.values().next().value ?? client.socket, "connect").catch(() => {});
    await client.send("lo").until("ok");
    assert.match(seen, /Content-Length: 5\r\n[\s\S]*\r\n\r\nhello$/);
    seen = "";
    client.send("POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n");
    await client.send("2\r\nde\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n").until(/ok[\s\S]*ok/);
    assert.match(seen, /Transfer-Encoding: chunked\r\n/);
    assert.match(seen, /\r\n\r\n(3\r\nabc\r\n2\r\nde|5\r\nabcde)\r\n0\r\nX-Sum: 1\r\n\r\n$/);
  });

  test("is asked for its body when it expects that, once the backend is there", async () => {
    await using proxy = await proxyTo(answering((request) => ok(request.slice(-5))));
    using client = proxy.client();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    await client.until("HTTP/1.1 100 Continue\r\n\r\n");
    await client.send("12345").until("12345");
  });

  test("nothing of a refused one reaches a backend, and its connection ends", async () => {
    const bad = [
      "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
      "GET / HTTP/1.1\nHost: a\n\n",
      "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /%2e%2e/b HTTP/1.1\r\nHost: a\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ];
    let reached = "";
    await using proxy = await proxyTo((socket) => socket.on("data", (chunk) => (reached += chunk)));
    for (const text of bad) {
      using client = proxy.client();
      const answer = await client.send(text).end();
      assert.match(answer, /^HTTP\/1\.1 400 [\s\S]*"code":"http_malformed"/, text);
      assert.equal(answer.match(/HTTP\/1\.1 \d/g)?.length, 1);
    }
    assert.equal(reached, "");
  });

  test("too many fields are 431, a long target 414, another version 505, a large body 413", async () => {
    await using proxy = await proxyTo(
      answering(() => ok()),
      { policies: { requestBytesMax: 10 } },
    );
    const cases: [string, number][] = [
      [get("X: y\r\n".repeat(101)), 431],
      [get(`X: ${"y".repeat(17_000)}\r\n`), 431],
      [get("", `/${"y".repeat(9000)}`), 414],
      ["GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505],
      ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", 413],
      ["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n6\r\nabcdef\r\n", 413],
    ];
    for (const [text, status] of cases) {
      using client = proxy.client();
      assert.match(await client.send(text).end(), new RegExp(`^HTTP/1\\.1 ${status} `), text.slice(0, 50));
    }
  });

  test("transforms change path, host and fields", async () => {
    let seen = "";
    const route: Partial<Route> = {
      match: { path: { prefix: "/api" } },
      request: {
        replacePrefix: "/v2",
        host: "backend",
        headers: { set: { "X-A": "new" }, remove: ["x-secret"] },
      },
      response: { headers: { set: { Server: "gate" }, add: { "X-B": "1" } } },
    };
    await using proxy = await proxyTo(
      keeping((request) => (seen = request), "server: old\r\n"),
      route,
    );
    using client = proxy.client();
    const answer = await client.send(get("x-a: old\r\nX-Secret: 1\r\n", "/api/o?q=1")).until("ok");
    assert.match(
      seen,
      new RegExp(`^GET /v2/o\\?q=1 HTTP/1\\.1\r\nHost: 127.0.0.1:${proxy.backend.port}\r\n`),
    );
    assert.match(seen, /X-A: new\r\n/);
    assert.doesNotMatch(seen, /old|Secret/);
    assert.match(answer, /Server: gate\r\nX-B: 1\r\n/);
    assert.doesNotMatch(answer, /server: old/);
  });

  test("a redirect is answered here", async () => {
    const redirect = { status: 308, location: "https://b.example{path}{query}" } as const;
    await using proxy = await proxyTo(
      answering(() => ok()),
      { redirect },
    );
    using client = proxy.client();
    assert.match(
      await client.send(get("", "/x?y")).until("\r\n\r\n"),
      /^HTTP\/1\.1 308 [\s\S]*Location: https:\/\/b\.example\/x\?y\r\n/,
    );
    assert.equal(proxy.backend.connections, 0);
  });
});

describe("upgrades", { concurrency: true }, () => {
  const upgrade = get("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n");

  test("become a tunnel both ways, with what came along", async () => {
    let head = "";
    await using proxy = await proxyTo((socket) => {
      socket.once("data", (chunk) => {
        head = chunk.toString("latin1");
        socket.write(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
        );
        socket.on("data", (data) => socket.write(data));
      });
    });
    using client = proxy.client();
    await client.send(upgrade).until("hello");
    assert.match(head, /Connection: Upgrade\r\nUpgrade: websocket\r\n/);
    assert.match(
      client.received,
      /^HTTP\/1\.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/,
    );
    await client.send("\x81\xffbytes").until("\x81\xffbytes");
    assert.equal(proxy.engine.tunnels, 1);
    assert.equal(proxy.engine.backend("b")?.inFlight, 1);
    client.socket.end();
    await client.end();
    assert.equal(proxy.engine.tunnels, 0);
    assert.equal(proxy.engine.backend("b")?.inFlight, 0);
  });

  test("that the backend declines are ordinary answers", async () => {
    await using proxy = await proxyTo(answering(() => ok("no")));
    using client = proxy.client();
    await client.send(upgrade).until("no");
    await client.send(get()).until(/no[\s\S]*no/);
  });

  test("h2c and those on a route without upgrades are not asked for", async () => {
    let seen = "";
    await using proxy = await proxyTo(keeping((request) => (seen = request)));
    using client = proxy.client();
    await client
      .send(get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"))
      .until("ok");
    assert.doesNotMatch(seen, /Upgrade|HTTP2/i);
  });
});
