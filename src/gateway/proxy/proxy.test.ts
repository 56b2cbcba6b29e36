import assert from "node:assert/strict";
import { test } from "node:test";
import { changeBetween } from "./proxy.ts";
import type { Route, Snapshot } from "./snapshot.ts";

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
