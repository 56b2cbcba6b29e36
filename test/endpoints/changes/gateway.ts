/** Changes of routes, backends and keys of the gateway. */
import type { Caller } from "../../server.ts";
import type { Changes } from "./change.ts";

const routeOf = (name: string) => ({
  name,
  match: { host: `${name}.test` },
  backends: [{ url: "http://127.0.0.1:9" }],
});

/** The id of the route of this name, made if need be. */
export async function routeId(caller: Caller, name: string): Promise<string> {
  const { items } = await caller.ok(caller.get(`/gateway/routes?name=${name}`));
  return items[0]?.id ?? (await caller.ok(caller.post("/gateway/routes", routeOf(name)))).id;
}

export const gatewayChanges: Changes = {
  "gateway.routes.create": {
    resource: /^gateway\/routes\/one$/,
    change: (caller, options) => caller.post("/gateway/routes", routeOf("one"), options),
  },
  "gateway.routes.update": {
    resource: /^gateway\/routes\/one$/,
    change: async (caller, { headers }) => {
      const body = { ...routeOf("one"), priority: 1 };
      const path = `/gateway/routes/${await routeId(caller, "one")}`;
      return caller.put(path, body, { headers: { ...headers, "if-match": "*" } });
    },
  },
  "gateway.backends.override": {
    resource: /^gateway\/backends\/[0-9a-f]{16}$/,
    change: async (caller, options) => {
      const { items } = await caller.ok(caller.get("/gateway/backends"));
      return caller.post(`/gateway/backends/${items[0].id}/override`, { draining: true }, options);
    },
  },
  "gateway.routes.delete": {
    resource: /^gateway\/routes\/one$/,
    change: async (caller, options) =>
      caller.delete(`/gateway/routes/${await routeId(caller, "one")}`, options),
  },
  "gateway.routes.import": {
    resource: /^gateway\/routes$/,
    change: (caller, options) => caller.post("/gateway/routes/import", { routes: [routeOf("two")] }, options),
  },
  "gateway.instances.register": {
    resource: /^gateway\/services\/s\/instances\/a$/,
    change: (caller, options) =>
      caller.post("/gateway/services/s/instances", { id: "a", url: "http://127.0.0.1:9" }, options),
  },
  "gateway.instances.deregister": {
    resource: /^gateway\/services\/s\/instances\/a$/,
    change: (caller, options) => caller.delete("/gateway/services/s/instances/a", options),
  },
  "gateway.keys.create": {
    resource: /^gateway\/keys\/k$/,
    change: (caller, options) => caller.post("/gateway/keys", { name: "k" }, options),
  },
  "gateway.keys.revoke": {
    resource: /^gateway\/keys\/k$/,
    change: async (caller, options) => {
      const { items } = await caller.ok(caller.get("/gateway/keys"));
      return caller.delete(`/gateway/keys/${items[0].id}`, options);
    },
  },
};
