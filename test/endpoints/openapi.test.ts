/** openapi.json: fresh, valid by the schema of OpenAPI 3.1, and complete. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { defaultRoutes, generatedFiles } from "../../scripts/generate.ts";
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
  const { operations } = new Contract(document);
  const key = ({ id, method, path }: { id: string; method: string; path: string }) =>
    `${id} ${method} ${path}`;
  assert.deepEqual(operations.map(key).sort(), (await defaultRoutes()).map(key).sort());
  for (const { id, path, parameters } of operations) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const described = parameters.filter((parameter) => parameter.in === "path").map(({ name }) => name);
    assert.deepEqual(described, named, id);
  }
});
