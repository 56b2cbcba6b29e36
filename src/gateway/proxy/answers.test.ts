import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import { answering, ok } from "./engine.testing.ts";
import { get, proxyTo } from "./proxying.testing.ts";

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
