import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Worker } from "node:worker_threads";
import type { ProxyOptions } from "./data-plane.ts";
import { answering, ok, RawClient, routeTo, startBackend } from "./engine.testing.ts";
import { changeBetween, GatewayProxy } from "./proxy.ts";
import type { Route } from "./snapshot.route.ts";
import type { Snapshot } from "./snapshot.ts";

const route = (id: string, prefix = `/${id}`): Route => ({
  id,
  name: id,
  tenant: "t",
  match: { path: { prefix } },
  targets: [{ backend: "b" }],
});
const snapshot = (revision: number, routes: Route[]): Snapshot => ({
  revision,
  routes,
  backends: [{ id: "b", url: "http://127.0.0.1:1" }],
});

test("a change holds what is new, what differs and what is gone, and nothing else", () => {
  const same = route("same");
  const from = snapshot(1, [same, route("equal"), route("differs"), route("gone")]);
  const to = snapshot(2, [same, route("equal"), route("differs", "/other"), route("new")]);
  const change = changeBetween(from, to);
  assert.deepEqual(
    change.routes?.map(({ id }) => id),
    ["differs", "new"],
  );
  assert.deepEqual(change.removedRoutes, ["gone"]);
  assert.deepEqual([change.backends, change.removedBackends], [[], []]);
  assert.equal(change.revision, 2);
});

const start = async (workers: number, more: Partial<ProxyOptions> = {}) => {
  const backend = await startBackend(
    "b",
    answering(() => ok()),
  );
  const proxy = new GatewayProxy();
  const [address] = await proxy.start({ listen: [{ port: 0 }], workers, ...more });
  const snapshotOf = (revision: number): Snapshot => ({
    revision,
    routes: [routeTo(["b"])],
    backends: [backend.settings()],
  });
  assert.deepEqual(await proxy.publish(snapshotOf(1)), []);
  const close = async () => {
    await proxy.stop({ drainMs: 0 });
    await backend[Symbol.asyncDispose]();
  };
  return { proxy, port: address!.port, snapshotOf, [Symbol.asyncDispose]: close };
};
const request = "GET /a HTTP/1.1\r\nHost: a\r\nX-Request-Id: one\r\n\r\n";

describe("the proxy in its workers", { concurrency: true }, () => {
  test("serves, counts, explains and drains", async () => {
    await using running = await start(1);
    using client = new RawClient(running.port);
    await client.send(request).until("ok");
    const stats = await running.proxy.stats();
    assert.equal(stats.routes[0]?.byClass[2], 1);
    assert.equal(stats.backends[0]?.requests, 1);
    const record = await running.proxy.explain("one");
    assert.deepEqual(record && [record.route, record.status, record.attempts.length], ["r", 200, 1]);
    assert.equal((await running.proxy.recent(5)).length, 1);
    await running.proxy.stop({ drainMs: 1000 });
    await client.end();
  });

  test("several share a port and what they know of a backend", async () => {
    await using running = await start(2);
    const clients = Array.from({ length: 24 }, () => new RawClient(running.port));
    await Promise.all(clients.map((client) => client.send(request).until("ok")));
    const stats = await running.proxy.stats();
    assert.deepEqual([stats.workers, stats.routes[0]?.byClass[2], stats.connections], [2, 24, 24]);
    for (const client of clients) client[Symbol.dispose]();
  });

  test("a backend with another address is another: pool, breaker and verdicts begin anew", async () => {
    await using running = await start(1);
    await using bad = await startBackend(
      "b",
      answering(() => "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
    );
    const good = running.snapshotOf(1);
    await running.proxy.publish({ ...good, revision: 2, backends: [bad.settings()] });
    using client = new RawClient(running.port);
    for (let i = 1; i <= 6; i++)
      await client.send(request).until((all) => all.split("HTTP/1.1 5").length > i);
    assert.equal((await running.proxy.stats()).backends[0]?.breaker, "open");
    await running.proxy.publish({ ...good, revision: 3 });
    await client.send(request).until("ok");
  });

  test("what of a snapshot cannot be used is told, the rest serves", async () => {
    await using running = await start(1);
    const good = running.snapshotOf(2);
    const bad = {
      ...good,
      routes: [...good.routes, route("x"), { ...route("y"), targets: [{ backend: "none" }] }],
    };
    const problems = await running.proxy.publish({
      ...bad,
      backends: [...bad.backends, { id: "z", url: "ftp://a" }],
    });
    assert.deepEqual(
      problems.map(({ kind, id }) => [kind, id]),
      [
        ["backend", "z"],
        ["route", "y"],
      ],
    );
    using client = new RawClient(running.port);
    await client.send(request).until("ok");
  });
});

// Not beside the others: it looks at every thread that is told something.
test("a worker that dies is replaced; connections of the others do not notice", async (context) => {
  // The real threads, as they are told to start.
  const threads = new Set<Worker>();
  const { postMessage } = Worker.prototype;
  context.mock.method(Worker.prototype, "postMessage", function (this: Worker, message: unknown) {
    threads.add(this);
    postMessage.call(this, message);
  });
  const crashes: string[] = [];
  await using running = await start(2, { onCrash: ({ message }) => crashes.push(message) });
  context.mock.restoreAll();
  const clients = Array.from({ length: 24 }, () => new RawClient(running.port));
  await Promise.all(clients.map((client) => client.send(request).until("ok")));
  const [victim] = threads;
  await victim!.terminate();
  const stats = await running.proxy.stats();
  let alive = clients;
  while (alive.length > stats.connections) {
    await Promise.race(alive.map((client) => client.end()));
    alive = alive.filter(({ ended }) => !ended);
  }
  assert.ok(alive.length > 0 && alive.length < clients.length, `${alive.length} are left`);
  assert.deepEqual([stats.workers, stats.connections, crashes.length], [2, alive.length, 1]);
  const again = Array.from({ length: 24 }, () => new RawClient(running.port));
  for (const client of alive) client.received = "";
  await Promise.all([...alive, ...again].map((client) => client.send(request).until("ok")));
  const after = await running.proxy.stats();
  assert.deepEqual([after.revision, after.connections], [1, alive.length + 24]);
  for (const client of [...clients, ...again]) client[Symbol.dispose]();
});
