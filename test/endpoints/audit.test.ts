/**
 * Every route that declares an audit action is called for real (changes/): the change leaves one entry under that
 * action, with who, what and which request. One that was refused leaves none.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Caller, type Method, TestServer } from "../server.ts";
import { approvalChanges } from "./changes/approvals.ts";
import type { Changes } from "./changes/change.ts";
import { configurationChanges } from "./changes/configuration.ts";
import { deploymentChanges } from "./changes/deployments.ts";
import { gatewayChanges } from "./changes/gateway.ts";
import { messagingChanges } from "./changes/messaging.ts";
import { schemaChanges } from "./changes/schemas.ts";

const changes: Changes = {
  ...messagingChanges,
  ...gatewayChanges,
  ...schemaChanges,
  ...configurationChanges,
  ...approvalChanges,
  ...deploymentChanges,
};

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
