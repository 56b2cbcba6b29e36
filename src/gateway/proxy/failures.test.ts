import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import { answering, ok, RawClient, routeTo, startBackend, startEngine } from "./engine.testing.ts";
import { get, proxyTo, type Talk } from "./proxying.testing.ts";
import type { Route } from "./snapshot.route.ts";

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

  const slow: [name: string, timeouts: NonNullable<Route["timeouts"]>, parts: number][] = [
    ["stalls within its answer: cut when nothing has come for idleMs", { idleMs: 200 }, 1],
    ["goes on and on: cut after totalMs", { totalMs: 300 }, Number.POSITIVE_INFINITY],
  ];
  for (const [name, timeouts, parts] of slow) {
    test(name, async () => {
      await using proxy = await proxyTo(
        (socket) =>
          socket.once("data", () => {
            let sent = 0;
            socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            const timer = setInterval(() => ++sent <= parts && socket.write("1\r\nx\r\n"), 20);
            socket.once("close", () => clearInterval(timer));
          }),
        { timeouts },
      );
      using client = proxy.client();
      assert.match(await client.send(get()).end(), /^HTTP\/1\.1 200 [\s\S]*x(?![\s\S]*\r\n0\r\n)/);
      assert.deepEqual(proxy.engine.recent(1)[0]?.flags, ["UT"]);
      assert.equal(proxy.engine.backend("b")?.inFlight, 0);
    });
  }

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
