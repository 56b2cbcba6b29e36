/**
 * A publish disturbs nobody: while routes change all the time, no request fails, no stream and no tunnel is closed,
 * and every answer is from one of the two revisions that were live while it was asked for. A short form of
 * bench/gateway/disturbance.ts, which does it for longer and counts.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { answering, ok, RawClient, routeTo, startBackend } from "./engine.testing.ts";
import { GatewayProxy } from "./proxy.ts";
import type { Backend } from "./snapshot.backend.ts";
import type { Route } from "./snapshot.route.ts";

const REVISIONS = 200;

test("200 revisions under load: no failure, no closed stream, no answer from elsewhere", async () => {
  await using plain = await startBackend(
    "plain",
    answering(() => ok("plain")),
  );
  await using streaming = await startBackend("stream", (socket) => {
    socket.once("data", (head) => {
      const isSocket = head.includes("websocket");
      socket.write(
        isSocket
          ? "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nopen"
          : "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nopen",
      );
      if (isSocket) socket.on("data", (data) => socket.write(data));
    });
  });
  const proxy = new GatewayProxy();
  const [address] = await proxy.start({ listen: [{ port: 0 }] });
  const port = address!.port;
  const steady: Route[] = [
    routeTo(["plain"], { id: "plain", match: { path: { prefix: "/plain" } } }),
    routeTo(["stream"], { id: "stream", match: { path: { prefix: "/stream" } } }),
  ];
  const moving = (revision: number): Route =>
    routeTo(["plain"], {
      id: "moving",
      match: { path: { prefix: "/moving" } },
      response: { headers: { set: { "X-Revision": String(revision) } } },
    });
  const steadyBackends: Backend[] = [plain.settings(), streaming.settings()];
  const publish = (revision: number) =>
    proxy.publish({
      revision,
      routes: [...steady, moving(revision)],
      // One that nobody uses comes and goes with each revision.
      backends: [...steadyBackends, { id: `extra-${revision}`, url: "http://127.0.0.1:9" }],
    });
  await publish(0);

  const open = async (fields: string) => {
    const client = new RawClient(port);
    await client.send(`GET /stream HTTP/1.1\r\nHost: a\r\n${fields}\r\n`).until("open");
    return client;
  };
  const sockets = await Promise.all(
    Array.from({ length: 20 }, () => open("Connection: Upgrade\r\nUpgrade: websocket\r\n")),
  );
  const streams = await Promise.all(Array.from({ length: 10 }, () => open("")));
  let asked = 0;
  let published = 0;
  let isOver = false;
  const load = async () => {
    using client = new RawClient(port);
    while (!isOver) {
      const before = published;
      client.received = "";
      const path = asked++ % 2 === 0 ? "/plain" : "/moving";
      const answer = await client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).until(/\r\n\r\nplain/);
      assert.match(answer, /^HTTP\/1\.1 200 /);
      if (path === "/moving") {
        const revision = Number(/X-Revision: (\d+)/.exec(answer)?.[1]);
        assert.ok(
          revision >= before && revision <= published + 1,
          `${revision} between ${before} and ${published}`,
        );
      }
    }
  };
  const loads = Array.from({ length: 16 }, load);
  for (let revision = 1; revision <= REVISIONS; revision++) {
    assert.deepEqual(await publish(revision), []);
    published = revision;
  }
  isOver = true;
  await Promise.all(loads);
  for (const socket of sockets) await socket.send("still here").until("still here");
  for (const backend of streaming.sockets) backend.write("and here");
  for (const stream of streams) await stream.until("and here");
  const stats = await proxy.stats();
  assert.deepEqual([stats.revision, stats.flags], [REVISIONS, {}]);
  assert.ok(asked > REVISIONS, `${asked} requests`);
  assert.ok(
    plain.connections <= 16,
    `${plain.connections} connections for 16 clients: pools were not carried over`,
  );
  const ends = [...sockets, ...streams].map((client) => once(client.socket, "close"));
  await proxy.stop({ drainMs: 0 });
  await Promise.all(ends);
});
