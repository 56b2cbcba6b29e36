/**
 * Rules for every endpoint, held over the list of all routes: a permission of the table or a reason to be
 * public, an audit rule that fits what it does, an id of its own, and code that is found by its noun.
 */
import assert from "node:assert/strict";
import { basename } from "node:path";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { defaultRoutes } from "../../scripts/generate.ts";
import { filesOf, filesOfNouns } from "../../scripts/generate-endpoints.ts";
import { catalogue } from "../../src/core/catalogue.ts";
import { hasCode } from "../../src/core/errors.ts";
import { permissions } from "../../src/platform/access/permissions.ts";
import { type Part, validator } from "../../src/platform/http/validation.ts";

const routes = await defaultRoutes();

/** What answers without a token, and why. */
const publicRoutes: Record<string, string> = {
  "auth.keys.list": "who verifies our tokens has none of them; public keys are no secret",
  "system.health.get": "probes carry no token; it says nothing but that the process lives",
  "system.ready.get": "probes and balancers carry no token; it names checks without details",
  "system.openapi.get": "the same document is in the package; it holds no data",
  "system.docs.get": "the document as a page",
  "system.docs.errors": "error answers link to it, also those about a missing token",
  "system.docs.style": "the style of these pages",
};

/** What changes something and leaves no audit entry: the data plane, which keeps its own records. */
const unauditedChanges: Record<string, string> = {
  "gateway.routes.preview": "a question, whose answer is kept nowhere",
  "messaging.messages.cancel": "data plane: of a message that waits",
  "messaging.messages.publish": "a message is its own record",
  "messaging.topics.events": "a message is its own record",
  "messaging.messages.ack": "in the subscription's journal",
  "messaging.messages.ackBatch": "in the subscription's journal",
  "messaging.messages.nack": "in the subscription's journal",
  "messaging.messages.nackBatch": "in the subscription's journal",
  "messaging.messages.extend": "a deadline that moves, seconds later gone",
  "gateway.instances.heartbeat": "a deadline that moves, and nothing else",
  "ofrep.flags.evaluate": "evaluates, and keeps nothing",
  "ofrep.flags.evaluateAll": "evaluates, and keeps nothing",
  "configuration.instances.register":
    "an instance says that it is there; the list of instances is the record",
  "configuration.instances.heartbeat": "what an instance runs is kept with it",
  "schemas.check": "compares, and keeps nothing",
  "schemas.registry.lookup": "looks for a schema, and keeps nothing",
  "schemas.registry.compatible": "compares, and keeps nothing",
  "schemas.registry.compatibleWithAll": "compares, and keeps nothing",
  "schemas.validate": "looks at a document, and keeps nothing",
};

/** Nouns whose endpoints are in a file of another name, and why. */
const elsewhere: Record<string, string> = {
  ".well-known": "auth.routes.ts: a place that RFC 8615 gives, not a noun",
  ready: "health.routes.ts: the other half of /health",
  docs: "reference.routes.ts: the noun is the reference, /docs is where people look",
  compatibility: "subjects.routes.ts: of the Confluent registry, as /subjects",
  mode: "config.routes.ts: of the Confluent registry, as /config",
  "openapi.json": "reference.routes.ts: a file name, not a noun",
};

test("ids are unique, and name system, noun and verb", () => {
  const ids = routes.map(({ id }) => id);
  assert.deepEqual(
    ids.filter((id, index) => ids.indexOf(id) !== index),
    [],
  );
  for (const id of ids) assert.match(id, /^[a-z]+(\.[a-z][a-zA-Z]*){1,2}$/);
});

test("no two routes have the same method and path", () => {
  const places = routes.map(({ method, path }) => `${method} ${path.replaceAll(/\{\w+\}/g, "{}")}`);
  assert.equal(new Set(places).size, places.length);
});

test("every route needs a permission of the table, or is public for a reason", () => {
  for (const { id, permission } of routes) {
    if (permission === "public") assert.ok(publicRoutes[id], `${id} is public; say why in this test`);
    else assert.ok(Object.hasOwn(permissions, permission), `${id} needs the unknown ${permission}`);
  }
  const open = routes.filter(({ permission }) => permission === "public").map(({ id }) => id);
  assert.deepEqual(open.sort(), Object.keys(publicRoutes).sort());
});

test("every permission of the table is needed by a route", () => {
  const needed = new Set<string>(routes.map(({ permission }) => permission));
  assert.deepEqual(
    Object.keys(permissions).filter((permission) => !needed.has(permission)),
    [],
  );
});

test("what changes something is audited under an action, or is of the data plane", () => {
  for (const { id, method, audit } of routes) {
    if (method === "GET") {
      assert.ok(
        "none" in audit && audit.none !== "",
        `${id} reads; its audit rule says why it leaves no entry`,
      );
    } else if ("none" in audit) {
      assert.ok(unauditedChanges[id], `${id} changes something and is not audited`);
    } else {
      assert.match(audit.action, /^[a-z]+\.[a-z]+$/, id);
    }
  }
  const unaudited = routes.filter(({ method, audit }) => method !== "GET" && "none" in audit);
  assert.deepEqual(unaudited.map(({ id }) => id).sort(), Object.keys(unauditedChanges).sort());
});

/** Answers that must not be kept, and what makes a repeat harmless. */
const unkept: Record<string, string> = {
  "gateway.keys.create": "the answer holds the key; a repeat meets its name, which is unique",
};

test("every POST that creates honours Idempotency-Key", () => {
  for (const { id, method, status, audit, idempotent } of routes) {
    if (unkept[id]) assert.notEqual(idempotent, true, id);
    else if (method === "POST" && status === 201 && "action" in audit) assert.equal(idempotent, true, id);
  }
});

test("every route says what it does, and names errors of the catalogue only", () => {
  for (const { id, summary, errors = [] } of routes) {
    assert.match(summary, /^[A-Z].*[^.]$/, id);
    for (const code of errors) assert.ok(Object.hasOwn(catalogue, code), `${id}: ${code}`);
  }
});

test("what a caller may send is closed: unknown fields are refused", () => {
  for (const { id, query, body } of routes) {
    for (const schema of [query, body]) {
      if (typeof schema === "object") assert.equal(Reflect.get(schema, "additionalProperties"), false, id);
    }
  }
});

// The server compiles a schema when it is first used, and trusts it to be one.
test("what describes a request is a JSON Schema, and compiles", () => {
  const metaSchema = new Ajv2020();
  for (const { id, params, query, body } of routes) {
    for (const [part, schema] of Object.entries({ path: params, query, body })) {
      if (typeof schema !== "object") continue;
      assert.equal(metaSchema.validateSchema(schema), true, `${id}: ${metaSchema.errorsText()}`);
      try {
        validator(schema, part as Part)({});
      } catch (error) {
        assert.ok(hasCode(error, "validation_failed"), `${id}: ${error}`);
      }
    }
  }
});

test("each endpoint is defined in one *.routes.ts", () => {
  for (const [id, files] of filesOf(routes)) assert.equal(files.length, 1, `${id} is in ${files.join(", ")}`);
});

test("the code of an endpoint is found by its noun", () => {
  for (const [noun, files] of filesOfNouns(routes)) {
    const own = files.some((file) => basename(file) === `${noun}.routes.ts`);
    if (own) assert.ok(!elsewhere[noun], `${noun} has a file of its own now`);
    else assert.ok(elsewhere[noun], `/${noun} is in ${files.join(", ")}; expected ${noun}.routes.ts`);
  }
});
