import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { describe, it } from "node:test";
import { boundOfShare, groupOf, isExposed, positionOf, SPAN } from "../../core/cohort.ts";
import { hash32 } from "../../core/hash.ts";
import {
  answering,
  ok,
  RawClient,
  type Running,
  routeTo,
  startBackend,
  startEngine,
} from "./engine.testing.ts";
import type { Route, Split } from "./snapshot.route.ts";
import type { CohortReport } from "./stats.ts";

const seed = "seed of the test";

const splitTo = (backend: string, over: Partial<Split> = {}): Split => ({
  deployment: "d1",
  seed,
  unit: { kind: "header", name: "X-User" },
  bound: boundOfShare(0.3),
  to: { targets: [{ backend }] },
  ...over,
});

/** One request on a connection of its own. */
async function ask({ port }: { port: number }, headers: Record<string, string> = {}) {
  const asked = request({ port, host: "127.0.0.1", agent: false, headers }).end();
  const [response] = await once(asked, "response");
  let body = "";
  for await (const part of response) body += part;
  return { status: response.statusCode as number, headers: response.headers, body };
}

async function blueAndGreen(over: Partial<Route> = {}) {
  const blue = await startBackend(
    "blue",
    answering(() => ok("blue")),
  );
  const green = await startBackend(
    "green",
    answering(() => ok("green")),
  );
  const reports: CohortReport[] = [];
  let told = () => {};
  const running = await startEngine(
    { backends: [blue.settings(), green.settings()], routes: [routeTo(["blue"], over)] },
    {},
    (more) => {
      reports.push(...more);
      told();
    },
  );
  return {
    ...{ blue, green, running, reports },
    /** Resolves when the reports of a deployment add up as wanted. */
    async counted(fits: (sum: Sum) => boolean, deployment = "d1"): Promise<Sum> {
      for (;;) {
        const sum = sumOf(reports.filter((report) => report.deployment === deployment));
        if (fits(sum)) return sum;
        await new Promise<void>((resolve) => {
          told = resolve;
        });
      }
    },
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      await Promise.all([blue[Symbol.asyncDispose](), green[Symbol.asyncDispose]()]);
    },
  };
}

type Sum = ReturnType<typeof sumOf>;

function sumOf(reports: readonly CohortReport[]) {
  const of = (cohort: "canary" | "control") => ({
    requests: reports.reduce((sum, report) => sum + report[cohort].requests, 0),
    errors: reports.reduce((sum, report) => sum + report[cohort].errors, 0),
    refused: reports.reduce((sum, report) => sum + report[cohort].refused, 0),
    latency: reports.reduce((sum, report) => sum + report[cohort].latency.reduce((a, b) => a + b, 0), 0),
  });
  return { canary: of("canary"), control: of("control") };
}

const publish = (running: Running, over: Partial<Route>) =>
  assert.deepEqual(running.publish({ routes: [routeTo(["blue"], over)] }), []);

describe("a split", () => {
  it("sends each caller where the cohort function says, and nobody back as its bound grows", async () => {
    await using set = await blueAndGreen();
    const users = Array.from({ length: 60 }, (_, n) => `user-${n}`);
    let before = new Set<string>();
    for (const share of [0, 0.1, 0.5, 1]) {
      const bound = boundOfShare(share);
      publish(set.running, { split: splitTo("green", { bound }) });
      const now = new Set<string>();
      for (const user of users) {
        const { body } = await ask(set.running, { "x-user": user });
        if (body === "green") now.add(user);
        assert.equal(body === "green", isExposed(seed, user, bound), user);
      }
      assert.ok(before.isSubsetOf(now));
      before = now;
    }
    assert.equal(before.size, users.length);
  });

  it("tells callers apart by cookie or address; who brings no cookie counts by address", async () => {
    await using set = await blueAndGreen();
    const isGreen = async (headers: Record<string, string>) =>
      (await ask(set.running, headers)).body === "green";
    // A bound between the two, so that it matters which of them is looked at.
    const names = Array.from({ length: 200 }, (_, n) => `u${n}`);
    const bound = boundOfShare(0.5);
    const address = isExposed(seed, "127.0.0.1", bound);
    const other = names.find((name) => isExposed(seed, name, bound) !== address)!;
    publish(set.running, { split: splitTo("green", { bound, unit: { kind: "cookie", name: "uid" } }) });
    assert.equal(await isGreen({ cookie: `a=b; uid=${other}` }), !address);
    assert.equal(await isGreen({ cookie: "a=b" }), address);
    publish(set.running, { split: splitTo("green", { bound, unit: { kind: "ip" } }) });
    assert.equal(await isGreen({ cookie: `uid=${other}` }), address);
  });

  it("shows a tester the new version before anybody, and counts neither tester nor request", async () => {
    await using set = await blueAndGreen();
    publish(set.running, { split: splitTo("green", { bound: 0, tester: { name: "X-Try", value: "yes" } }) });
    assert.equal((await ask(set.running, { "x-try": "yes" })).body, "green");
    assert.equal((await ask(set.running, { "x-try": "no" })).body, "blue");
    const { canary, control } = await set.counted((sum) => sum.control.requests > 0);
    assert.deepEqual([canary.requests, control.requests], [0, 1]);
  });

  it("carries the whole other version: policies, transforms and timeouts beside targets", async () => {
    await using set = await blueAndGreen();
    const to = {
      targets: [{ backend: "green" }],
      response: { headers: { set: { "x-version": "2" } } },
      policies: { ip: { deny: ["127.0.0.1"] } },
    };
    publish(set.running, { split: splitTo("green", { bound: SPAN, to: { ...to, policies: {} } }) });
    assert.equal((await ask(set.running)).headers["x-version"], "2");
    publish(set.running, { split: splitTo("green", { bound: SPAN, to }) });
    assert.equal((await ask(set.running)).status, 403);
    publish(set.running, { split: splitTo("green", { bound: 0, to }) });
    const { status, headers } = await ask(set.running);
    assert.deepEqual([status, headers["x-version"]], [200, undefined]);
  });

  it("lets a request end under the version that it began with, whatever the bound becomes", async () => {
    await using slow = await startBackend("green", (socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ngreen", "latin1"));
    });
    await using blue = await startBackend(
      "blue",
      answering(() => ok("blue")),
    );
    await using running = await startEngine({ backends: [slow.settings(), blue.settings()] });
    publish(running, { split: splitTo("green", { bound: SPAN }) });
    const asked = request({ port: running.port, host: "127.0.0.1", agent: false }).end();
    const [response] = await once(asked, "response");
    publish(running, { split: splitTo("green", { bound: 0 }) });
    assert.equal((await ask(running)).body, "blue");
    publish(running, {});
    assert.deepEqual(running.publish({ removedBackends: ["green"] } as object), []);
    for (const socket of slow.sockets) socket.write("-done", "latin1");
    let body = "";
    for await (const part of response) body += part;
    assert.equal(body, "green-done");
  });
});

describe("the counts of a split", () => {
  it("tell requests, errors and refusals of both versions apart, each once", async () => {
    await using set = await blueAndGreen();
    const bad = ["500 Oops", "404 Not Found", "200 OK"];
    set.green.sockets.clear();
    await using failing = await startBackend(
      "failing",
      answering(() => `HTTP/1.1 ${bad.shift() ?? "200 OK"}\r\nContent-Length: 0\r\n\r\n`),
    );
    set.running.publish({ backends: [failing.settings()] });
    publish(set.running, { split: splitTo("failing", { bound: SPAN }) });
    for (let n = 0; n < 4; n++) await ask(set.running, { "x-user": String(n) });
    publish(set.running, { split: splitTo("failing", { bound: 0 }) });
    for (let n = 0; n < 3; n++) await ask(set.running, { "x-user": String(n) });
    const sum = await set.counted(({ canary, control }) => canary.requests + control.requests >= 7);
    assert.deepEqual(sum.canary, { requests: 4, errors: 1, refused: 1, latency: 4 });
    assert.deepEqual(sum.control, { requests: 3, errors: 0, refused: 0, latency: 3 });
  });

  it("count an answer that the backend breaks off as an error, though its status was 200", async () => {
    await using set = await blueAndGreen();
    await using broken = await startBackend("broken", (socket) => {
      socket.once("data", () =>
        socket.end("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this", "latin1"),
      );
    });
    set.running.publish({ backends: [broken.settings()] });
    publish(set.running, { split: splitTo("broken", { bound: SPAN }) });
    await assert.rejects(ask(set.running));
    const { canary } = await set.counted((sum) => sum.canary.requests > 0);
    assert.equal(canary.errors, 1);
  });

  it("say in which groups of callers and of backends requests, errors and refusals are", async () => {
    await using set = await blueAndGreen();
    await using failing = await startBackend(
      "failing",
      answering(() => "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
    );
    set.running.publish({ backends: [failing.settings()] });
    await using refusing = await startBackend(
      "refusing",
      answering(() => "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"),
    );
    set.running.publish({ backends: [refusing.settings()] });
    const to = { targets: [{ backend: "green" }, { backend: "failing" }, { backend: "refusing" }] };
    publish(set.running, { split: splitTo("green", { bound: SPAN, to }) });
    const users = ["ann", "bob", "ann", "cid", "ann", "bob"];
    const statuses: (number | undefined)[] = [];
    for (const user of users) statuses.push((await ask(set.running, { "x-user": user })).status);
    await set.counted(({ canary }) => canary.requests === users.length);
    const answered: Record<number, string> = { 200: "green", 404: "refusing", 500: "failing" };
    const sums = (of: "callers" | "backends") => {
      const [counts, refused] = [new Array(64).fill(0), new Array(32).fill(0)];
      users.forEach((user, n) => {
        const status = statuses[n]!;
        const group = groupOf(of === "callers" ? positionOf(seed, user) : hash32(answered[status]!));
        counts[2 * group]++;
        if (status === 500) counts[2 * group + 1]++;
        if (status === 404) refused[group]++;
      });
      return { counts, refused };
    };
    const told = (of: "callers" | "backends") => {
      const sum = (name: typeof of | `${typeof of}Refused`) =>
        set.reports.map(({ canary }) => canary[name]).reduce((a, b) => a.map((count, at) => count + b[at]!));
      return { counts: sum(of), refused: sum(`${of}Refused`) };
    };
    assert.deepEqual(told("callers"), sums("callers"));
    assert.deepEqual(told("backends"), sums("backends"));
    assert.deepEqual(statuses.toSorted(), [200, 200, 404, 404, 500, 500], "round robin over all");
  });

  it("count a tunnel when it is there, not when it ends", async () => {
    await using set = await blueAndGreen();
    await using chat = await startBackend(
      "chat",
      answering(() => "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"),
    );
    set.running.publish({ backends: [chat.settings()] });
    publish(set.running, { split: splitTo("chat", { bound: SPAN }) });
    using client = new RawClient(set.running.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n");
    await client.until("101 Switching");
    const { canary } = await set.counted((sum) => sum.canary.requests > 0);
    assert.deepEqual(canary, { requests: 1, errors: 0, refused: 0, latency: 1 });
  });

  it("begin anew with another deployment; a request counts for the one that it began under", async () => {
    await using set = await blueAndGreen();
    await using held = await startBackend("held", () => {});
    set.running.publish({ backends: [held.settings()] });
    publish(set.running, { split: splitTo("held", { bound: SPAN }) });
    const asked = request({ port: set.running.port, host: "127.0.0.1", agent: false }).end();
    while (held.connections === 0) await new Promise((resolve) => setImmediate(resolve));
    publish(set.running, { split: splitTo("green", { bound: SPAN, deployment: "d2" }) });
    while (held.sockets.size === 0) await new Promise((resolve) => setImmediate(resolve));
    for (const socket of held.sockets) socket.write("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "latin1");
    const [response] = await once(asked, "response");
    response.resume();
    assert.equal(response.statusCode, 500);
    await ask(set.running);
    const second = await set.counted((sum) => sum.canary.requests > 0, "d2");
    assert.deepEqual([second.canary.requests, second.canary.errors], [1, 0]);
  });
});

describe("a probe", () => {
  it("asks every backend of the new version, says what failed, and leaves its connections warm", async () => {
    await using set = await blueAndGreen();
    await using ill = await startBackend(
      "ill",
      answering((text) =>
        text.startsWith("GET /ready ") ? "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" : ok(),
      ),
    );
    const { running } = set;
    running.publish({ backends: [ill.settings()] });
    assert.equal(
      await running.engine.probe({ route: "r", path: "/", requests: 1, timeoutMs: 5000 }),
      undefined,
    );
    const to = { targets: [{ backend: "green" }, { backend: "ill" }] };
    publish(running, { split: splitTo("green", { bound: 0, to }) });
    const ask = (path: string) => running.engine.probe({ route: "r", path, requests: 3, timeoutMs: 5000 });
    assert.deepEqual(await ask("/"), []);
    assert.deepEqual(
      (await ask("/ready"))?.map(({ backend, message }) => [backend, message]),
      [["ill", "answered 503 to /ready"]],
    );
    // All of them went over one connection each, which is kept.
    assert.deepEqual([set.green.connections, ill.connections, set.blue.connections], [1, 1, 0]);
    assert.equal(set.green.sockets.size, 1);
  });
});
