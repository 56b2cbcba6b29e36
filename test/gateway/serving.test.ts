/** Routes that are managed over the API and served by the real proxy: what is committed is what is served. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import type { TLSSocket } from "node:tls";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { nameServer } from "../../src/gateway/dns.testing.ts";
import { makeCertificate, root } from "../../src/gateway/proxy/certificate.testing.ts";
import type { Answer } from "../contract.ts";
import { type Caller, TestServer } from "../server.ts";
import { type Backend, eventually, startBackend } from "./backends.ts";

let server: TestServer;
let ann: Caller;
let one: Backend;
let two: Backend;
let names: Awaited<ReturnType<typeof nameServer>>;
before(async () => {
  [one, two] = await Promise.all([startBackend("one"), startBackend("two")]);
  names = await nameServer(1);
  server = await TestServer.start({ "gateway-poll-ms": "200", "gateway-dns-servers": names.server });
  ann = await server.as();
});
after(async () => {
  await server?.remove();
  names?.close();
  await Promise.all([one, two].map((backend) => backend?.stop()));
});

const routes = "/gateway/routes";
const anyVersion = { headers: { "if-match": "*" } };

/** Through the gateway. */
async function ask(path: string, headers: Record<string, string> = {}, method = "GET") {
  const response = await fetch(server.gateway + path, { method, headers, redirect: "manual" });
  const body = await response.text();
  const json: Answer["json"] = body.startsWith("{") ? JSON.parse(body) : undefined;
  return { status: response.status, headers: response.headers, json };
}

const toOne = (name: string, more: object = {}) => ({
  name,
  match: { path: { prefix: `/${name}` } },
  backends: [{ url: one.url }],
  ...more,
});
const create = (name: string, more: object = {}) => ann.ok(ann.post(routes, toOne(name, more)), 201);

describe("a route is served", () => {
  it("when its creation is answered, as it was changed, and no more when it is deleted", async () => {
    assert.deepEqual(
      [(await ask("/life")).status, (await ask("/life")).json.code],
      [404, "gateway_no_route"],
    );
    const { id } = await create("life");
    assert.equal((await ask("/life/a?b=c")).json.url, "/life/a?b=c");
    await ann.ok(ann.put(`${routes}/${id}`, toOne("life", { backends: [{ url: two.url }] }), anyVersion));
    assert.equal((await ask("/life")).json.name, "two");
    await ann.ok(ann.put(`${routes}/${id}`, toOne("life", { enabled: false }), anyVersion));
    assert.equal((await ask("/life")).status, 404);
    await ann.ok(ann.put(`${routes}/${id}`, toOne("life"), anyVersion));
    assert.equal((await ask("/life")).status, 200);
    await ann.delete(`${routes}/${id}`);
    assert.equal((await ask("/life")).status, 404);
  });

  it("by host, method, header and query, with rewritten paths and fields", async () => {
    await create("parts", {
      match: {
        host: "parts.test",
        path: { template: "/v1/{id}/lines" },
        methods: ["GET"],
        headers: { "X-Part": "p" },
        query: { a: "1" },
      },
      request: { path: "/lines/{id}", headers: { set: { "x-set": "s" }, remove: ["x-gone"] } },
      response: { headers: { set: { "x-back": "b" } } },
    });
    const headers = { host: "parts.test", "x-gone": "1", "x-part": "p" };
    const got = await raw("/v1/7/lines?a=1", headers);
    assert.deepEqual(
      [got.status, got.json.url, got.json.headers["x-set"], got.headers["x-back"]],
      [200, "/lines/7?a=1", "s", "b"],
    );
    assert.equal(got.json.headers["x-gone"], undefined);
    assert.equal((await raw("/v1/7/lines", headers)).status, 404);
    assert.equal((await raw("/v1/7/lines?a=1", { ...headers, host: "other.test" })).status, 404);
    assert.equal((await raw("/v1/7/lines?a=1", { ...headers, "x-part": "P" })).status, 404);
  });

  it("by weight, and not from a backend that is drained by hand", async () => {
    const backends = [
      { url: one.url, weight: 3 },
      { url: two.url, weight: 1 },
    ];
    await create("weights", { strategy: "weighted", backends });
    const names = async () => {
      const all = [];
      for (let n = 0; n < 8; n++) all.push((await ask("/weights")).json.name);
      return all.sort().join();
    };
    assert.equal(await names(), "one,one,one,one,one,one,two,two");
    const { items } = await ann.ok(ann.get("/gateway/backends"));
    const { id } = items.find(({ url }: { url: string }) => url === one.url);
    const drained = await ann.ok(
      ann.post(`/gateway/backends/${id}/override`, { draining: true, reason: "test" }),
    );
    assert.deepEqual(drained.override, { breaker: "automatic", draining: true });
    assert.equal(await names(), Array(8).fill("two").join());
    await ann.ok(ann.post(`/gateway/backends/${id}/override`, {}));
    assert.equal(await names(), "one,one,one,one,one,one,two,two");
    await ann.ok(ann.post(`/gateway/backends/${id}/override`, { breaker: "open", ttlSeconds: 1 }));
    await eventually(names, (all) => all === "one,one,one,one,one,one,two,two");
  });

  it("by redirect, without a backend", async () => {
    await ann.ok(
      ann.post(routes, {
        name: "away",
        match: { path: { exact: "/away" } },
        redirect: { location: "/life{query}" },
      }),
      201,
    );
    const { status, headers } = await ask("/away?a=1");
    assert.deepEqual([status, headers.get("location")], [308, "/life?a=1"]);
  });

  it("and the set stays as it was when a worse one is imported", async () => {
    await create("stays");
    const bad = { routes: [toOne("stays", { backends: [{ url: two.url }] }), { name: "bad" }] };
    assert.equal((await ann.post(`${routes}/import`, bad)).status, 400);
    assert.equal((await ask("/stays")).json.name, "one");
  });
});

describe("services", () => {
  it("are used while their instances live", async () => {
    await create("found", { backends: [{ service: "billing" }] });
    assert.equal((await ask("/found")).status, 503);
    const path = "/gateway/services/billing/instances";
    const register = (backend: Backend) =>
      ann.ok(ann.post(path, { id: backend.name, url: backend.url, ttlSeconds: 1 }), 201);
    await register(one);
    assert.equal((await ask("/found")).json.name, "one");
    await register(two);
    const seen = new Set([(await ask("/found")).json.name, (await ask("/found")).json.name]);
    assert.deepEqual([...seen].sort(), ["one", "two"]);
    // One goes on to live, the other is silent.
    const listed = async () => {
      await ann.post(`${path}/two/heartbeat`);
      return (await ann.ok(ann.get(path))).items.map(({ id }: { id: string }) => id).join();
    };
    await eventually(listed, (ids) => ids === "two");
    await eventually(
      async () => (await ask("/found")).json?.name,
      (name) => name === "two",
    );
    assert.equal((await ann.post(`${path}/one/heartbeat`)).json.code, "gateway_instance_not_found");
    assert.equal((await ann.delete(`${path}/two`)).status, 204);
    assert.equal((await ask("/found")).status, 503);
  });
});

describe("names", () => {
  it("are resolved, SRV with ports and weights, and followed when they change", async () => {
    const portOf = ({ url }: Backend) => Number(new URL(url).port);
    names.state.addresses = ["127.0.0.1"];
    names.state.ports = [portOf(one), portOf(two)];
    await create("named", {
      strategy: "weighted",
      backends: [{ dns: { name: "_shop._tcp.test", type: "SRV" } }],
    });
    const four = async () => {
      const seen = [];
      for (let n = 0; n < 4; n++) seen.push((await ask("/named")).json?.name);
      return seen.sort().join();
    };
    assert.equal(await four(), "one,one,one,two");
    names.state.ports = [portOf(two), portOf(two)];
    await eventually(four, (seen) => seen === "two,two,two,two");
    await create("address", { backends: [{ dns: { name: "shop.test", type: "A", port: portOf(one) } }] });
    assert.equal((await ask("/address")).json.name, "one");
  });
});

describe("policies", () => {
  it("let in who has a key of the group, until it is withdrawn", async () => {
    await create("keyed", { auth: { apiKey: { groups: ["partners"] } } });
    assert.equal((await ask("/keyed")).status, 401);
    const { key, id, hint } = await ann.ok(
      ann.post("/gateway/keys", { name: "p", groups: ["partners"] }),
      201,
    );
    const other = await ann.ok(ann.post("/gateway/keys", { name: "o" }), 201);
    assert.ok(key.startsWith(hint));
    assert.doesNotMatch(JSON.stringify((await ann.ok(ann.get("/gateway/keys"))).items), new RegExp(key));
    const answer = await ask("/keyed", { "x-api-key": key });
    assert.equal(answer.status, 200);
    assert.equal(answer.json.headers["x-api-key"], undefined);
    assert.equal((await ask("/keyed", { "x-api-key": other.key })).status, 401);
    const stranger = await server.as({ tenant: "stranger" });
    const theirs = await stranger.ok(
      stranger.post("/gateway/keys", { name: "p", groups: ["partners"] }),
      201,
    );
    assert.equal((await ask("/keyed", { "x-api-key": theirs.key })).status, 401);
    assert.equal((await ann.delete(`/gateway/keys/${id}`)).status, 204);
    assert.equal((await ask("/keyed", { "x-api-key": key })).status, 401);
  });

  it("let in tokens that HotSwap itself accepts", async () => {
    await create("tokens", { auth: { jwt: { anyRole: ["operator"], claimHeaders: { sub: "x-user" } } } });
    const bearer = async (request: object) => ({ authorization: `Bearer ${await server.token(request)}` });
    assert.deepEqual(
      [(await ask("/tokens")).status, (await ask("/tokens")).json.code],
      [401, "token_missing"],
    );
    const answer = await ask("/tokens", { ...(await bearer({ roles: ["operator"] })), "x-user": "forged" });
    assert.deepEqual([answer.status, answer.json.headers["x-user"]], [200, "ann"]);
    assert.equal((await ask("/tokens", await bearer({ roles: ["viewer"] }))).status, 403);
    assert.equal((await ask("/tokens", { authorization: "Bearer a.b.c" })).status, 401);
    const foreign = await bearer({ tenant: "stranger", roles: ["operator"] });
    assert.equal((await ask("/tokens", foreign)).status, 401, "a token of another tenant");
  });

  it("let in tokens of an issuer whose keys are fetched, and of nobody who only bears its name", async () => {
    const issuer = "https://issuer.test";
    const [real, forger] = await Promise.all([keyServer(), keyServer()]);
    const jwt = {
      issuer,
      jwksUrl: real.url,
      audience: "shop",
      anyRole: ["buyer"],
      scopeRoles: { "shop:buy": "buyer" },
    };
    await create("issued", { auth: { jwt } });
    const claims = { iss: issuer, aud: "shop", sub: "eve", scope: "shop:buy" };
    const get = async (token: string) => (await ask("/issued", { authorization: `Bearer ${token}` })).status;
    assert.equal(await get(await real.sign(claims)), 200);
    assert.equal(await get(await real.sign({ ...claims, aud: "other" })), 401);
    assert.equal(await get(await real.sign({ ...claims, scope: "shop:look" })), 403);
    // Another tenant says that the same issuer has other keys; that is true for its own routes only.
    const stranger = await server.as({ tenant: "stranger" });
    const theirs = { match: { host: "stranger.test" }, auth: { jwt: { ...jwt, jwksUrl: forger.url } } };
    await stranger.ok(stranger.post(routes, toOne("theirs", theirs)), 201);
    assert.equal(await get(await forger.sign(claims)), 401);
    assert.equal(await get(await real.sign(claims)), 200);
    await Promise.all([real.stop(), forger.stop()]);
  });

  it("limit requests per client, and say so", async () => {
    await create("limited", { limits: { rate: [{ requests: 2, perSeconds: 60 }] } });
    const statuses = [];
    for (let n = 0; n < 3; n++) statuses.push((await ask("/limited")).status);
    assert.deepEqual(statuses, [200, 200, 429]);
    const { headers, json } = await ask("/limited");
    assert.deepEqual(
      [json.code, headers.get("ratelimit-policy")],
      ["gateway_rate_limited", '"client";q=2;w=60'],
    );
    assert.ok(Number(headers.get("retry-after")) > 0);
    // What a tenant may have all its routes share, wherever in their lists it stands.
    const tenant = { requests: 3, perSeconds: 600, per: "tenant" };
    await create("shared-1", { limits: { rate: [tenant] } });
    await create("shared-2", { limits: { rate: [{ requests: 100 }, tenant] } });
    const shared = [];
    for (const path of ["/shared-1", "/shared-2", "/shared-2", "/shared-1"])
      shared.push((await ask(path)).status);
    assert.deepEqual(shared, [200, 200, 200, 429]);
    await create("bss", { labels: { system: "bss" } });
    assert.equal((await ask("/bss")).headers.get("ratelimit-policy"), '"bss";q=1000;w=60');
  });

  it("say which issuer's keys cannot be read", async () => {
    const issuer = "http://127.0.0.1:1";
    const { id } = await create("unread", { auth: { jwt: { issuer } } });
    const problems = async () => (await ann.ok(ann.get("/gateway/status"))).problems;
    const [problem] = await eventually(problems, (found) => found.length === 1);
    assert.partialDeepStrictEqual(problem, { kind: "issuer", id: issuer });
    assert.match(problem.message, /^its keys cannot be read: /);
    await ann.ok(ann.delete(`${routes}/${id}`), 204);
    assert.deepEqual(await problems(), []);
  });

  it("refuse addresses and answer preflights", async () => {
    await create("closed", { ip: { deny: ["127.0.0.0/8"] } });
    assert.equal((await ask("/closed")).status, 403);
    await create("cors", { cors: { origins: ["https://app.test"], methods: ["PUT"] } });
    const preflight = { origin: "https://app.test", "access-control-request-method": "PUT" };
    const { status, headers } = await ask("/cors", preflight, "OPTIONS");
    assert.ok(status === 200 || status === 204, String(status));
    assert.equal(headers.get("access-control-allow-origin"), "https://app.test");
  });
});

describe("backends with TLS", () => {
  it("see the certificate that a secret holds, each its own, and it is never shown or written down", async () => {
    const [secure, plain] = await Promise.all([startSecureBackend(), startSecureBackend()]);
    const [shown, other] = [makeCertificate("gateway-7"), makeCertificate("gateway-8")];
    const tls = { ca: root, serverName: "backend.test", clientCertificate: { $secret: "gateway-7" } };
    const route = {
      ...toOne("mutual"),
      connection: { tls },
      strategy: "header",
      header: { name: "x-to", byValue: { plain: plain.url }, otherwise: secure.url },
      backends: [
        { url: secure.url },
        { url: plain.url, tls: { clientCertificate: { $secret: "gateway-8" } } },
      ],
    };
    const refused = await ann.post(routes, route);
    assert.deepEqual(
      [refused.status, refused.json.errors.map(({ pointer }: { pointer: string }) => pointer)],
      [400, ["/connection/tls/clientCertificate/$secret", "/backends/1/tls/clientCertificate/$secret"]],
    );
    for (const [name, { cert, key }] of Object.entries({ "gateway-7": shown, "gateway-8": other })) {
      await ann.ok(ann.put(`/secrets/${name}`, { value: cert + key }));
    }
    await ann.ok(ann.post(routes, route), 201);
    assert.equal((await ask("/mutual")).json.client, "gateway-7");
    assert.equal((await ask("/mutual", { "x-to": "plain" })).json.client, "gateway-8");
    await create("unknown", {
      backends: [{ url: secure.url, tls: { ca: root, serverName: "backend.test" } }],
      retry: { attempts: 0 },
    });
    assert.equal((await ask("/unknown")).status, 502, "the backend insists on a certificate");
    const { items } = await ann.ok(ann.get(`${routes}?name=mutual`));
    assert.doesNotMatch(JSON.stringify(items), /PRIVATE KEY/);
    const file = `${server.data}/gateway/snapshot.json`;
    const snapshot = await eventually(
      () => readFile(file, "utf8").catch(() => ""),
      (text) => text.includes('"name":"unknown"'),
    );
    assert.doesNotMatch(snapshot, /PRIVATE KEY/);
    await Promise.all([secure.stop(), plain.stop()]);
  });

  it("name secrets that there are, and a secret that one names is deleted by force alone", async () => {
    const { cert, key } = makeCertificate("client");
    await ann.ok(ann.put("/secrets/client", { value: cert + key }));
    await ann.ok(ann.put("/secrets/text", { value: "no certificate" }));
    const shows = (secret: string) => ({
      connection: { tls: { clientCertificate: { $secret: secret } } },
      backends: [{ url: "https://127.0.0.1:1" }],
    });
    const pointer = "/connection/tls/clientCertificate/$secret";
    const refused = async (place: string, call: Promise<Answer>) => {
      const { status, json } = await call;
      assert.deepEqual([status, json.errors?.[0].pointer], [400, place + pointer], JSON.stringify(json));
    };
    const { id } = await create("shows", shows("client"));
    for (const secret of ["absent", "text"]) {
      const route = toOne("shows", shows(secret));
      await refused("", ann.post(routes, { ...route, name: "other" }));
      await refused("", ann.put(`${routes}/${id}`, route, anyVersion));
      await refused("/routes/0", ann.post(`${routes}/import?mode=merge`, { routes: [route] }));
      await refused("/change", ann.post("/gateway/deployments", { route: id, change: shows(secret) }));
    }
    await create("deploys", shows("client"));
    await ann.ok(ann.put("/secrets/next", { value: cert + key }));
    const { id: deployment } = await ann.ok(
      ann.post("/gateway/deployments", { route: "deploys", change: shows("next"), bakeSeconds: 600 }),
      201,
    );
    const usesOf = async (secret: string) => {
      const deleted = () => ann.delete(`/secrets/${secret}?dryRun=true`);
      return (await eventually(deleted, ({ status }) => status === 409)).json.data.uses;
    };
    assert.deepEqual(await usesOf("next"), [{ route: "deploys", deployment }]);
    assert.deepEqual(await usesOf("client"), [{ route: "deploys" }, { route: "shows" }]);
    await ann.ok(ann.post(`/gateway/deployments/${deployment}/rollback`, { reason: "seen" }));
    await eventually(
      () => ann.delete("/secrets/next"),
      ({ status }) => status === 204,
    );
    assert.equal((await ann.delete("/secrets/client?force=true")).status, 204);
  });
});

describe("what was served", () => {
  it("can be explained", async () => {
    await create("why", { priority: 1, match: { path: { prefix: "/why" }, headers: { "x-why": "1" } } });
    await create("why-else", { match: { path: { prefix: "/why" } }, backends: [{ url: two.url }] });
    const { headers } = await ask("/why/not");
    const record = await ann.ok(ann.get(`/gateway/requests/${headers.get("x-request-id")}`));
    assert.deepEqual([record.route, record.status, record.attempts.length], ["why-else", 200, 1]);
    assert.equal(record.attempts[0].url, two.url);
    assert.deepEqual(
      record.considered.map(({ route, chosen }: { route: string; chosen: boolean }) => [route, chosen]),
      [
        ["why", false],
        ["why-else", true],
      ],
    );
    assert.match(record.considered[0].reason, /condition/);
    const other = await server.as({ tenant: "other" });
    assert.equal((await other.get(`/gateway/requests/${headers.get("x-request-id")}`)).status, 404);
    assert.ok((await ann.ok(ann.get("/gateway/requests?limit=5"))).items.length === 5);
  });

  it("is counted by route and backend, and forgotten with the route", async () => {
    const { id } = await create("counted");
    for (let n = 0; n < 5; n++) await ask("/counted");
    const traffic = await eventually(
      () => ann.ok(ann.get("/gateway/traffic")),
      ({ routes: all }) =>
        all.some(
          ({ name, requests }: { name: string; requests: number }) => name === "counted" && requests === 5,
        ),
    );
    const counted = traffic.routes.find(({ name }: { name: string }) => name === "counted");
    assert.deepEqual([counted.byClass, counted.failed], [[0, 5, 0, 0, 0], 0]);
    const metrics = async () => (await ann.get("//metrics")).text;
    const labels = `tenant="acme",route="counted",variant="stable"`;
    const shown = await metrics();
    assert.match(shown, new RegExp(`gateway_requests_total{${labels},status_class="2xx"} 5\\n`));
    assert.match(shown, new RegExp(`gateway_request_duration_seconds_bucket{${labels},le="10"} 5\\n`));
    assert.match(shown, new RegExp(`gateway_request_duration_seconds_count{${labels}} 5\\n`));
    await ann.delete(`${routes}/${id}`);
    assert.doesNotMatch(await metrics(), /route="counted"/);
    const { status, url, problems } = await ann.ok(ann.get("/gateway/status"));
    assert.deepEqual([status, url, problems], ["ok", server.gateway, []]);
  });
});

describe("faults", () => {
  it("of one backend are not felt by callers of idempotent requests", async () => {
    const three = await startBackend("three");
    const backends = [{ url: one.url }, { url: three.url }];
    await create("faulty", {
      backends,
      breaker: { failures: 2, openMs: 60_000 },
      retry: { backoffMs: 1, budget: 1 },
    });
    await ask("/faulty");
    await three.stop();
    for (let n = 0; n < 12; n++) assert.equal((await ask("/faulty")).status, 200);
    const { items } = await ann.ok(ann.get("/gateway/backends"));
    const dead = items.find(({ url }: { url: string }) => url === three.url);
    assert.ok(dead.breaker === "open" || dead.ejected, JSON.stringify(dead));
  });

  it("end in 504 when a backend hangs, and the record says why", async () => {
    const three = await startBackend("hung");
    three.behave(() => {});
    await create("hung", {
      backends: [{ url: three.url }],
      timeouts: { firstByteMs: 50 },
      retry: { attempts: 0 },
    });
    const { status, headers } = await ask("/hung");
    assert.equal(status, 504);
    const { flags } = await ann.ok(ann.get(`/gateway/requests/${headers.get("x-request-id")}`));
    assert.ok(
      flags.some(({ flag }: { flag: string }) => flag === "UT"),
      JSON.stringify(flags),
    );
    await three.stop();
  });

  it("end the traffic of a backend whose checks fail, until they pass", async () => {
    const three = await startBackend("flapping");
    const health = { path: "/health", intervalMs: 100, timeoutMs: 5_000, unhealthyAfter: 1, healthyAfter: 1 };
    const alone = { breaker: { enabled: false }, outlier: { enabled: false } };
    await create("flapping", { backends: [{ url: three.url }, { url: two.url }], health, ...alone });
    const names = async () =>
      new Set(await Promise.all(Array.from({ length: 6 }, async () => (await ask("/flapping")).json?.name)));
    await eventually(names, (seen) => seen.has("flapping"));
    three.behave((_, response) => response.writeHead(500).end());
    await eventually(names, (seen) => seen.size === 1 && seen.has("two"));
    three.behave(undefined);
    await eventually(names, (seen) => seen.has("flapping"));
    await three.stop();
  });
});

/** Public keys at an address, and tokens that are signed with the other half. */
async function keyServer() {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const backend = await startBackend("keys");
  const keys = [{ ...(await exportJWK(publicKey)), kid: "k", alg: "ES256" }];
  backend.behave((_, response) => response.end(JSON.stringify({ keys })));
  const sign = (claims: JWTPayload) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: "ES256", kid: "k" })
      .setExpirationTime("5m")
      .sign(privateKey);
  return { url: backend.url, sign, stop: () => backend.stop() };
}

/** Insists on a certificate, and says whose it was shown. */
async function startSecureBackend() {
  const options = {
    ...makeCertificate("backend.test"),
    ca: root,
    requestCert: true,
    rejectUnauthorized: true,
  };
  const secure = createServer(options, ({ socket }, response) => {
    const client = (socket as TLSSocket).getPeerCertificate().subject.CN;
    response.end(JSON.stringify({ client }));
  });
  secure.listen(0, "127.0.0.1");
  await once(secure, "listening");
  const stop = async () => {
    secure.closeAllConnections();
    secure.close();
    await once(secure, "close");
  };
  return { url: `https://127.0.0.1:${(secure.address() as AddressInfo).port}`, stop };
}

/** With a Host of its own, which fetch does not let one choose. */
async function raw(path: string, headers: Record<string, string>) {
  const { port } = new URL(server.gateway);
  const sent = request({ host: "127.0.0.1", port, path, headers }).end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const body = await text(response);
  const json: Answer["json"] = body.startsWith("{") ? JSON.parse(body) : undefined;
  return { status: response.statusCode, headers: response.headers, json };
}
