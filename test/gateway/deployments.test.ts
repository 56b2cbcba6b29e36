/** Routes that are changed by deployment, over the API of a whole server, with real backends and traffic. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Caller, TestServer } from "../server.ts";
import { type Backend, eventually, startBackend } from "./backends.ts";

let server: TestServer;
let ann: Caller;
let blue: Backend;
let green: Backend;
before(async () => {
  [blue, green] = await Promise.all([startBackend("blue"), startBackend("green")]);
  server = await TestServer.start();
  ann = await server.as();
});
after(async () => {
  await server?.remove();
  await Promise.all([blue, green].map((backend) => backend?.stop()));
});

const create = (name: string, more: object = {}) =>
  ann.ok(
    ann.post("/gateway/routes", {
      ...{ name, match: { path: { prefix: `/${name}` } }, backends: [{ url: blue.url }] },
      ...more,
    }),
    201,
  );

async function ask(path: string, headers: Record<string, string> = {}) {
  const response = await fetch(server.gateway + path, { headers });
  const body = await response.text();
  return { status: response.status, name: body.startsWith("{") ? JSON.parse(body).name : undefined };
}

const deployments = "/gateway/deployments";
type Shown = Awaited<ReturnType<Caller["ok"]>>;

const toGreen = () => ({ backends: [{ url: green.url }] });
const deploy = (route: string, more: object): Promise<Shown> =>
  ann.ok(ann.post(deployments, { route, change: toGreen(), ...more }), 201);
const get = (id: string): Promise<Shown> => ann.ok(ann.get(`${deployments}/${id}`));
const reached = (id: string, ...statuses: string[]): Promise<Shown> =>
  eventually(
    () => get(id),
    ({ status }) => statuses.includes(status),
  );
const ended = (id: string) => reached(id, "succeeded", "rolled_back", "cancelled", "failed");

/** Goes on without a look at samples: for tests that are not about judging. */
const quick = { bakeSeconds: 0, bakeMaxSeconds: 0 };

describe("a canary of a route", () => {
  it("that fails is found by its callers' requests and taken back; no other request is harmed", async () => {
    const { id: route } = await create("bad");
    green.behave((request, response) => {
      const isBad = green.seen.indexOf(request) % 3 === 0;
      response.writeHead(isBad ? 500 : 200, { "x-from": "green" }).end();
    });
    const { id } = await deploy(route, { unit: { header: "x-user" }, phases: [30, 100], bakeSeconds: 300 });
    const named = await ann.ok(ann.get(`${deployments}?target=bad`));
    assert.deepEqual(
      named.items.map((one: Shown) => [one.id, one.target, one.targetName]),
      [[id, route, "bad"]],
      "a route is known by its name as by its id",
    );
    const failed: (string | null)[] = [];
    let isOver = false;
    const callers = Array.from({ length: 8 }, async (_, caller) => {
      for (let n = 0; !isOver; n++) {
        const response = await fetch(`${server.gateway}/bad`, { headers: { "x-user": `${caller}-${n}` } });
        await response.text();
        if (response.status !== 200) failed.push(response.headers.get("x-from"));
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    const end = await ended(id).finally(() => {
      isOver = true;
    });
    await Promise.all(callers);
    green.behave(undefined);
    assert.deepEqual([end.status, end.share, end.rollback.cause], ["rolled_back", 0, "judge"]);
    assert.match(end.rollback.reason, /errors/);
    assert.ok(failed.length > 0 && failed.every((from) => from === "green"));
    const { canary, control } = await ann.ok(ann.get(`${deployments}/${id}/metrics`));
    assert.ok(canary.errors > 0 && control.requests > 0);
    assert.equal(control.errors, 0);
    const before = green.seen.length;
    for (let n = 0; n < 30; n++) assert.equal((await ask("/bad", { "x-user": `${n}` })).name, "blue");
    assert.equal(green.seen.length, before);
    assert.equal((await ann.ok(ann.get(`/gateway/routes/${route}`))).version, 1);
  });

  it("that is good becomes the route's next version, and says so in the audit", async () => {
    const { id: route } = await create("good");
    const { id } = await deploy(route, quick);
    const end = await ended(id);
    assert.deepEqual([end.status, end.share, end.phases], ["succeeded", 100, 3]);
    const after = await ann.ok(ann.get(`/gateway/routes/${route}`));
    assert.deepEqual([after.version, after.backends], [2, toGreen().backends]);
    assert.equal((await ask("/good")).name, "green");
    const { items } = await ann.ok(ann.get("/audit?limit=20"));
    const update = items.find(
      ({ action, actor }: Shown) => action === "route.update" && /system/.test(actor),
    );
    assert.equal(update.detail.deployment, id);
  });

  it("that waited changes what it was asked for in the route that the one before it left", async () => {
    const { id: route } = await create("waiting");
    const change = { description: "by the first" };
    const first = await ann.ok(ann.post(deployments, { route, change, bakeSeconds: 300 }), 201);
    await eventually(
      () => get(first.id),
      ({ share }) => share > 0,
    );
    const { id } = await deploy(route, quick);
    await ann.ok(ann.post(`${deployments}/${first.id}/promote`, { full: true }));
    const [, end] = [await ended(first.id), await ended(id)];
    assert.deepEqual([end.status, end.summary], ["succeeded", "route waiting: backends"]);
    const { description, backends } = await ann.ok(ann.get(`/gateway/routes/${route}`));
    assert.deepEqual({ description, backends }, { ...change, ...toGreen() });
  });

  it("is refused when it is none: with pointers into the body", async () => {
    await create("wrong");
    const pointers = async (body: object) => {
      const { status, json } = await ann.post(deployments, { route: "wrong", change: toGreen(), ...body });
      assert.ok(status >= 400, JSON.stringify(json));
      return json.errors?.map(({ pointer }: Shown) => pointer) ?? json.code;
    };
    assert.deepEqual(await pointers({ change: { match: { host: "a.example" } } }), ["/change/match"]);
    assert.deepEqual(await pointers({ change: { backends: [] } }), ["/change/backends"]);
    assert.deepEqual(await pointers({ unit: {} }), ["/unit"]);
    assert.deepEqual(await pointers({ testHeader: { name: "a b", value: "1" } }), ["/testHeader/name"]);
    assert.equal(await pointers({ route: "nowhere" }), "gateway_route_not_found");
    const viewer = await server.as({ roles: ["viewer"] });
    assert.equal((await viewer.post(deployments, { route: "wrong", change: toGreen() })).status, 403);
  });
});

describe("blue and green of a route", () => {
  const strategy = { strategy: "blue-green", verifySeconds: 0, keepWarmSeconds: 0, ...quick };

  it("do not change places when the new backends do not answer as they should", async () => {
    const { id: route } = await create("smoke");
    green.behave((_, response) => response.writeHead(503).end());
    const before = green.seen.length;
    const { id } = await deploy(route, { ...strategy, smoke: { path: "/ready", requests: 2 } });
    const end = await ended(id);
    assert.deepEqual([end.status, end.rollback.cause], ["rolled_back", "smoke"]);
    assert.match(end.rollback.reason, /answered 503 to \/ready/);
    assert.deepEqual(
      green.seen.slice(before).map(({ url }) => url),
      ["/ready"],
    );
    green.behave(undefined);
  });

  it("wait for a promotion, shown to testers meanwhile; the route is the deployment's until then", async () => {
    const { id: route } = await create("switch");
    const testHeader = { name: "x-test", value: "green" };
    const { id } = await deploy(route, { ...strategy, testHeader, smoke: { path: "/" }, manual: true });
    await eventually(
      () => get(id),
      ({ holdReasons, step }) => holdReasons.includes("manual") && step.kind === "gate",
    );
    assert.equal((await ask("/switch")).name, "blue");
    assert.equal((await ask("/switch", { "x-test": "green" })).name, "green");

    const {
      version,
      revision,
      createdAt,
      updatedAt,
      id: _,
      ...spec
    } = await ann.ok(ann.get(`/gateway/routes/${route}`));
    const anyVersion = { headers: { "if-match": "*" } };
    const edited = { ...spec, description: "edited" };
    const edits = [
      await ann.put(`/gateway/routes/${route}`, edited, anyVersion),
      await ann.delete(`/gateway/routes/${route}`),
      await ann.post("/gateway/routes/import?mode=merge", { routes: [edited] }),
    ];
    for (const { status, json } of edits) {
      assert.deepEqual([status, json.code, json.data.deployment], [409, "gateway_route_deploying", id]);
      assert.match(json.detail, new RegExp(`switch is being changed by the deployment ${id}`));
    }

    await ann.ok(ann.post(`${deployments}/${id}/promote`, {}));
    assert.equal((await ended(id)).status, "succeeded");
    assert.equal((await ask("/switch")).name, "green");
    await ann.ok(
      ann.put(`/gateway/routes/${route}`, { ...spec, ...toGreen(), description: "free" }, anyVersion),
    );
  });
});

describe("a preview of routes", () => {
  it("says which of the last requests a set, or a change of one route, would touch", async () => {
    const { id } = await create("seen");
    for (let n = 0; n < 3; n++) await ask(`/seen/${n}`);
    await ask("/nowhere");
    const preview = (body: object) => ann.ok(ann.post("/gateway/routes/preview", body));
    const changed = await eventually(
      () => preview({ route: id, change: { backends: [{ url: green.url }] } }),
      ({ requests }) => requests >= 4,
    );
    assert.deepEqual(
      changed.groups.map(({ from, to, effects, count }: Record<string, unknown>) => [
        from,
        to,
        effects,
        count,
      ]),
      [["seen", "seen", ["backends"], 3]],
    );
    const all = { name: "all", match: {}, backends: [{ url: green.url }] };
    const { groups } = await preview({ routes: [all], mode: "merge" });
    assert.deepEqual([groups.length, groups[0].from, groups[0].to], [1, null, "all"]);
    // Nothing of it was kept.
    assert.equal((await ask("/nowhere")).status, 404);
    const refused = async (body: object) => (await ann.post("/gateway/routes/preview", body)).json;
    assert.equal((await refused({})).code, "validation_failed");
    assert.equal((await refused({ route: "nothing", change: {} })).code, "gateway_route_not_found");
    assert.equal(
      (await refused({ route: id, change: { backends: [] } })).errors[0].pointer,
      "/change/backends",
    );
    assert.equal(
      (await refused({ routes: [{ ...all, backends: [] }] })).errors[0].pointer,
      "/routes/0/backends",
    );
  });
});
