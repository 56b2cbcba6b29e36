/** Routes over HTTP: their life, who may do what, import and export, and what is reported of a set. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { assertRefused, walk } from "../messaging/calls.ts";
import { type Caller, TestServer } from "../server.ts";

let server: TestServer;
let ann: Caller;
before(async () => {
  server = await TestServer.start({ "gateway-routes-max": "40" });
  ann = await server.as();
});
after(() => server?.remove());

const orders = (more: object = {}) => ({
  name: "orders",
  match: { path: { prefix: "/orders" } },
  strategy: "round-robin",
  backends: [{ url: "http://127.0.0.1:3000", weight: 1 }],
  ...more,
});
const routes = "/gateway/routes";
const named = (name: string, path: string, more: object = {}) =>
  orders({ name, match: { path: { prefix: path } }, ...more });

async function clear(caller: Caller) {
  await caller.ok(caller.post(`${routes}/import`, { routes: [] }));
}

describe("routes", () => {
  it("are created, read, listed, changed and deleted", async () => {
    const pat = await server.as({ tenant: "life" });
    const created = await pat.post(routes, orders({ match: { host: "life.test" } }));
    assert.equal(created.status, 201, created.text);
    const { id, createdAt, updatedAt, warnings, revision, version, ...spec } = created.json;
    assert.deepEqual(spec, orders({ match: { host: "life.test" } }));
    assert.deepEqual([version, revision, warnings, created.headers.get("etag")], [1, 1, [], `"1"`]);
    const read = await pat.get(`${routes}/${id}`);
    assert.deepEqual({ ...read.json, warnings }, created.json);
    assert.deepEqual((await pat.ok(pat.get(routes))).items, [read.json]);

    const put = (body: object, etag?: string) =>
      pat.put(`${routes}/${id}`, body, etag === undefined ? {} : { headers: { "if-match": etag } });
    const changed = orders({
      match: { host: "life.test" },
      priority: 5,
      enabled: false,
      labels: { team: "a" },
    });
    assertRefused(await put(changed), 428, "if_match_required");
    assertRefused(await put(changed, `"7"`), 412, "etag_mismatch");
    const updated = await pat.ok(put(changed, `"1"`));
    assert.deepEqual([updated.version, updated.revision, updated.priority], [2, 2, 5]);
    const again = await pat.ok(put(changed, `"2"`));
    assert.deepEqual([again.version, again.revision], [2, 2], "a change that changes nothing is none");

    assertRefused(
      await pat.delete(`${routes}/${id}`, { headers: { "if-match": `"1"` } }),
      412,
      "etag_mismatch",
    );
    assert.equal((await pat.delete(`${routes}/${id}`)).status, 204);
    assertRefused(await pat.get(`${routes}/${id}`), 404, "gateway_route_not_found");
    assertRefused(await pat.delete(`${routes}/${id}`), 404, "gateway_route_not_found");
    assert.equal((await pat.ok(pat.get(`${routes}/export?revision=1`))).routes[0].priority, undefined);
    assert.equal((await pat.ok(pat.get(`${routes}/export`))).routes.length, 0);
    assertRefused(await pat.get(`${routes}/export?revision=9`), 404, "gateway_revision_not_found");
  });

  it("are written by operators and deleted by admins alone", async () => {
    const operator = await server.as({ tenant: "duty", roles: ["operator"] });
    const { id } = await operator.ok(operator.post(routes, orders({ match: { host: "duty.test" } })), 201);
    assertRefused(await operator.delete(`${routes}/${id}`), 403, "permission_denied");
    assertRefused(await operator.post(`${routes}/import`, { routes: [] }), 403, "permission_denied");
    const developer = await server.as({ tenant: "duty", roles: ["developer"] });
    assertRefused(await developer.post(routes, orders({ name: "x" })), 403, "permission_denied");
    assert.equal((await developer.ok(developer.get(routes))).items.length, 1);
    const admin = await server.as({ tenant: "duty" });
    assert.equal((await admin.delete(`${routes}/${id}`)).status, 204);
  });

  it("of one name or of another's host are refused", async () => {
    await ann.ok(ann.post(routes, orders()), 201);
    assertRefused(await ann.post(routes, orders()), 409, "gateway_route_exists");
    const bob = await server.as({ tenant: "other" });
    assertRefused(await bob.post(routes, orders()), 409, "gateway_host_taken");
    await ann.ok(ann.post(routes, named("mine", "/", { match: { host: "*.acme.test" } })), 201);
    for (const host of ["*.acme.test", "api.acme.test", "*.test"]) {
      assertRefused(await bob.post(routes, orders({ match: { host } })), 409, "gateway_host_taken");
    }
    await bob.ok(bob.post(routes, orders({ match: { host: "bob.example" } })), 201);
    assert.deepEqual(
      (await bob.ok(bob.get(routes))).items.map(({ name }: { name: string }) => name),
      ["orders"],
    );
    await clear(ann);
    // A host that nobody names any more is free.
    await bob.ok(bob.post(routes, orders({ name: "late", match: { host: "api.acme.test" } })), 201);
    await clear(bob);
  });

  it("are tried without being kept", async () => {
    const tried = await ann.ok(ann.post(`${routes}?dryRun=true`, orders({ name: "tried" })), 201);
    assertRefused(await ann.get(`${routes}/${tried.id}`), 404, "gateway_route_not_found");
    const { id } = await ann.ok(ann.post(routes, orders({ name: "tried" })), 201);
    const put = await ann.put(`${routes}/${id}?dryRun=true`, orders({ name: "tried", priority: 9 }), {
      headers: { "if-match": "*" },
    });
    assert.deepEqual([put.json.priority, put.json.version], [9, 2]);
    assert.equal((await ann.delete(`${routes}/${id}?dryRun=true`)).status, 204);
    assert.equal((await ann.ok(ann.get(`${routes}/${id}`))).version, 1);
    await clear(ann);
  });

  it("are made once for one Idempotency-Key", async () => {
    const call = () => ann.post(routes, orders({ name: "once" }), { headers: { "idempotency-key": "k1" } });
    const both = [await call(), await call()];
    assert.deepEqual(
      both.map(({ status, json }) => [status, json.id]),
      [
        [201, both[0]!.json.id],
        [201, both[0]!.json.id],
      ],
    );
    await clear(ann);
  });

  it("are listed page by page and by filters", async () => {
    for (let n = 0; n < 7; n++) {
      const more = { labels: { team: n % 2 ? "odd" : "even", n: String(n) }, enabled: n !== 3 };
      await ann.ok(ann.post(routes, named(`r${n}`, `/r${n}`, more)), 201);
    }
    const names = async (query: string) =>
      (await walk(ann, `${routes}?${query}`, 2)).map(({ name }) => name).join();
    assert.equal(await names(""), "r0,r1,r2,r3,r4,r5,r6");
    assert.equal(await names("labels=team%3Dodd"), "r1,r3,r5");
    assert.equal(await names("labels=team%3Dodd,n%3D5"), "r5");
    assert.equal(await names("enabled=false"), "r3");
    assert.equal(await names("name=r2"), "r2");
    assert.equal(await names("host=nowhere"), "");
    assertRefused(await ann.get(`${routes}?labels=x`), 400, "validation_failed");
    await clear(ann);
  });

  it("have a limit", async () => {
    const many = Array.from({ length: 41 }, (_, n) => named(`m${n}`, `/m${n}`));
    assertRefused(await ann.post(`${routes}/import`, { routes: many }), 409, "gateway_routes_full");
    await ann.ok(ann.post(`${routes}/import`, { routes: many.slice(1) }));
    assertRefused(await ann.post(routes, many[0]), 409, "gateway_routes_full");
    await clear(ann);
  });
});

describe("bad routes are refused at their place", () => {
  const bad: [string, object, string[]][] = [
    ["no backend", { backends: [] }, ["/backends"]],
    ["an unknown field", { backend: "x" }, ["/backend"]],
    ["two kinds of path", { match: { path: { prefix: "/a", exact: "/b" } } }, ["/match/path"]],
    ["a path with a query", { match: { path: { prefix: "/a?b" } } }, ["/match/path/prefix"]],
    ["a dot segment", { match: { path: { exact: "/a/../b" } } }, ["/match/path/exact"]],
    ["a half placeholder", { match: { path: { template: "/a/{id}.json" } } }, ["/match/path/template"]],
    ["a rest in the middle", { match: { path: { template: "/a/{rest*}/b" } } }, ["/match/path/template"]],
    ["a name twice", { match: { path: { template: "/{a}/{a}" } } }, ["/match/path/template"]],
    ["a host with a port", { match: { host: "a.test:80" } }, ["/match/host"]],
    ["a condition without a test", { match: { headers: [{ name: "x" }] } }, ["/match/headers/0"]],
    ["a header that is none", { match: { headers: { "a b": "1" } } }, ["/match/headers/a b"]],
    ["a backend of two kinds", { backends: [{ url: "http://a", service: "b" }] }, ["/backends/0"]],
    ["a backend with a path", { backends: [{ url: "http://a/b" }] }, ["/backends/0/url"]],
    ["a port out of range", { backends: [{ url: "http://a:70000" }] }, ["/backends/0/url"]],
    ["a backend twice", { backends: [{ url: "http://a" }, { url: "http://a:80/" }] }, ["/backends/1"]],
    ["DNS without a port", { backends: [{ dns: { name: "a.test" } }] }, ["/backends/0/dns/port"]],
    ["an unknown strategy", { strategy: "luck" }, ["/strategy"]],
    ["by header without one", { strategy: "header" }, ["/header"]],
    [
      "by header to a stranger",
      { strategy: "header", header: { name: "x", byValue: { a: "http://b" } } },
      ["/header/byValue/a"],
    ],
    [
      "a hop-by-hop field",
      { request: { headers: { set: { Connection: "x" } } } },
      ["/request/headers/set/Connection"],
    ],
    [
      "a line end in a field",
      { response: { headers: { set: { a: "b\r\nc" } } } },
      ["/response/headers/set/a"],
    ],
    ["a placeholder that is not matched", { request: { path: "/x/{id}" } }, ["/request/path"]],
    ["a network that is none", { ip: { deny: ["10.0.0.0/33"] } }, ["/ip/deny/0"]],
    ["every origin with credentials", { cors: { origins: ["*"], credentials: true } }, ["/cors/credentials"]],
    ["empty auth", { auth: {} }, ["/auth"]],
    ["an issuer without a place", { auth: { jwt: { issuer: "me" } } }, ["/auth/jwt/issuer"]],
    ["redirect with backends", { redirect: { location: "/x" } }, ["/backends"]],
    ["a retry storm", { retry: { attempts: 99 } }, ["/retry/attempts"]],
    ["TLS to plain", { connection: { tls: { verify: false } } }, ["/connection/tls"]],
  ];
  for (const [what, more, pointers] of bad) {
    it(what, async () => {
      const problem = assertRefused(await ann.post(routes, orders(more)), 400, "validation_failed");
      assert.deepEqual(
        problem.errors?.map(({ pointer }) => pointer),
        pointers,
      );
    });
  }
});

describe("a route set", () => {
  const set = { routes: [named("a", "/a"), named("b", "/b", { priority: 1 })] };

  it("is imported with a diff, tried first, and in one revision", async () => {
    const tried = await ann.ok(ann.post(`${routes}/import?dryRun=true`, set));
    assert.deepEqual([tried.dryRun, tried.diff.added, tried.diff.unchanged], [true, ["a", "b"], 0]);
    assert.equal((await ann.ok(ann.get(routes))).items.length, 0);
    const done = await ann.ok(ann.post(`${routes}/import`, set));
    const again = await ann.ok(ann.post(`${routes}/import`, set));
    assert.deepEqual([again.revision, again.diff.unchanged], [done.revision, 2]);
    const other = { routes: [named("b", "/b", { priority: 2 }), named("c", "/c")] };
    const { diff, revision } = await ann.ok(ann.post(`${routes}/import`, other));
    const changes = [{ pointer: "/priority", before: 1, after: 2 }];
    assert.deepEqual(diff, { added: ["c"], changed: [{ name: "b", changes }], removed: ["a"], unchanged: 0 });
    assert.equal(revision, done.revision + 1);
    const merged = await ann.ok(ann.post(`${routes}/import?mode=merge`, { routes: [named("d", "/d")] }));
    assert.deepEqual([merged.diff.added, merged.diff.removed, merged.diff.unchanged], [["d"], [], 2]);
  });

  it("is exported as JSON and YAML, and an earlier revision takes it back", async () => {
    const now = await ann.ok(ann.get(`${routes}/export`));
    assert.deepEqual(
      now.routes.map(({ name }: { name: string }) => name),
      ["b", "c", "d"],
    );
    const yaml = await ann.get(`${routes}/export?format=yaml`);
    assert.match(yaml.headers.get("content-type") ?? "", /^application\/yaml/);
    const headers = { "content-type": "application/yaml" };
    const same = await ann.ok(ann.post(`${routes}/import`, yaml.text, { headers }));
    assert.deepEqual([same.diff.unchanged, same.revision], [3, now.revision]);
    const before = await ann.get(`${routes}/export?format=yaml&revision=${now.revision - 2}`);
    const back = await ann.ok(ann.post(`${routes}/import`, before.text, { headers }));
    assert.deepEqual([back.diff.added, back.diff.removed], [["a"], ["c", "d"]]);
  });

  it("with mistakes is refused with all of them, and what was there stays", async () => {
    const before = await ann.ok(ann.get(`${routes}/export`));
    const wrong = {
      routes: [
        named("fine", "/fine"),
        named("a", "/a", { strategy: "luck", backends: [{ url: "ftp://x" }] }),
        named("fine", "/twice"),
        7,
        named("d", "/d", { backends: [] }),
      ],
    };
    const problem = assertRefused(await ann.post(`${routes}/import`, wrong), 400, "gateway_set_invalid");
    assert.deepEqual(
      problem.errors?.map(({ pointer }) => pointer),
      ["/routes/1/strategy", "/routes/1/backends/0/url", "/routes/2/name", "/routes/3", "/routes/4/backends"],
    );
    const [, url] = problem.errors ?? [];
    assert.match(url!.message, /^must match pattern .* \(`http:\/\/` or .* host and port\) \(route a\)$/);
    assert.deepEqual(await ann.ok(ann.get(`${routes}/export`)), before);
    const type = (value: string) => ({ headers: { "content-type": value } });
    assertRefused(await ann.post(`${routes}/import`, "{", type("application/json")), 400, "json_malformed");
    assertRefused(
      await ann.post(`${routes}/import`, "a: [", type("application/yaml")),
      400,
      "json_malformed",
    );
    assertRefused(
      await ann.post(`${routes}/import`, "a: b", type("text/plain")),
      415,
      "media_type_unsupported",
    );
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefg"
      .split("")
      .map((name, n) => `${name}: &${name} [${`*${"abcdef"[n]},`.repeat(9)}]`)
      .join("\n")}\nroutes: [*g]`;
    assertRefused(await ann.post(`${routes}/import`, bomb, type("application/yaml")), 400, "json_malformed");
  });

  it("is told where routes get in one another's way", async () => {
    await clear(ann);
    const created = await ann.ok(ann.post(routes, named("wide", "/", { priority: 10 })), 201);
    assert.deepEqual(created.warnings, []);
    const { warnings } = await ann.ok(ann.post(routes, named("narrow", "/a")), 201);
    assert.deepEqual(
      warnings.map(({ kind, route, other }: Record<string, string>) => [kind, route, other]),
      [["unreachable", "narrow", "wide"]],
    );
    await ann.ok(
      ann.post(
        routes,
        named("v1", "/v", { match: { path: { prefix: "/v" }, methods: ["GET"] }, priority: 20 }),
      ),
      201,
    );
    const second = {
      match: { path: { prefix: "/v" }, headers: { "x-v": "2" } },
      priority: 20,
      health: { path: "/" },
    };
    await ann.ok(ann.post(routes, named("v2", "/v", second)), 201);
    const host = { match: { host: "one.test" }, priority: 30 }; // before all of the others, as it is meant to be
    await ann.ok(ann.post(routes, named("host", "/", host)), 201);
    for (const [name, template] of Object.entries({ crossed: "/w/{id}/x", crossing: "/w/a/{id}" })) {
      await ann.ok(ann.post(routes, named(name, "/", { match: { path: { template } }, priority: 30 })), 201);
    }
    await ann.ok(ann.post(routes, named("root", "/", { match: { path: { exact: "/" } }, priority: 5 })), 201);
    const { findings, routes: count, truncated } = await ann.ok(ann.get(`${routes}/analysis`));
    assert.deepEqual([count, truncated], [8, false]);
    const shown = findings.map(
      ({ kind, route, other }: Record<string, string>) => `${kind} ${route} ${other}`,
    );
    assert.ok(shown.includes("unreachable narrow wide"), shown.join("; "));
    assert.equal(shown.filter((text: string) => text === "unreachable root wide").length, 1, "once");
    assert.ok(shown.includes("ambiguous v2 v1"), shown.join("; "));
    assert.deepEqual(
      shown.filter((text: string) => text.startsWith("overlap")),
      ["overlap crossed crossing"],
    );
    assert.ok(shown.includes("settings-differ v2 wide"), shown.join("; "));
    await clear(ann);
  });
});
