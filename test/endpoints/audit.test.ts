/**
 * Every route that declares an audit action is called for real: the change leaves one entry under that action,
 * with who, what and which request. One that was refused leaves none.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Answer } from "../contract.ts";
import { type Caller, type CallOptions, type Method, TestServer } from "../server.ts";

type Change = (caller: Caller, options: CallOptions) => Promise<Answer>;

/** Another person's request, which `caller` may then decide about. */
async function asked(resource: string): Promise<string> {
  const other = await server.as({ subject: "bob" });
  return (await other.ok(other.post("/approvals", { kind: "test.change", resource, content: 1 }))).id;
}

/** The id of a dead letter of the topic `one`, once it is there. */
async function deadLetter(caller: Caller): Promise<string> {
  await caller.ok(caller.post("/messages/publish", { topic: "one", payload: 1 }), 201);
  const { messages } = await caller.ok(caller.get("/messages/consume/one?subscription=s&wait=10"));
  const { messageId, receipt } = messages[0];
  await caller.ok(caller.post(`/messages/${messageId}/nack`, { receipt, deadLetter: true }));
  while ((await caller.ok(caller.get("/topics/one/dlq"))).total === 0);
  return messageId;
}

const closed = (name: string) => ({
  properties: { [name]: { type: "string" } },
  additionalProperties: false,
});

/** Of this schema, registered by another person unless it is there already. */
async function schemaId(subject: string, name: string): Promise<string> {
  const other = await server.as({ subject: "bob" });
  return (await other.ok(other.post("/schemas", { subject, schema: closed(name) }))).id;
}

/** The configuration `delivered` with a version, and an instance of its service. */
async function delivered(): Promise<void> {
  const other = await server.as({ subject: "bob" });
  const place = { service: "shop", environment: "staging" };
  await other.post("/configs", { name: "delivered", ...place, format: "json" });
  await other.ok(other.post("/configs/delivered/versions", { text: "{}" }));
  await other.ok(other.post("/instances", { instanceId: "web-1", ...place }));
}

/** A deployment of `name` that waits for a promotion, or with `startAt` for its time. */
async function deploymentOf(name: string, more: object = {}): Promise<string> {
  const other = await server.as({ subject: "bob" });
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

async function subscriptionOf(caller: Caller): Promise<string> {
  return (await caller.ok(caller.get("/subscriptions?topic=one"))).items[0].id;
}

/**
 * By route id: what to send, and the resource that the entry names. `also` are actions of other rooms that it
 * takes on the way.
 */
const changes: Record<string, { resource: RegExp; also?: string[]; change: Change }> = {
  "messaging.topics.create": {
    resource: /^topics\/one$/,
    change: (caller, options) => caller.post("/topics", { name: "one", type: "pubsub" }, options),
  },
  "messaging.topics.update": {
    resource: /^topics\/one$/,
    change: (caller, { headers }) =>
      caller.put("/topics/one", { description: "new" }, { headers: { ...headers, "if-match": "*" } }),
  },
  "messaging.subscriptions.create": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: (caller, options) => caller.post("/subscriptions", { topic: "one", name: "s" }, options),
  },
  "messaging.subscriptions.update": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: async (caller, options) => {
      const { items } = await caller.ok(caller.get("/subscriptions?topic=one"));
      const headers = { "if-match": "*", ...options.headers };
      return caller.put(`/subscriptions/${items[0].id}`, { maxAttempts: 3 }, { ...options, headers });
    },
  },
  "messaging.subscriptions.seek": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: async (caller, options) => {
      const { items } = await caller.ok(caller.get("/subscriptions?topic=one"));
      return caller.post(`/subscriptions/${items[0].id}/seek`, { to: "latest" }, options);
    },
  },
  "messaging.messages.replay": {
    resource: /^messages\/\w+-0-0$/,
    change: async (caller, options) =>
      caller.post(`/messages/${await deadLetter(caller)}/replay`, undefined, options),
  },
  "messaging.replays.create": {
    resource: /^topics\/one\/dlq\/replays\/[0-9a-f-]{36}$/,
    change: (caller, options) => caller.post("/topics/one/dlq/replay", { ratePerSecond: 1 }, options),
  },
  "messaging.replays.cancel": {
    resource: /^topics\/one\/dlq\/replays\/[0-9a-f-]{36}$/,
    change: async (caller, options) => {
      const { items } = await caller.ok(caller.get("/topics/one/dlq/replays"));
      return caller.post(`/topics/one/dlq/replays/${items[0].id}/cancel`, undefined, options);
    },
  },
  "messaging.subscriptions.setPush": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: async (caller, options) =>
      caller.put(
        `/subscriptions/${await subscriptionOf(caller)}/push`,
        { url: "https://hooks.example" },
        options,
      ),
  },
  "messaging.subscriptions.pausePush": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: async (caller, options) =>
      caller.post(`/subscriptions/${await subscriptionOf(caller)}/push/pause`, undefined, options),
  },
  "messaging.subscriptions.resumePush": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: async (caller, options) =>
      caller.post(`/subscriptions/${await subscriptionOf(caller)}/push/resume`, undefined, options),
  },
  "messaging.subscriptions.rotatePushSecret": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: async (caller, options) =>
      caller.post(`/subscriptions/${await subscriptionOf(caller)}/push/rotate`, undefined, options),
  },
  "messaging.subscriptions.deletePush": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: async (caller, options) =>
      caller.delete(`/subscriptions/${await subscriptionOf(caller)}/push`, options),
  },
  "messaging.subscriptions.delete": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: async (caller, options) => {
      const { items } = await caller.ok(caller.get("/subscriptions?topic=one"));
      return caller.delete(`/subscriptions/${items[0].id}`, options);
    },
  },
  "messaging.topics.delete": {
    resource: /^topics\/one$/,
    change: (caller, options) => caller.delete("/topics/one", options),
  },
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
  "schemas.register": {
    resource: /^schemas\/audited\/1$/,
    change: (caller, options) =>
      caller.post("/schemas", { subject: "audited", schema: closed("a") }, options),
  },
  "schemas.submit": {
    resource: /^schemas\/audited\/1$/,
    change: async (caller, options) =>
      caller.post(`/schemas/${await schemaId("audited", "a")}/submit`, undefined, options),
  },
  "schemas.approve": {
    resource: /^schemas\/audited\/2$/,
    also: ["approvals.approve", "approvals.use"],
    change: async (caller, options) => {
      const id = await schemaId("audited", "b"); // breaks the first
      const other = await server.as({ subject: "bob" });
      await other.ok(other.post(`/schemas/${id}/submit`));
      return caller.post(`/schemas/${id}/approve`, {}, options);
    },
  },
  "schemas.deprecate": {
    resource: /^schemas\/audited\/1$/,
    change: async (caller, options) =>
      caller.post(`/schemas/${await schemaId("audited", "a")}/deprecate`, {}, options),
  },
  "schemas.retire": {
    resource: /^schemas\/audited\/1$/,
    change: async (caller, options) =>
      caller.post(`/schemas/${await schemaId("audited", "a")}/retire`, {}, options),
  },
  "schemas.registry.register": {
    resource: /^schemas\/registry\/1$/,
    change: (caller, options) =>
      caller.post("//subjects/registry/versions", { schema: "{}", schemaType: "JSON" }, options),
  },
  "schemas.registry.deleteVersion": {
    resource: /^schemas\/registry\/1$/,
    change: (caller, options) => caller.delete("//subjects/registry/versions/1", options),
  },
  "schemas.registry.deleteSubject": {
    resource: /^schemas\/registry\/2$/,
    change: async (caller, options) => {
      const other = await server.as({ subject: "bob" });
      await other.ok(other.post("//subjects/registry/versions", { schema: "{}", schemaType: "JSON" }));
      return caller.delete("//subjects/registry", options);
    },
  },
  "schemas.registry.setLevel": {
    resource: /^schema-subjects$/,
    change: (caller, options) => caller.put("//config", { compatibility: "BACKWARD" }, options),
  },
  "schemas.registry.setSubjectLevel": {
    resource: /^schema-subjects\/registry$/,
    change: (caller, options) => caller.put("//config/registry", { compatibility: "FULL" }, options),
  },
  "schemas.registry.removeSubjectLevel": {
    resource: /^schema-subjects\/registry$/,
    change: (caller, options) => caller.delete("//config/registry", options),
  },
  "schemas.subjects.configure": {
    resource: /^schema-subjects\/audited$/,
    change: (caller, options) => caller.put("/schema-subjects/audited", { compatibility: "full" }, options),
  },
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
      await delivered();
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
  "approvals.request": {
    resource: /./,
    change: (caller, options) =>
      caller.post("/approvals", { kind: "test.change", resource: "x/1", content: { a: 1 } }, options),
  },
  "approvals.approve": {
    resource: /./,
    change: async (caller, options) => caller.post(`/approvals/${await asked("x/2")}/approve`, {}, options),
  },
  "approvals.reject": {
    resource: /./,
    change: async (caller, options) =>
      caller.post(`/approvals/${await asked("x/3")}/reject`, { reason: "no" }, options),
  },
  "configuration.pins.set": {
    resource: /^configs\/delivered\/pins$/,
    change: async (caller, options) => {
      await delivered();
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
      await delivered();
      return caller.post("/configs/delivered/versions/1/trial", {}, options);
    },
  },
  "configuration.instances.deregister": {
    resource: /^instances\/web-1$/,
    change: async (caller, options) => {
      await delivered();
      return caller.delete("/instances/web-1", options);
    },
  },
  "deployments.create": {
    resource: /^deployments\/[\w-]+$/,
    change: async (caller, options) => {
      await deploymentOf("deployed", later);
      await caller.ok(caller.post("/configs/deployed/versions", { text: '{"a":1}' }));
      const body = { kind: "config", config: "deployed", version: 2, ...later };
      return caller.post("/deployments", body, options);
    },
  },
  "deployments.pause": {
    resource: /^deployments\/[\w-]+$/,
    change: async (caller, options) =>
      caller.post(`/deployments/${await deploymentOf("paused", later)}/pause`, {}, options),
  },
  "deployments.resume": {
    resource: /^deployments\/[\w-]+$/,
    change: async (caller, options) =>
      caller.post(`/deployments/${await deploymentOf("resumed", later)}/resume`, {}, options),
  },
  "deployments.promote": {
    resource: /^deployments\/[\w-]+$/,
    change: async (caller, options) =>
      caller.post(`/deployments/${await deploymentOf("promoted")}/promote`, {}, options),
  },
  "deployments.rollback": {
    resource: /^deployments\/[\w-]+$/,
    change: async (caller, options) =>
      caller.post(`/deployments/${await deploymentOf("back", later)}/rollback`, { reason: "no" }, options),
  },
  "deployments.breakGlass": {
    resource: /^deployments\/[\w-]+$/,
    also: ["approvals.request"],
    change: async (caller, options) => {
      await freezeId(caller, "frozen");
      const id = await deploymentOf("frozen");
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

const configOf = (name: string) => ({ name, service: "shop", environment: "staging", format: "json" });

const routeOf = (name: string) => ({
  name,
  match: { host: `${name}.test` },
  backends: [{ url: "http://127.0.0.1:9" }],
});

/** The id of the route of this name, made if need be. */
async function routeId(caller: Caller, name: string): Promise<string> {
  const { items } = await caller.ok(caller.get(`/gateway/routes?name=${name}`));
  return items[0]?.id ?? (await caller.ok(caller.post("/gateway/routes", routeOf(name)))).id;
}

let server: TestServer;
let ann: Caller;
before(async () => {
  server = await TestServer.start();
  ann = await server.as({ subject: "ann" });
});
after(() => server?.remove());

async function entriesOf(requestId: string) {
  const { items } = await ann.ok(ann.get("/audit?limit=1000"));
  return items.filter((entry: { requestId: string }) => entry.requestId === requestId);
}

test("every route with an audit action is called here", () => {
  const declared = server.routes.filter(({ audit }) => "action" in audit).map(({ id }) => id);
  assert.deepEqual(Object.keys(changes).sort(), declared.sort());
});

for (const [id, { resource, also = [], change }] of Object.entries(changes)) {
  test(`${id} leaves an entry`, async () => {
    const requestId = `audit:${id}`;
    const { status, text } = await change(ann, { headers: { "x-request-id": requestId } });
    assert.ok(status < 300, `${status} ${text}`);
    const all = await entriesOf(requestId);
    const entries = all.filter(({ action }: { action: string }) => !also.includes(action));
    assert.equal(all.length, entries.length + also.length);
    const { audit } = server.routes.find((route) => route.id === id)!;
    assert.deepEqual(
      entries.map(({ action, actor, outcome, tenant }: Record<string, string>) => ({
        action,
        actor,
        outcome,
        tenant,
      })),
      [{ ...audit, actor: "ann", outcome: "success", tenant: "acme" }],
    );
    assert.match(entries[0].resource, resource);
  });
}

test("what was refused leaves no entry of a change", async () => {
  await ann.ok(ann.post("/topics", { name: "kept" }));
  const refused: [Method, string, unknown, Record<string, string>][] = [
    ["POST", "/topics", { name: "kept" }, {}],
    ["PUT", "/topics/kept", { description: "x" }, { "if-match": `"7"` }],
    ["PUT", "/topics/kept", { type: "pubsub" }, { "if-match": "*" }],
    ["DELETE", "/topics/none", undefined, {}],
    ["POST", "/subscriptions", { topic: "kept", name: "second" }, {}],
  ];
  for (const [index, [method, path, body, headers]] of refused.entries()) {
    const requestId = `refused:${index}`;
    const answer = await ann.call(method, path, { body, headers: { ...headers, "x-request-id": requestId } });
    assert.ok(answer.status >= 400 && answer.status < 500, answer.text);
    assert.deepEqual(await entriesOf(requestId), []);
  }
});

test("what changes nothing leaves no entry", async () => {
  // What still deploys by itself would leave entries of its own.
  const { items } = await ann.ok(ann.get("/deployments?status=active"));
  for (const { id } of items) await ann.post(`/deployments/${id}/rollback`, { reason: "the end" });
  while ((await ann.ok(ann.get("/deployments?status=active"))).items.length > 0);
  const before = await ann.ok(ann.get("/audit?limit=1"));
  for (const { method, path, responseType } of server.routes) {
    if (responseType === "text/event-stream") continue; // goes on for ever
    if (method === "GET") await ann.get(`/${path.replaceAll(/\{\w+\}/g, "kept")}`);
  }
  assert.deepEqual(await ann.ok(ann.get("/audit?limit=1")), before);
});
