/** Changes of configurations, drafts, pins, trials, secrets and instances. */
import type { Caller } from "../../server.ts";
import { another, type Changes } from "./change.ts";

export const configOf = (name: string) => ({ name, service: "shop", environment: "staging", format: "json" });

/** The configuration `delivered` with a version, and an instance of its service. */
async function delivered(caller: Caller): Promise<void> {
  const other = await another(caller);
  const place = { service: "shop", environment: "staging" };
  await other.post("/configs", { name: "delivered", ...place, format: "json" });
  await other.ok(other.post("/configs/delivered/versions", { text: "{}" }));
  await other.ok(other.post("/instances", { instanceId: "web-1", ...place }));
}

export const configurationChanges: Changes = {
  "configuration.configs.create": {
    resource: /^configs\/one$/,
    change: (caller, options) => caller.post("/configs", configOf("one"), options),
  },
  "configuration.configs.update": {
    resource: /^configs\/one$/,
    change: (caller, { headers }) =>
      caller.put("/configs/one", { description: "new" }, { headers: { ...headers, "if-match": "*" } }),
  },
  "configuration.versions.create": {
    resource: /^configs\/one\/versions\/1$/,
    change: (caller, options) => caller.post("/configs/one/versions", { text: "{}" }, options),
  },
  "configuration.drafts.save": {
    resource: /^configs\/one\/draft$/,
    change: (caller, options) => caller.put("/configs/one/draft", { text: "{" }, options),
  },
  "configuration.drafts.discard": {
    resource: /^configs\/one\/draft$/,
    change: (caller, options) => caller.delete("/configs/one/draft", options),
  },
  "configuration.drafts.publish": {
    resource: /^configs\/one\/draft$/,
    also: ["version.create"],
    change: async (caller, options) => {
      await caller.ok(caller.put("/configs/one/draft", { text: '{"a": 1}' }));
      return caller.post("/configs/one/draft/publish", {}, options);
    },
  },
  "configuration.drafts.try": {
    resource: /^configs\/delivered$/,
    change: async (caller, options) => {
      await delivered(caller);
      await caller.ok(caller.put("/configs/delivered/draft", { text: '{"a": 2}' }));
      return caller.post("/configs/delivered/draft/trial", {}, options);
    },
  },
  "configuration.configs.promote": {
    resource: /^configs\/next\/versions\/1$/,
    change: async (caller, options) => {
      await caller.ok(caller.post("/configs", configOf("next")));
      return caller.post("/configs/one/promote", { to: "next" }, options);
    },
  },
  "configuration.configs.import": {
    resource: /^configs$/,
    also: ["config.create"],
    change: (caller, options) => caller.post("/configs/import", { configs: [configOf("in")] }, options),
  },
  "configuration.versions.delete": {
    resource: /^configs\/one\/versions\/1$/,
    change: (caller, options) => caller.delete("/configs/one/versions/1", options),
  },
  "configuration.configs.delete": {
    resource: /^configs\/one$/,
    change: (caller, options) => caller.delete("/configs/one", options),
  },
  "configuration.secrets.set": {
    resource: /^secrets\/one$/,
    change: (caller, options) => caller.put("/secrets/one", { value: "x" }, options),
  },
  "configuration.secrets.delete": {
    resource: /^secrets\/one$/,
    change: (caller, options) => caller.delete("/secrets/one", options),
  },
  "configuration.pins.set": {
    resource: /^configs\/delivered\/pins$/,
    change: async (caller, options) => {
      await delivered(caller);
      return caller.put("/configs/delivered/pins", { labels: { zone: "a" }, version: 1 }, options);
    },
  },
  "configuration.pins.remove": {
    resource: /^configs\/delivered\/pins$/,
    change: (caller, options) => caller.delete("/configs/delivered/pins", options),
  },
  "configuration.trials.begin": {
    resource: /^configs\/delivered$/,
    change: async (caller, options) => {
      await delivered(caller);
      return caller.post("/configs/delivered/versions/1/trial", {}, options);
    },
  },
  "configuration.instances.deregister": {
    resource: /^instances\/web-1$/,
    change: async (caller, options) => {
      await delivered(caller);
      return caller.delete("/instances/web-1", options);
    },
  },
};
