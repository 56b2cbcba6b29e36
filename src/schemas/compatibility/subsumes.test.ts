/** What each keyword means for compatibility: pairs with the verdict that the mathematics gives. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../core/clock.ts";
import type { Json } from "../../core/json.ts";
import { sideOf } from "../compile/work.ts";
import { type Comparison, subsumes } from "./subsumes.ts";

function compare(writer: Json, reader: Json): Comparison {
  const [from, to] = [writer, reader].map((schema) => sideOf(JSON.stringify(schema), systemClock));
  return subsumes(from!, to!);
}

const proven = (writer: Json, reader: Json) =>
  assert.deepEqual(compare(writer, reader), { verdict: "compatible" }, JSON.stringify([writer, reader]));
const broken = (writer: Json, reader: Json, counterexample: Json) =>
  assert.deepEqual(
    compare(writer, reader),
    { verdict: "incompatible", counterexample },
    JSON.stringify([writer, reader]),
  );
const undecided = (writer: Json, reader: Json) => assert.equal(compare(writer, reader).verdict, "unknown");

const closed = (properties: Json, required: string[] = []): Json => ({
  type: "object",
  properties,
  required,
  additionalProperties: false,
});
const draft7 = (schema: object) =>
  ({ $schema: "http://json-schema.org/draft-07/schema#", ...schema }) as Json;

test("types, enum and const", () => {
  proven({ type: "integer" }, { type: "number" });
  broken({ type: "number" }, { type: "integer" }, 0.5);
  proven({ type: ["integer", "string"] }, { type: ["string", "number", "null"] });
  broken({ type: ["string", "null"] }, { type: "string" }, null);
  proven({ enum: ["a", 1] }, { type: ["string", "integer"] });
  broken({ enum: ["a", "b"] }, { enum: ["a"] }, "b");
  proven({ const: 1 }, { enum: [1, 2] });
  proven({ const: { a: [1.0] } }, { properties: { a: { items: { type: "integer" } } } });
  proven(false, { type: "string" });
  broken(true, { not: { type: "boolean" } }, false);
});

test("numbers", () => {
  proven({ type: "integer", minimum: 1 }, { exclusiveMinimum: 0 });
  broken({ type: "number", minimum: 0 }, { exclusiveMinimum: 0 }, 0);
  proven({ type: "integer", exclusiveMinimum: 0, exclusiveMaximum: 2 }, { const: 1 });
  proven({ type: "number", multipleOf: 6 }, { multipleOf: 3 });
  proven({ type: "number", multipleOf: 0.3 }, { multipleOf: 0.1 });
  broken({ type: "number", multipleOf: 3 }, { multipleOf: 6 }, 3);
  proven({ type: "integer", minimum: 1, maximum: 5, multipleOf: 3 }, { const: 3 });
  proven({ type: "number" }, { anyOf: [{ minimum: 5 }, { exclusiveMaximum: 5 }] });
  proven({ type: "integer" }, { anyOf: [{ multipleOf: 2 }, { not: { multipleOf: 2 } }] });
});

test("strings: lengths and patterns by their languages, not by their text", () => {
  proven({ type: "string", minLength: 3 }, { minLength: 2 });
  broken({ type: "string", minLength: 2 }, { minLength: 3 }, "aa");
  proven({ type: "string", pattern: "^[a-z]{3}$" }, { pattern: "^[a-z]+$" });
  broken({ type: "string", pattern: "^[a-z]+$" }, { pattern: "^[a-y]+$" }, "z");
  proven({ type: "string", pattern: "^(a|b)*$" }, { pattern: "^[ab]*$" });
  proven({ type: "string", pattern: "^ab{2,4}$" }, { minLength: 3, maxLength: 5 });
  proven({ type: "string", format: "uuid" }, { pattern: "^[0-9a-fA-F-]{36}$" });
  proven({ type: "string", format: "date" }, { pattern: "^\\d{4}-" });
  broken({ type: "string" }, { format: "date" }, "");
  proven({ enum: ["ab", "abb"] }, { pattern: "^ab+$" });
  proven({ type: "string", pattern: "a", maxLength: 0 }, false);
  proven({ type: "string", pattern: "^(x|y)$", not: { const: "x" } }, { const: "y" });
});

test("arrays", () => {
  proven({ type: "array", items: { type: "integer" } }, { items: { type: "number" } });
  broken({ type: "array" }, { items: { type: "string" } }, [0]);
  proven({ prefixItems: [{ type: "string" }], items: false }, { prefixItems: [{ type: "string" }] });
  proven({ type: "array", maxItems: 1 }, { prefixItems: [true], items: false });
  broken({ type: "array", maxItems: 2 }, { prefixItems: [true], items: false }, [0, 0]);
  proven({ type: "array", items: { const: 1 }, minItems: 1 }, { contains: { const: 1 } });
  broken({ type: "array", items: { const: 1 } }, { contains: { const: 1 } }, []);
  proven({ contains: { const: 1 }, minContains: 2 }, { contains: { const: 1 } });
  proven({ type: "array", contains: { type: "integer" } }, { minItems: 1 });
  proven({ type: "array", uniqueItems: true, maxItems: 3 }, { uniqueItems: true });
  proven({ type: "array", maxItems: 1 }, { uniqueItems: true });
  broken({ type: "array" }, { uniqueItems: true }, [0, 0]);
  proven({ items: { not: { const: 1 } } }, { not: { type: "array", contains: { const: 1 } } });
});

test("objects: what people ask about most", () => {
  // Adding an optional property: fine where the writer could not have sent it, otherwise it could be anything.
  proven(closed({ a: { type: "string" } }), closed({ a: { type: "string" }, b: { type: "integer" } }));
  broken({ type: "object" }, { properties: { b: { type: "string" } } }, { b: 0 });
  // Removing one: fine for an open reader.
  proven(closed({ a: {}, b: {} }), { type: "object", properties: { a: {} } });
  broken(closed({ a: {}, b: {} }), closed({ a: {} }), { b: 0 });
  proven(closed({ a: {} }, ["a"]), closed({ a: {} }));
  broken(closed({ a: {} }), closed({ a: {} }, ["a"]), {});
  proven({ type: "object", required: ["a", "b"] }, { minProperties: 2 });
  proven(closed({ a: {}, b: {} }), { maxProperties: 2 });
  // Only two names are possible, which takes counting a language: left open, and never claimed.
  undecided({ propertyNames: { pattern: "^[ab]$" }, type: "object" }, { maxProperties: 2 });
  proven({ patternProperties: { "^x": { type: "integer" } } }, { properties: { x1: { type: "number" } } });
  broken({ properties: { x1: {} } }, { patternProperties: { "^x": { type: "string" } } }, { x1: 0 });
  proven(
    { type: "object", patternProperties: { "^a": {}, "^b": {} }, additionalProperties: false },
    { propertyNames: { pattern: "^[ab]" } },
  );
  proven({ dependentRequired: { a: ["b"] }, required: ["a"] }, { required: ["b"] });
  broken({ type: "object" }, { dependentSchemas: { a: { required: ["b"] } } }, { a: 0 });
  proven(
    draft7({ dependencies: { a: ["b"], b: { required: ["c"] } } }),
    draft7({ dependencies: { a: ["b", "c"] } }),
  );
});

test("logic", () => {
  proven({ anyOf: [{ type: "integer" }, { type: "string" }] }, { type: ["number", "string"] });
  proven({ type: ["integer", "string"] }, { oneOf: [{ type: "integer" }, { type: "string" }] });
  broken({ type: "integer" }, { oneOf: [{ type: "integer" }, { type: "number" }] }, 0);
  proven({ allOf: [{ minimum: 1 }, { maximum: 3 }], type: "integer" }, { enum: [1, 2, 3] });
  proven({ type: "string" }, { not: { type: "integer" } });
  const conditional = JSON.parse(
    '{"type":"object","if":{"properties":{"k":{"const":1}},"required":["k"]},"then":{"required":["a"]},"else":{"required":["b"]}}',
  ) as Json;
  proven(conditional, { anyOf: [{ required: ["a"] }, { required: ["b"] }] });
  proven(
    { oneOf: [closed({ k: { const: "a" } }, ["k"]), closed({ k: { const: "b" } }, ["k"])] },
    closed({ k: { enum: ["a", "b"] } }),
  );
  proven(draft7({ $ref: "#/definitions/a", type: "string", definitions: { a: { type: "integer" } } }), {
    type: "integer",
  });
});

test("schemas that lead back to themselves", () => {
  const tree = (leaf: Json): Json => ({
    $ref: "#/$defs/node",
    $defs: {
      node: {
        type: "object",
        properties: { value: leaf, children: { type: "array", items: { $ref: "#/$defs/node" } } },
        required: ["value"],
        additionalProperties: false,
      },
    },
  });
  proven(tree({ type: "integer" }), tree({ type: "number" }));
  broken(tree({ type: "number" }), tree({ type: "integer" }), { value: 0.5 });
  // No finite document: nothing is valid, so everything reads it.
  const endless: Json = {
    $defs: { n: { type: "object", properties: { n: { $ref: "#/$defs/n" } }, required: ["n"] } },
    $ref: "#/$defs/n",
  };
  proven(endless, false);
  const list = (end: string): Json => ({
    $defs: {
      l: {
        anyOf: [
          { const: end },
          { type: "array", prefixItems: [{ $ref: "#/$defs/l" }], minItems: 1, items: false },
        ],
      },
    },
    $ref: "#/$defs/l",
  });
  proven(list("x"), { anyOf: [{ type: "array" }, { type: "string" }] });
  broken(list("x"), list("y"), "x");
});

test("unevaluated: where it is static it is understood, elsewhere nothing is claimed", () => {
  const base: Json = { properties: { a: { type: "string" } }, type: "object" };
  proven({ allOf: [base], unevaluatedProperties: false }, closed({ a: { type: "string" } }));
  proven({ prefixItems: [{ type: "string" }], unevaluatedItems: false, type: "array" }, { maxItems: 1 });
  undecided(closed({ a: {} }), { anyOf: [{ properties: { a: {} } }], unevaluatedProperties: false });
});

test("a counter-example is small, and a real one", () => {
  const order = (total: Json) =>
    closed(
      {
        id: { type: "string", format: "uuid" },
        lines: {
          type: "array",
          items: closed({ sku: { type: "string" }, count: { type: "integer" } }, ["sku"]),
        },
        total,
      },
      ["id"],
    );
  const found = compare(order({ type: "number" }), order({ type: "number", minimum: 0 }));
  assert.ok(found.verdict === "incompatible");
  const { id, ...rest } = found.counterexample as { id: string };
  assert.match(id, /^[0-9a-f-]{36}$/);
  assert.deepEqual(rest, { total: -1 });
});

test("a hard question ends as not decided, within its steps", () => {
  const hard = (from: number): Json => ({
    type: "object",
    anyOf: Array.from({ length: 14 }, (_, i) => ({
      oneOf: [{ required: [`p${from + i}`] }, { minProperties: 3 + i }],
    })),
    oneOf: Array.from({ length: 14 }, (_, i) => ({ patternProperties: { [`^x{${i}}`]: { minLength: i } } })),
  });
  const started = systemClock.monotonic();
  compare(hard(0), hard(1));
  assert.ok(systemClock.monotonic() - started < 30_000);
});
