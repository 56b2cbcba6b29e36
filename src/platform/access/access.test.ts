import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hasCode } from "../../core/errors.ts";
import type { Principal } from "../auth/principal.ts";
import { authorize, decide, type Resource } from "./access.ts";
import { type Permission, permissions, roles } from "./permissions.ts";

const someName = fc.constantFrom("a", "b", "c", "toString", "__proto__");
const somePermission = fc.constantFrom(...(Object.keys(permissions) as Permission[]));
const someAttribute = fc.constantFrom("environment", "label.team", "label.zone", "label.toString");
const someLabels = fc.dictionary(fc.constantFrom("team", "zone", "toString"), someName);

const somePrincipal: fc.Arbitrary<Principal> = fc.record({
  subject: fc.constant("ann"),
  tenant: someName,
  roles: fc.subarray([...roles]),
  attributes: fc.dictionary(
    someAttribute,
    fc.array(someName, { minLength: 1, maxLength: 3 }).map((names) => names.join(",")),
    { maxKeys: 3 },
  ),
  expiresAt: fc.constant(0),
});
const someResource: fc.Arbitrary<Resource> = fc.record(
  { tenant: someName, environment: someName, labels: someLabels },
  { requiredKeys: [] },
);

const allows = (principal: Principal, permission: Permission, resource?: Resource) =>
  decide(principal, permission, resource).allowed;

test("without a resource, exactly the roles of the table have a permission, and admin has all", () => {
  fc.assert(
    fc.property(somePrincipal, somePermission, (principal, permission) => {
      const holders: readonly string[] = [...permissions[permission], "admin"];
      const expected = principal.roles.some((role) => holders.includes(role));
      assert.equal(allows(principal, permission), expected);
    }),
  );
});

test("nobody reaches into another tenant, whatever their roles", () => {
  fc.assert(
    fc.property(somePrincipal, somePermission, someResource, (principal, permission, resource) => {
      const elsewhere = { ...resource, tenant: `${principal.tenant}-other` };
      assert.equal(allows({ ...principal, roles: [...roles] }, permission, elsewhere), false);
    }),
  );
});

test("a restriction only takes away, and holds exactly where the resource has one of its values", () => {
  const property = fc.property(
    somePrincipal,
    somePermission,
    someResource,
    someAttribute,
    fc.uniqueArray(someName, { minLength: 1, maxLength: 3 }),
    (principal, permission, resource, attribute, values) => {
      const { [attribute]: _, ...attributes } = principal.attributes;
      const free = { ...principal, attributes };
      const bound = { ...free, attributes: { ...attributes, [attribute]: values.join(",") } };
      const labels = new Map(Object.entries(resource.labels ?? {}));
      const value = attribute === "environment" ? resource.environment : labels.get(attribute.slice(6));
      const fits = value !== undefined && new Set<string>(values).has(value);
      assert.equal(allows(bound, permission, resource), allows(free, permission, resource) && fits);
    },
  );
  fc.assert(property, { numRuns: 500 });
});

test("more roles never allow less", () => {
  fc.assert(
    fc.property(
      somePrincipal,
      somePermission,
      someResource,
      fc.constantFrom(...roles),
      (principal, permission, resource, role) => {
        if (!allows(principal, permission, resource)) return;
        assert.ok(allows({ ...principal, roles: [...principal.roles, role] }, permission, resource));
      },
    ),
  );
});

test("a restriction that is not understood lets nothing through", () => {
  const principal: Principal = {
    subject: "ann",
    tenant: "t",
    roles: ["admin"],
    attributes: { region: "eu" },
    expiresAt: 0,
  };
  assert.equal(allows(principal, "topics.read", { tenant: "t", labels: { region: "eu" } }), false);
});

test("the error names the permission that is missing", () => {
  const viewer: Principal = {
    subject: "vic",
    tenant: "t",
    roles: ["viewer"],
    attributes: {},
    expiresAt: 0,
  };
  authorize(viewer, "topics.read", { tenant: "t" });
  assert.throws(
    () => authorize(viewer, "topics.write"),
    (error) => {
      assert.ok(hasCode(error, "permission_denied"));
      assert.match(error.message, /^topics\.write is needed/);
      assert.deepEqual(error.data, { permission: "topics.write" });
      return true;
    },
  );
});
