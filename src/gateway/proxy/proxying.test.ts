import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import { answering, ok, RawClient, routeTo, startBackend, startEngine } from "./engine.testing.ts";
import type { Route } from "./snapshot.route.ts";

type Talk = (socket: Socket, index: number) => void;

/** An engine with one route to one backend that talks like this. */
async function proxyTo(talk: Talk, route: Partial<Route> = {}, proxy = {}) {
  const backend = await startBackend("b", talk);
  const running = await startEngine(
    { routes: [routeTo(["b"], route)], backends: [backend.settings()] },
    proxy,
  );
  return {
    backend,
    ...running,
    client: () => new RawClient(running.port),
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    },
  };
}

/** Says ok, and shows what was asked. */
const keeping = (show: (request: string) => void, fields = "") =>
  answering((request) => {
    show(request);
    return ok("ok", fields);
  });

const get = (fields = "", target = "/x") => `GET ${target} HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n`;

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

describe("an answer on its way to the client", { concurrency: true }, () => {
  test("pipelined requests are answered in order", async () => {
    await using proxy = await proxyTo(answering((request) => ok(request.split(" ")[1])));
    using client = proxy.client();
    const targets = Array.from({ length: 20 }, (_, index) => `/${index}`);
    client.send(targets.map((target) => get("", target)).join(""));
    const all = await client.until("/19");
    assert.deepEqual(
      [...all.matchAll(/\r\n\r\n(\/\d+)/g)].map(([, target]) => target),
      targets,
    );
  });

  test("a request that is half there while another is answered is read to its end", async () => {
    const waiting: (() => void)[] = [];
    await using proxy = await proxyTo(
      answering((request, socket) => {
        waiting.push(() => socket.write(ok(request.split(" ")[1])));
        return undefined;
      }),
    );
    using client = proxy.client();
    client.send(get("", "/1"));
    while (waiting.length < 1) await new Promise((resolve) => setImmediate(resolve));
    client.send("GET /2 HTTP/1.1\r\nHo");
    // The first answer goes out with the half request pending, and the rest comes only then.
    await new Promise((resolve) => setTimeout(resolve, 20));
    waiting.shift()!();
    await client.until("/1");
    client.send("st: a\r\n\r\n");
    while (waiting.length < 1) await new Promise((resolve) => setImmediate(resolve));
    waiting.shift()!();
    await client.until("/2");
  });

  test("a slow reader gets all of an answer that ends the connection", async () => {
    const size = 24 * 1024 * 1024;
    await using proxy = await proxyTo((socket) => {
      socket.once("data", () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
        socket.write(Buffer.alloc(size, "x"));
      });
    });
    using client = proxy.client();
    let received = 0;
    client.socket.removeAllListeners("data").on("data", (chunk) => {
      received += chunk.length;
    });
    client.socket.pause();
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    await new Promise((resolve) => setTimeout(resolve, 2600));
    client.socket.resume();
    await once(client.socket, "end");
    assert.ok(received > size, `${received} of ${size}`);
  });

  test("HEAD, 204 and 304 have no body, whatever their head says", async () => {
    await using proxy = await proxyTo(
      answering((request) =>
        request.startsWith("HEAD")
          ? "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
          : request.includes("/204")
            ? "HTTP/1.1 204 No Content\r\n\r\n"
            : "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
      ),
    );
    using client = proxy.client();
    client.send(get().replace("GET", "HEAD")).send(get("", "/204")).send(get("", "/304"));
    const all = await client.until(/304 Not Modified[\s\S]*\r\n\r\n$/);
    assert.match(
      all,
      /200 OK\r\nContent-Length: 500[\s\S]*204 No Content[\s\S]*304 Not Modified\r\nContent-Length: 7/,
    );
    assert.equal(proxy.backend.connections, 1);
  });

  test("chunks pass with their trailer; what ends by closing is chunked for 1.1 and closed for 1.0", async () => {
    await using proxy = await proxyTo(
      answering((request, socket) => {
        if (!request.includes("/close"))
          return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\nX-T: 1\r\n\r\n";
        socket.end("HTTP/1.1 200 OK\r\n\r\nall there is");
        return undefined;
      }),
    );
    using client = proxy.client();
    assert.match(
      await client.send(get()).until("X-T"),
      /Transfer-Encoding: chunked\r\n[\s\S]*\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n$/,
    );
    assert.match(
      await client.send(get("", "/close")).until(/all there is\r\n0\r\n\r\n$/),
      /c\r\nall there is/,
    );
    using old = proxy.client();
    const answer = await old.send("GET /close HTTP/1.0\r\nHost: a\r\n\r\n").end();
    assert.match(answer, /Connection: close\r\n[\s\S]*\r\n\r\nall there is$/);
    assert.doesNotMatch(answer, /chunked/);
    using chunked = proxy.client();
    assert.match(await chunked.send("GET / HTTP/1.0\r\n\r\n").end(), /\r\n\r\nhi$/);
  });

  test("103 goes through, 100 does not", async () => {
    await using proxy = await proxyTo(
      answering(() => `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok()}`),
    );
    using client = proxy.client();
    assert.match(
      await client.send(get()).until("ok"),
      /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 200/,
    );
  });

  test("parts arrive when the backend sends them (SSE)", async () => {
    let backend: Socket | undefined;
    await using proxy = await proxyTo((socket) => {
      backend = socket;
      socket.once("data", () =>
        socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"),
      );
    });
    using client = proxy.client();
    await client.send(get()).until("data: 1\n\n");
    backend!.write("data: 2\n\n");
    await client.until("data: 2\n\n");
    assert.equal(proxy.engine.backend("b")?.inFlight, 1);
    backend!.end();
    await client.until("0\r\n\r\n");
    assert.equal(proxy.engine.backend("b")?.inFlight, 0);
  });

  test("one that comes before the request's end is passed on, and the connection ends after it", async () => {
    await using proxy = await proxyTo((socket) =>
      socket.once("data", () => socket.write("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")),
    );
    using client = proxy.client();
    const answer = await client
      .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\npart")
      .end();
    assert.match(answer, /^HTTP\/1\.1 403 No\r\n[\s\S]*Connection: close\r\n[\s\S]*no$/);
  });

  test("a reader that stops holds the backend up; nothing piles up in between", async () => {
    const size = 64 * 1024 * 1024;
    let sent = 0;
    let isStuck: () => void;
    const stuck = new Promise<void>((resolve) => (isStuck = resolve));
    await using proxy = await proxyTo((socket) => {
      const part = Buffer.alloc(65_536, "x");
      const pump = () => {
        while (sent < size) {
          sent += part.length;
          if (!socket.write(part)) {
            const timer = setTimeout(() => isStuck(), 500);
            socket.once("drain", () => {
              clearTimeout(timer);
              pump();
            });
            return;
          }
        }
      };
      socket.once("data", () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
        pump();
      });
    });
    using client = proxy.client();
    client.socket.pause();
    client.send(get());
    await stuck;
    assert.ok(sent < size / 2, `${sent} bytes were taken from the backend`);
    let received = 0;
    client.socket.removeAllListeners("data").on("data", (chunk) => (received += chunk.length));
    client.socket.resume();
    while (received < size) await once(client.socket, "data");
  });

  test("an upload waits for a backend that does not read", async () => {
    await using proxy = await proxyTo((socket) => socket.pause());
    using client = proxy.client();
    client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${64 * 1024 * 1024}\r\n\r\n`);
    const part = Buffer.alloc(65_536);
    let sent = 0;
    while (sent < 64 * 1024 * 1024) {
      sent += part.length;
      if (client.socket.write(part)) continue;
      const isDrained = await Promise.race([
        once(client.socket, "drain").then(() => true),
        new Promise<boolean>((resolve) => setTimeout(resolve, 500, false)),
      ]);
      if (!isDrained) break;
    }
    assert.ok(sent < 32 * 1024 * 1024, `${sent} bytes were taken from the client`);
  });
});

describe("a backend that fails", { concurrency: true }, () => {
  const broken: [name: string, status: number, flag: string, talk: Talk][] = [
    [
      "sends garbage",
      502,
      "UP",
      (socket) => socket.once("data", () => socket.write("SSH-2.0-OpenSSH_9.2 hello hello\r\n")),
    ],
    [
      "sends two lengths",
      502,
      "UP",
      (socket) =>
        socket.once("data", () =>
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        ),
    ],
    [
      "switches protocols unasked",
      502,
      "UP",
      (socket) =>
        socket.once("data", () => socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")),
    ],
    ["closes before it answers", 502, "UC", (socket) => socket.once("data", () => socket.destroy())],
    [
      "closes in the middle of its head",
      502,
      "UC",
      (socket) => socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nConte")),
    ],
    ["never answers", 504, "UT", (socket) => socket.resume()],
  ];
  for (const [name, status, flag, talk] of broken) {
    test(`${name}: ${status}, its connection is not used again`, async () => {
      const over: Partial<Route> = { retry: { attempts: 0 }, timeouts: { firstByteMs: 200 } };
      await using proxy = await proxyTo(talk, over);
      using client = proxy.client();
      await client.send(get()).until(new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*"requestId"`));
      await client.send(get()).until(new RegExp(`HTTP/1\\.1 ${status} [\\s\\S]*HTTP/1\\.1 ${status} `));
      assert.equal(proxy.backend.connections, 2);
      assert.deepEqual(proxy.engine.recent(1)[0]?.flags, [flag]);
      assert.equal(proxy.engine.backend("b")?.inFlight, 0);
    });
  }

  test("closes in the middle of its body: the client's connection is cut, no end is made up", async () => {
    await using proxy = await proxyTo((socket) =>
      socket.once("data", () =>
        socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
      ),
    );
    using client = proxy.client();
    const answer = await client.send(get()).end();
    assert.match(answer, /hello/);
    assert.doesNotMatch(answer, /\r\n0\r\n/);
  });

  test("says more than its answer: the answer passes, the connection is not used again", async () => {
    await using proxy = await proxyTo(
      answering(() => `${ok()}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`),
    );
    using client = proxy.client();
    await client.send(get()).until("ok");
    const all = await client.send(get()).until(/ok[\s\S]*ok/);
    assert.doesNotMatch(all, /poison/);
    assert.equal(proxy.backend.connections, 2);
  });

  test("speaks while nobody asked: what it says is no answer to the next request", async () => {
    let socket: Socket | undefined;
    await using proxy = await proxyTo((one) => {
      socket = one;
      answering(() => ok())(one);
    });
    using client = proxy.client();
    await client.send(get()).until("ok");
    socket!.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
    await once(socket!, "close");
    assert.doesNotMatch(await client.send(get()).until(/ok[\s\S]*ok/), /poison/);
  });

  test("closes a kept connection just as it is used again: tried again unseen, but not a POST", async () => {
    // Every connection answers once and then closes on the next request.
    let requests = 0;
    await using proxy = await proxyTo((socket) => {
      let isFirst = true;
      answering(() => {
        requests++;
        if (!isFirst) return void socket.destroy();
        isFirst = false;
        return ok();
      })(socket);
    });
    using client = proxy.client();
    await client.send(get()).until("ok");
    await client.send(get()).until(/ok[\s\S]*ok/);
    assert.equal(requests, 3);
    const answer = await client
      .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
      .until(/ok[\s\S]*ok[\s\S]*HTTP\/1\.1 502/);
    assert.match(answer, /gateway_backend_closed/);
    assert.equal(requests, 4);
  });

  test("refuses connections: 502, and any method goes to another backend, since nothing was sent", async () => {
    await using gone = await startBackend("gone", () => {});
    await gone[Symbol.asyncDispose]();
    await using well = await startBackend(
      "well",
      answering(() => ok("well")),
    );
    await using running = await startEngine({
      routes: [
        routeTo(["gone"], { id: "alone", match: { path: { prefix: "/alone" } } }),
        routeTo(["gone", "well"]),
      ],
      backends: [gone.settings(), well.settings()],
    });
    using client = new RawClient(running.port);
    await client.send(get("", "/alone")).until(/HTTP\/1\.1 502 [\s\S]*gateway_backend_unreachable/);
    for (let i = 1; i <= 4; i++) {
      const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
      await client.send(post).until((all) => all.split("well").length > i);
    }
  });
});

describe("a client that fails", { concurrency: true }, () => {
  test("leaves: the backend's connection is closed, nothing stays counted", async () => {
    const closed: Promise<unknown>[] = [];
    await using proxy = await proxyTo((socket) => {
      closed.push(once(socket, "close"));
      socket.resume();
    });
    using client = proxy.client();
    client.send(get());
    while (closed.length === 0) await new Promise((resolve) => setImmediate(resolve));
    client.socket.resetAndDestroy();
    await closed[0];
    assert.equal(proxy.engine.backend("b")?.inFlight, 0);
    assert.deepEqual(proxy.engine.recent(1)[0]?.flags, ["DC"]);
  });

  test("sends its head too slowly: 408", async () => {
    await using proxy = await proxyTo(
      answering(() => ok()),
      {},
      { limits: { headMs: 200 } },
    );
    using client = proxy.client();
    assert.match(await client.send("GET / HTTP/1.1\r\nHo").end(), /^HTTP\/1\.1 408 /);
  });

  test("sends its body too slowly: 408", async () => {
    const limits = { headMs: 200, bodyBytesPerSecondMin: 1000 };
    await using proxy = await proxyTo((socket) => socket.resume(), {}, { limits });
    using client = proxy.client();
    assert.match(
      await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx").end(),
      /^HTTP\/1\.1 408 /,
    );
  });

  test("half-closes after its request: it is answered", async () => {
    await using proxy = await proxyTo(answering(() => ok()));
    using client = proxy.client();
    client.socket.end(get(), "latin1");
    assert.match(await client.end(), /ok$/);
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
