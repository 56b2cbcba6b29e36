/** Every route is called with every role: it lets in exactly who the table of permissions names. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { decide } from "../../src/platform/access/access.ts";
import { type Permission, permissions, type Role, roles } from "../../src/platform/access/permissions.ts";
import type { Route } from "../../src/platform/http/route.ts";
import { Caller, type Method, TestServer } from "../server.ts";

let server: TestServer;
before(async () => {
  server = await TestServer.start();
});
after(() => server?.remove());

/** Somewhere below the route, where nothing is: who is let in changes nothing. */
const call = (caller: Caller, { method, path }: Route) =>
  caller.call(method as Method, `/${path.replaceAll(/\{\w+\}/g, "00000000-0000-7000-8000-000000000000")}`);

const holders = (permission: Permission): readonly Role[] => ["admin", ...permissions[permission]];

for (const role of roles) {
  test(`${role} is let in exactly where the table says`, async () => {
    const caller = await server.as({ roles: [role] });
    for (const route of server.routes) {
      const { status, json } = await call(caller, route);
      const allowed = route.permission === "public" || holders(route.permission).includes(role);
      if (allowed) assert.ok(status !== 401 && status !== 403, `${route.id} refused ${role}: ${status}`);
      else {
        assert.equal(status, 403, `${route.id} let ${role} in`);
        assert.equal(json.code, "permission_denied");
        assert.deepEqual(json.data, { permission: route.permission });
      }
    }
  });
}

test("a token without roles is let in nowhere but where all are", async () => {
  const caller = await server.as({ roles: [] });
  for (const route of server.routes) {
    const { status } = await call(caller, route);
    if (route.permission === "public") assert.notEqual(status, 403, route.id);
    else assert.equal(status, 403, route.id);
  }
});

test("a restricted token is let in only where the restriction is checked against the thing itself", async () => {
  const caller = await server.as({ roles: ["admin"], attributes: { environment: "test" } });
  for (const route of server.routes) {
    const { status, json } = await call(caller, route);
    if (route.permission === "public" || route.checksResource) assert.notEqual(status, 403, route.id);
    else assert.deepEqual([status, json.code], [403, "permission_denied"], route.id);
  }
});

test("without a token nobody is let in but where all are", async () => {
  const caller = new Caller(server, undefined);
  for (const route of server.routes) {
    const { status, json, headers } = await call(caller, route);
    if (route.permission === "public") assert.ok(status < 400, `${route.id}: ${status}`);
    else {
      assert.equal(status, 401, route.id);
      assert.equal(json.code, "token_missing");
      assert.match(headers.get("www-authenticate") ?? "", /^Bearer /);
    }
  }
});

test("the roles in the document are those who are let in", () => {
  for (const { id, permission } of server.routes.filter((route) => route.permission !== "public")) {
    const principal = { subject: "a", tenant: "t", attributes: {}, expiresAt: 0 };
    const allowed = roles.filter(
      (role) => decide({ ...principal, roles: [role] }, permission as Permission).allowed,
    );
    const shown = server.contract.operations.find((operation) => operation.id === id)!.roles;
    assert.deepEqual(shown.toSorted(), allowed.toSorted(), id);
  }
});
