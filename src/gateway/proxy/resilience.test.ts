/** Health, breaker, retries, mirroring and policies through the whole engine, on real sockets. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import {
  answering,
  ok,
  RawClient,
  type Running,
  routeTo,
  startBackend,
  startEngine,
} from "./engine.testing.ts";
import type { BackendEvent } from "./stats.ts";
import { type Identity, Tokens } from "./tokens.ts";

const get = (fields = "", target = "/x") => `GET ${target} HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n`;
const failing = (status = 503) => answering(() => `HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`);

/** Sends one request after the other and gives the statuses. */
async function statuses(port: number, count: number, text = get()): Promise<number[]> {
  using client = new RawClient(port);
  const found: number[] = [];
  for (let i = 0; i < count; i++) {
    client.received = "";
    const answer = await client.send(text).until(/\r\n\r\n/);
    found.push(Number(answer.slice(9, 12)));
    // The next answer must not begin with the rest of this one's body.
    const length = Number(/content-length: (\d+)/i.exec(answer)?.[1] ?? 0);
    await client.until((all) => all.length >= all.indexOf("\r\n\r\n") + 4 + length);
  }
  return found;
}

async function event(running: Running, what: BackendEvent["what"]): Promise<void> {
  while (!running.events.some((one) => one.what === what))
    await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("resilience", { concurrency: true }, () => {
  test("idempotent requests are tried elsewhere on 503, others are not; attempts are told", async () => {
    await using bad = await startBackend("bad", failing());
    await using good = await startBackend(
      "good",
      answering(() => ok()),
    );
    const backends = [
      bad.settings({ breaker: { enabled: false }, outlier: { enabled: false } }),
      good.settings(),
    ];
    await using running = await startEngine({ routes: [routeTo(["bad", "good"])], backends });
    assert.deepEqual(await statuses(running.port, 6), [200, 200, 200, 200, 200, 200]);
    const tried = running.engine.recent(10).find(({ attempts }) => attempts.length === 2);
    assert.deepEqual(
      tried?.attempts.map(({ backend, status }) => [backend, status]),
      [
        ["bad", 503],
        ["good", 200],
      ],
    );
    const posts = await statuses(running.port, 4, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert.deepEqual(posts.toSorted(), [200, 200, 503, 503]);
    assert.equal(running.engine.stats().retries.status_503, 3);
  });

  test("the access log names the route and the last backend, and what was wrong with an attempt", async () => {
    const seen: string[] = [];
    const wrong = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
    const talk = answering((request) => {
      seen.push(request);
      return request.startsWith("GET /again") && seen.length === 2 ? ok() : wrong;
    });
    await using backend = await startBackend("b", talk);
    const folder = await mkdtemp(join(tmpdir(), "hotswap-log-"));
    const path = join(folder, "gateway", "access.log");
    const route = routeTo(["b"], { id: "0123", name: "orders", retry: { attempts: 1, backoffMs: 1 } });
    const backends = [backend.settings({ breaker: { enabled: false } })];
    await using running = await startEngine({ routes: [route], backends }, { accessLog: { path } });
    using client = new RawClient(running.port);
    const trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    await client.send(get(trace, "/again")).until(/^HTTP\/1\.1 200 [\s\S]*ok$/);
    await client.send(get()).until(/HTTP\/1\.1 502 [\s\S]*}$/);
    await running.engine.stop(0);
    const lines = (await readFile(path, "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    await rm(folder, { recursive: true });
    const problem = "broke the protocol: Content-Length is not one number.";
    const same = { route: "orders", backend: `127.0.0.1:${backend.port}`, attempts: 2, problem };
    assert.partialDeepStrictEqual(lines, [
      { ...same, status: 200, flags: "UP" },
      { ...same, status: 502, flags: "UP" },
    ]);
    const spans = seen.slice(0, 2).map((request) => /traceparent: 00-(.*)-01\r\n/.exec(request)?.[1]);
    assert.equal(new Set(spans).size, 2, "each attempt is a span of its own");
  });

  test("the access log counts what it cannot write, and goes on when it can", async () => {
    const path = await mkdtemp(join(tmpdir(), "hotswap-log-"));
    await using running = await startEngine({ routes: [routeTo([])] }, { accessLog: { path } });
    assert.deepEqual(await statuses(running.port, 2), [503, 503]);
    while (running.engine.stats().logDropped < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    await rm(path, { recursive: true });
    assert.deepEqual(await statuses(running.port, 1), [503]);
    await running.engine.stop(0);
    assert.equal((await readFile(path, "utf8")).trim().split("\n").length, 1);
    await rm(path);
  });

  test("the budget bounds what an outage costs", async () => {
    let asked = 0;
    await using bad = await startBackend(
      "bad",
      answering(() => {
        asked++;
        return "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
      }),
    );
    const retry = { attempts: 3, backoffMs: 0, budget: 0.1, budgetFloor: 0 };
    const backends = [bad.settings({ breaker: { enabled: false } })];
    await using running = await startEngine({ routes: [routeTo(["bad"], { retry })], backends });
    await statuses(running.port, 50);
    assert.ok(asked <= 55, `${asked} requests for 50`);
    assert.ok(running.engine.stats().retries.budget_spent! > 0);
  });

  test("the breaker opens after five failures, answers by itself, tries one, and closes", async () => {
    let status = 500;
    let asked = 0;
    await using backend = await startBackend(
      "b",
      answering(() => {
        asked++;
        return `HTTP/1.1 ${status} X\r\nContent-Length: 0\r\n\r\n`;
      }),
    );
    const backends = [backend.settings({ breaker: { openMs: 300 } })];
    await using running = await startEngine({ routes: [routeTo(["b"])], backends });
    assert.deepEqual(await statuses(running.port, 7), [500, 500, 500, 500, 500, 503, 503]);
    assert.equal(asked, 5);
    assert.equal(running.engine.stats().backends[0]?.breaker, "open");
    status = 200;
    const until = running.engine.now() + 300;
    while (running.engine.now() <= until) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual(await statuses(running.port, 3), [200, 200, 200]);
    assert.deepEqual(
      running.events.map(({ what }) => what),
      ["open", "half-open", "closed"],
    );
    running.publish({ backends: [backend.settings({ breaker: { override: "open" } })] });
    assert.deepEqual(await statuses(running.port, 1), [503]);
  });

  test("active checks take a backend out and bring it back; the last is used nevertheless", async () => {
    let isWell = false;
    const talk = answering((request) =>
      request.includes("/health") && !isWell ? "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n" : ok("sick"),
    );
    await using sick = await startBackend("sick", talk);
    await using well = await startBackend(
      "well",
      answering(() => ok("well")),
    );
    const health = { path: "/health", intervalMs: 30, unhealthyAfter: 2, healthyAfter: 2 };
    const backends = [sick.settings({ health }), well.settings()];
    const alone = routeTo(["sick"], { id: "alone", match: { path: { prefix: "/alone" } } });
    await using running = await startEngine({ routes: [routeTo(["sick", "well"]), alone], backends });
    await event(running, "unhealthy");
    using client = new RawClient(running.port);
    for (let i = 1; i <= 4; i++) await client.send(get()).until((all) => all.split("well").length > i);
    assert.doesNotMatch(client.received, /sick/);
    await client.send(get("", "/alone")).until("sick");
    isWell = true;
    await event(running, "healthy");
  });

  test("failures of real traffic eject one of two, and the other serves on", async () => {
    await using bad = await startBackend("bad", failing(500));
    await using good = await startBackend(
      "good",
      answering(() => ok()),
    );
    const backends = [bad.settings({ breaker: { enabled: false } }), good.settings()];
    await using running = await startEngine({ routes: [routeTo(["bad", "good"])], backends });
    assert.equal((await statuses(running.port, 10)).filter((status) => status === 500).length, 5);
    assert.deepEqual(await statuses(running.port, 6), [200, 200, 200, 200, 200, 200]);
    assert.deepEqual(
      running.events.map(({ what, backend }) => [what, backend]),
      [["ejected", "bad"]],
    );
  });

  test("a backend that comes and goes is left and taken up again, unseen by idempotent requests", async () => {
    let isUp = true;
    await using flapping = await startBackend(
      "flapping",
      answering((_request, socket) => {
        if (isUp) return ok("flapping");
        socket.destroy();
        return undefined;
      }),
    );
    await using steady = await startBackend(
      "steady",
      answering(() => ok("steady")),
    );
    const breaker = { failures: 3, openMs: 20 };
    const backends = [flapping.settings({ breaker, outlier: { enabled: false } }), steady.settings()];
    const retry = { backoffMs: 1, budget: 1 };
    await using running = await startEngine({
      routes: [routeTo(["flapping", "steady"], { retry })],
      backends,
    });
    const turns = (what: BackendEvent["what"]) => running.events.filter((one) => one.what === what).length;
    for (let round = 1; round <= 3; round++) {
      isUp = false;
      while (turns("open") < round) assert.deepEqual(await statuses(running.port, 2), [200, 200]);
      isUp = true;
      while (turns("closed") < round) assert.deepEqual(await statuses(running.port, 2), [200, 200]);
    }
  });

  test("a mirror gets a copy, and what becomes of it changes nothing", async () => {
    let copied = "";
    await using main = await startBackend(
      "main",
      answering(() => ok("main")),
    );
    await using copy = await startBackend(
      "copy",
      answering((request, socket) => {
        copied = request;
        socket.destroy();
        return undefined;
      }),
    );
    const mirror = { backend: "copy", share: 10_000 };
    const backends = [main.settings(), copy.settings()];
    await using running = await startEngine({ routes: [routeTo(["main"], { mirror })], backends });
    assert.deepEqual(
      await statuses(running.port, 1, "PUT /m HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"),
      [200],
    );
    while (running.engine.stats().backends[1]!.failures === 0)
      await new Promise((resolve) => setTimeout(resolve, 5));
    assert.match(copied, /^PUT \/m [\s\S]*\r\n\r\nbody$/);
  });

  test("a sticky cookie brings a client back; a draining backend takes nothing new", async () => {
    await using a = await startBackend(
      "a",
      answering(() => ok("from-a")),
    );
    await using b = await startBackend(
      "b",
      answering(() => ok("from-b")),
    );
    const strategy = { kind: "sticky", cookie: "stay" } as const;
    await using running = await startEngine({
      routes: [routeTo(["a", "b"], { strategy })],
      backends: [a.settings(), b.settings()],
    });
    using client = new RawClient(running.port);
    const first = await client.send(get()).until(/from-[ab]/);
    const cookie = /Set-Cookie: (stay=\w+); Path/.exec(first)![1]!;
    const home = /from-[ab]/.exec(first)![0];
    for (let i = 0; i < 5; i++) {
      client.received = "";
      assert.match(await client.send(get(`Cookie: x=1; ${cookie}\r\n`)).until(/from-[ab]/), new RegExp(home));
    }
    running.publish({
      backends: [home === "from-a" ? a.settings({ draining: true }) : b.settings({ draining: true })],
    });
    client.received = "";
    assert.doesNotMatch(await client.send(get(`Cookie: ${cookie}\r\n`)).until(/from-[ab]/), new RegExp(home));
  });
});

describe("policies", { concurrency: true }, () => {
  const guarded = async (policies: object, more = {}) => {
    let seen = "";
    const backend = await startBackend(
      "b",
      answering((request) => {
        seen = request;
        return ok();
      }),
    );
    const running = await startEngine({
      routes: [routeTo(["b"], { policies })],
      backends: [backend.settings()],
      ...more,
    });
    return {
      ...running,
      seen: () => seen,
      ask: async (fields = "", method = "GET") => {
        using client = new RawClient(running.port);
        return await client.send(get(fields).replace("GET", method)).until(/\r\n\r\n/);
      },
      async [Symbol.asyncDispose]() {
        await running[Symbol.asyncDispose]();
        await backend[Symbol.asyncDispose]();
      },
    };
  };

  test("rate limits answer 429 with what is allowed", async () => {
    await using one = await guarded({
      rateLimits: [{ name: "default", burst: 2, perSecond: 0.1, per: "client" }],
    });
    assert.match(
      await one.ask(),
      /^HTTP\/1\.1 200 [\s\S]*RateLimit-Policy: "default";q=2;w=20\r\nRateLimit: "default";r=1;t=10\r\n/,
    );
    assert.match(await one.ask(), /^HTTP\/1\.1 200 /);
    assert.match(await one.ask(), /^HTTP\/1\.1 429 [\s\S]*Retry-After: 10\r\n/);
  });

  test("what the policies say stands in answers of our own too", async () => {
    const policies = {
      cors: { origins: ["https://a.example"] },
      rateLimits: [{ name: "default", burst: 9, perSecond: 1, per: "client" as const }],
    };
    const fields = "Origin: https://a.example\r\n";
    const told = /Access-Control-Allow-Origin: https:\/\/a\.example\r\n[\s\S]*RateLimit: "default";r=/;
    await using running = await startEngine({
      routes: [
        routeTo([], { policies }),
        routeTo([], {
          id: "moved",
          match: { path: { prefix: "/moved" } },
          policies,
          redirect: { status: 308, location: "https://new.example{path}{query}" },
        }),
      ],
      backends: [],
    });
    using client = new RawClient(running.port);
    const failed = await client.send(get(fields)).until(/\r\n\r\n/);
    assert.match(failed, /^HTTP\/1\.1 503 /);
    assert.match(failed, told);
    client.received = "";
    const moved = await client
      .send(`GET /moved/a$&b?c=$' HTTP/1.1\r\nHost: x\r\n${fields}\r\n`)
      .until(/\r\n\r\n$/);
    assert.match(moved, /Location: https:\/\/new\.example\/moved\/a\$&b\?c=\$'\r\n/);
    assert.match(moved, told);
  });

  test("a body that came whole with its head is measured too, in chunks as well", async () => {
    await using one = await guarded({ requestBytesMax: 4 });
    for (const body of [
      "Content-Length: 5\r\n\r\nhello",
      "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ]) {
      using client = new RawClient(one.port);
      const answer = client.send(`POST / HTTP/1.1\r\nHost: x\r\n${body}`).until(/\r\n\r\n/);
      assert.match(await answer, /^HTTP\/1\.1 413 /);
    }
    assert.equal(one.seen(), "");
  });

  test("addresses are allowed and denied", async () => {
    await using allowed = await guarded({ ip: { allow: ["127.0.0.0/8", "::1"] } });
    assert.match(await allowed.ask(), /^HTTP\/1\.1 200 /);
    await using denied = await guarded({ ip: { deny: ["127.0.0.1"] } });
    assert.match(await denied.ask(), /^HTTP\/1\.1 403 [\s\S]*/);
    assert.equal(denied.engine.recent(1)[0]?.code, "gateway_address_refused");
    assert.equal(denied.seen(), "");
  });

  test("CORS: preflights are answered here, others carry the origin that is allowed", async () => {
    await using one = await guarded({ cors: { origins: ["https://a.example"], credentials: true } });
    const preflight = await one.ask(
      "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n",
      "OPTIONS",
    );
    assert.match(
      preflight,
      /^HTTP\/1\.1 204 [\s\S]*Access-Control-Allow-Origin: https:\/\/a\.example\r\n[\s\S]*Access-Control-Allow-Methods: /,
    );
    assert.match(
      await one.ask("Origin: https://a.example\r\n"),
      /Access-Control-Allow-Origin: https:\/\/a\.example\r\n/,
    );
    assert.doesNotMatch(await one.ask("Origin: https://evil.example\r\n"), /Allow-Origin/);
  });

  test("CORS: a preflight is answered by the route of the request that it asks for", async () => {
    const to = (id: string, method: string) =>
      routeTo([], {
        id,
        match: { methods: [method] },
        policies: { cors: { origins: [`https://${id}.example`] } },
      });
    await using running = await startEngine({
      routes: [to("reads", "GET"), to("writes", "PUT")],
      backends: [],
    });
    const ask = async (origin: string, method: string) => {
      using client = new RawClient(running.port);
      const fields = `Origin: https://${origin}.example\r\nAccess-Control-Request-Method: ${method}\r\n`;
      return await client.send(get(fields).replace("GET", "OPTIONS")).until(/\r\n\r\n/);
    };
    assert.match(
      await ask("reads", "GET"),
      /^HTTP\/1\.1 204 [\s\S]*Allow-Origin: https:\/\/reads.*\r\n[\s\S]*Methods: GET\r\n/,
    );
    assert.match(
      await ask("writes", "PUT"),
      /^HTTP\/1\.1 204 [\s\S]*Allow-Origin: https:\/\/writes[\s\S]*Methods: PUT\r\n/,
    );
    assert.match(await ask("writes", "DELETE"), /^HTTP\/1\.1 404 /);
  });

  test("API keys by their hash; the backend does not see them", async () => {
    const hash = createHash("sha256").update("s3cret").digest("hex");
    await using one = await guarded(
      { apiKey: { groups: ["g"] } },
      { apiKeys: [{ hash, subject: "me", groups: ["g"] }] },
    );
    assert.match(await one.ask(), /^HTTP\/1\.1 401 /);
    assert.match(await one.ask("X-API-Key: wrong\r\n"), /^HTTP\/1\.1 401 /);
    assert.match(await one.ask("X-API-Key: s3cret\r\n"), /^HTTP\/1\.1 200 /);
    assert.doesNotMatch(one.seen(), /s3cret/);
    assert.equal(one.engine.recent(1)[0]?.subject, "me");
  });

  test("tokens: issuer, audience, expiry, scope, role; claims become headers that nobody else can set", async () => {
    const { publicKey, privateKey } = await generateKeyPair("EdDSA", { extractable: true });
    const issuers = [
      {
        id: "i",
        issuer: "https://i.example",
        algorithms: ["EdDSA"],
        keys: [{ ...(await exportJWK(publicKey)) }],
      },
    ];
    const token = (claims: object, { issuer = "https://i.example", lifetime = 60 } = {}) =>
      new SignJWT({ sub: "u1", scope: "read write", roles: ["dev"], ...claims })
        .setProtectedHeader({ alg: "EdDSA" })
        .setIssuer(issuer)
        .setAudience("api")
        .setExpirationTime(Math.floor(Date.now() / 1000) + lifetime)
        .sign(privateKey);
    const jwt = {
      issuers: ["i"],
      audience: "api",
      scopes: ["read"],
      anyRole: ["dev", "ops"],
      claimHeaders: { sub: "X-User" },
    };
    await using one = await guarded({ jwt }, { issuers });
    const ask = async (given: Promise<string>) =>
      one.ask(`X-User: forged\r\nAuthorization: Bearer ${await given}\r\n`);
    assert.match(await one.ask(), /^HTTP\/1\.1 401 [\s\S]*WWW-Authenticate: Bearer/);
    const good = token({});
    assert.match(await ask(good), /^HTTP\/1\.1 200 /);
    assert.match(await ask(good), /^HTTP\/1\.1 200 /);
    assert.match(one.seen(), /X-User: u1\r\n/);
    assert.doesNotMatch(one.seen(), /forged/);
    const unfit =
      /^HTTP\/1\.1 403 [\s\S]*WWW-Authenticate: Bearer realm="gateway", error="insufficient_scope"/;
    assert.match(await ask(token({ scope: "write" })), unfit);
    assert.match(await ask(token({ roles: ["guest"] })), /^HTTP\/1\.1 403 /);
    assert.match(await ask(token({}, { lifetime: -60 })), /^HTTP\/1\.1 401 /);
    assert.match(await ask(token({}, { issuer: "https://other.example" })), /^HTTP\/1\.1 401 /);
    assert.match(await ask(good.then((text) => `${text.slice(0, -8)}AAAAAAAA`)), /^HTTP\/1\.1 401 /);
  });

  test("tokens: one that is not good yet is asked again, and keys without names are all tried", async () => {
    const pairs = await Promise.all([1, 2].map(() => generateKeyPair("EdDSA", { extractable: true })));
    const keys = await Promise.all(pairs.map(({ publicKey }) => exportJWK(publicKey)));
    let now = Date.now();
    const tokens = new Tokens(() => now);
    tokens.setIssuers([{ id: "i", issuer: "https://i.example", algorithms: ["EdDSA"], keys: keys as never }]);
    for (const { privateKey } of pairs) {
      const seconds = Math.floor(now / 1000);
      const token = await new SignJWT({ iss: "https://i.example", nbf: seconds + 60, exp: seconds + 600 })
        .setProtectedHeader({ alg: "EdDSA" })
        .sign(privateKey);
      assert.equal(await tokens.identify(`Bearer ${token}`), "token_invalid");
      now += 60_000;
      assert.deepEqual(((await tokens.identify(`Bearer ${token}`)) as Identity).issuers, ["i"]);
    }
  });
});
