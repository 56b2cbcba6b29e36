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
