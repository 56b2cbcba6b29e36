/** Deployments of configurations and of routes, what people do to them, and freezes. */
import type { Caller } from "../../server.ts";
import { another, type Changes } from "./change.ts";
import { configOf } from "./configuration.ts";
import { routeId } from "./gateway.ts";

/** A deployment of `name` that waits for a promotion, or with `startAt` for its time. */
async function deploymentOf(caller: Caller, name: string, more: object = {}): Promise<string> {
  const other = await another(caller);
  await other.post("/configs", { ...configOf(name), service: name });
  await other.ok(other.post(`/configs/${name}/versions`, { text: "{}" }));
  const times = { probeSeconds: 0, bakeSeconds: 0, manual: true, phases: [50, 100], ...more };
  const body = { kind: "config", config: name, version: 1, ...times };
  const { id } = await other.ok(other.post("/deployments", body));
  for (;;) {
    const { holdReasons } = await other.ok(other.get(`/deployments/${id}`));
    if (holdReasons.length > 0) return id;
  }
}

const later = { startAt: "2100-01-01T00:00:00Z" };

/** The same of a change of a route. */
async function routeDeploymentOf(caller: Caller, name: string): Promise<string> {
  const body = routeChangeOf(await routeId(caller, name));
  const { id } = await caller.ok(caller.post("/gateway/deployments", { ...body, ...later }));
  return id;
}

const routeChangeOf = (route: string) => ({ route, change: { backends: [{ url: "http://127.0.0.1:8" }] } });

const freezeOf = (target: string) => ({ target, to: "2100-01-01T00:00:00Z", reason: "a test" });

async function freezeId(caller: Caller, target: string): Promise<string> {
  return (await caller.ok(caller.post("/freezes", freezeOf(target)))).id;
}

export const deploymentChanges: Changes = {
  "deployments.create": {
    resource: /^deployments\/[\w-]+$/,
    change: async (caller, options) => {
      await deploymentOf(caller, "deployed", later);
      await caller.ok(caller.post("/configs/deployed/versions", { text: '{"a":1}' }));
      const body = { kind: "config", config: "deployed", version: 2, ...later };
      return caller.post("/deployments", body, options);
    },
  },
  "deployments.pause": {
    resource: /^deployments\/[\w-]+$/,
    change: async (caller, options) =>
      caller.post(`/deployments/${await deploymentOf(caller, "paused", later)}/pause`, {}, options),
  },
  "deployments.resume": {
    resource: /^deployments\/[\w-]+$/,
    change: async (caller, options) =>
      caller.post(`/deployments/${await deploymentOf(caller, "resumed", later)}/resume`, {}, options),
  },
  "deployments.promote": {
    resource: /^deployments\/[\w-]+$/,
    change: async (caller, options) =>
      caller.post(`/deployments/${await deploymentOf(caller, "promoted")}/promote`, {}, options),
  },
  "deployments.rollback": {
    resource: /^deployments\/[\w-]+$/,
    change: async (caller, options) =>
      caller.post(
        `/deployments/${await deploymentOf(caller, "back", later)}/rollback`,
        { reason: "no" },
        options,
      ),
  },
  "deployments.breakGlass": {
    resource: /^deployments\/[\w-]+$/,
    also: ["approvals.request"],
    change: async (caller, options) => {
      await freezeId(caller, "frozen");
      const id = await deploymentOf(caller, "frozen");
      return caller.post(`/deployments/${id}/break-glass`, { reason: "now" }, options);
    },
  },
  "gateway.deployments.create": {
    resource: /^deployments\/[\w-]+$/,
    change: async (caller, options) => {
      const body = routeChangeOf(await routeId(caller, "deployed"));
      return caller.post("/gateway/deployments", { ...body, ...later }, options);
    },
  },
  "gateway.deployments.pause": {
    resource: /^deployments\/[\w-]+$/,
    change: async (caller, options) =>
      caller.post(`/gateway/deployments/${await routeDeploymentOf(caller, "paused")}/pause`, {}, options),
  },
  "gateway.deployments.resume": {
    resource: /^deployments\/[\w-]+$/,
    change: async (caller, options) =>
      caller.post(`/gateway/deployments/${await routeDeploymentOf(caller, "resumed")}/resume`, {}, options),
  },
  "gateway.deployments.promote": {
    resource: /^deployments\/[\w-]+$/,
    change: async (caller, options) => {
      const body = routeChangeOf(await routeId(caller, "promoted"));
      const made = { ...body, manual: true, phases: [50, 100], bakeSeconds: 0 };
      const { id } = await caller.ok(caller.post("/gateway/deployments", made));
      while ((await caller.ok(caller.get(`/gateway/deployments/${id}`))).startedAt === null);
      return caller.post(`/gateway/deployments/${id}/promote`, {}, options);
    },
  },
  "gateway.deployments.rollback": {
    resource: /^deployments\/[\w-]+$/,
    change: async (caller, options) => {
      const id = await routeDeploymentOf(caller, "back");
      return caller.post(`/gateway/deployments/${id}/rollback`, { reason: "no" }, options);
    },
  },
  "gateway.deployments.breakGlass": {
    resource: /^deployments\/[\w-]+$/,
    also: ["approvals.request"],
    change: async (caller, options) => {
      await freezeId(caller, await routeId(caller, "frozen"));
      const id = await routeDeploymentOf(caller, "frozen");
      return caller.post(`/gateway/deployments/${id}/break-glass`, { reason: "now" }, options);
    },
  },
  "freezes.create": {
    resource: /^freezes\/[\w-]+$/,
    change: (caller, options) => caller.post("/freezes", freezeOf("one"), options),
  },
  "freezes.update": {
    resource: /^freezes\/[\w-]+$/,
    change: async (caller, { headers }) => {
      const id = await freezeId(caller, "two");
      return caller.put(`/freezes/${id}`, freezeOf("three"), { headers: { ...headers, "if-match": "*" } });
    },
  },
  "freezes.delete": {
    resource: /^freezes\/[\w-]+$/,
    change: async (caller, options) => caller.delete(`/freezes/${await freezeId(caller, "four")}`, options),
  },
};
