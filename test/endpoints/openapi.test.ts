/** openapi.json: fresh, valid by the schema of OpenAPI 3.1, and complete. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { defaultRoutes, generatedFiles } from "../../scripts/generate.ts";
import { Components, type Parameter } from "../../src/platform/http/components.ts";
import { Contract } from "../contract.ts";

const committed = (name: string) => readFile(new URL(`../../${name}`, import.meta.url), "utf8");
const document = JSON.parse(await committed("openapi.json"));

test("the committed files are what the code says", async () => {
  for (const [name, content] of await generatedFiles()) {
    assert.ok((await committed(name)) === content, `${name} is stale; run: npm run generate`);
  }
});

test("openapi.json is a valid OpenAPI 3.1 document", async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(document));
  assert.ok(valid, JSON.stringify(errors, null, 2));
  assert.equal(validator.version, "3.1");
});

test("every route is an operation of it, and every parameter of a path is described", async () => {
  const { operations } = Contract.of(document);
  const key = ({ id, method, path }: { id: string; method: string; path: string }) =>
    `${id} ${method} ${path}`;
  assert.deepEqual(operations.map(key).sort(), (await defaultRoutes()).map(key).sort());
  for (const { id, path, parameters } of operations) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const described = parameters.filter((parameter) => parameter.in === "path").map(({ name }) => name);
    assert.deepEqual(described, named, id);
  }
});

test("every whole number that is asked for has bounds, so that none is larger than what keeps it", () => {
  const unbound = Contract.of(document).operations.flatMap(({ id, parameters, bodies }) => {
    const schemas = [...parameters.map(({ schema }) => schema), ...Object.values(bodies)];
    return schemas.flatMap((schema) => wholeNumbersWithoutBounds(schema)).map((place) => `${id}${place}`);
  });
  assert.deepEqual([...new Set(unbound)], []);
});

test("what has a title is said once; a title with two meanings is refused", () => {
  const components = new Components({});
  const named = { title: "Name", type: "string" };
  const shared = { $ref: "#/components/schemas/Name" };
  const both = { type: "object", properties: { a: named, b: { type: "array", items: named } } };
  assert.deepEqual(components.schema(both), {
    type: "object",
    properties: { a: shared, b: { type: "array", items: shared } },
  });
  // A property may be called so, and a default may hold anything.
  const plain = { properties: { title: { type: "string", default: { title: "Name" } } } };
  assert.deepEqual(components.schema(plain), plain);
  assert.deepEqual(components.document.schemas, { Name: named });
  assert.throws(
    () => components.schema({ ...named, maxLength: 3 }),
    /Two schemas that differ are called Name/,
  );
});

test("of the parameters of one name the one that most operations have is shared", () => {
  const components = new Components({});
  const limit: Parameter = { name: "limit", in: "query", schema: { type: "integer" } };
  const other: Parameter = { ...limit, schema: { type: "integer", maximum: 5 } };
  const once: Parameter = { name: "once", in: "query", schema: {} };
  const shared = { $ref: "#/components/parameters/query.limit" };
  assert.deepEqual(components.parameters([[other, once], [limit], [limit]]), [
    [other, once],
    [shared],
    [shared],
  ]);
  assert.deepEqual(components.document.parameters, { "query.limit": limit });
});

/** Pointers into the schema. */
function wholeNumbersWithoutBounds(schema: unknown, place = ""): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  const { type, minimum, maximum, enum: values, const: value } = schema as Record<string, unknown>;
  const isBound = (minimum !== undefined && maximum !== undefined) || values || value !== undefined;
  const below = Object.entries(schema).flatMap(([name, part]) =>
    name === "default" || name === "examples" ? [] : wholeNumbersWithoutBounds(part, `${place}/${name}`),
  );
  return type === "integer" && !isBound ? [place, ...below] : below;
}
