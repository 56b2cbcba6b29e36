import assert from "node:assert/strict";
import { after, test } from "node:test";
import { systemClock } from "../../core/clock.ts";
import { hasCode } from "../../core/errors.ts";
import { WorkerPool } from "./pool.ts";
import { Validator } from "./validator.ts";

const pool = new WorkerPool({ clock: systemClock, deadlineMs: 3_000 });
after(() => pool.stop());

const compile = (schema: unknown) => pool.run({ kind: "compile", schema: JSON.stringify(schema) });

async function faultsOf(schema: unknown): Promise<string[]> {
  const done = await compile(schema);
  assert.ok(done.kind === "faulty", `accepted ${JSON.stringify(schema)}`);
  return done.faults.map(({ pointer, message }) => `${pointer} ${message}`);
}

async function validatorOf(schema: unknown, documentTimeoutMs = 200): Promise<Validator> {
  const done = await compile(schema);
  assert.ok(done.kind === "compiled", JSON.stringify(done));
  return new Validator(done.code, systemClock, documentTimeoutMs);
}

test("a schema becomes a validator that points at what is wrong", async () => {
  const validator = await validatorOf({
    type: "object",
    properties: { id: { type: "string", format: "uuid" }, "a/b": { enum: [1, 2] } },
    required: ["id"],
    additionalProperties: false,
  });
  const check = (value: unknown) => validator.violations(value, "/payload");
  assert.equal(check({ id: "123e4567-e89b-12d3-a456-426614174000" }), undefined);
  assert.deepEqual(check({}), [{ pointer: "/payload/id", message: "is required" }]);
  const id = "123e4567-e89b-12d3-a456-426614174000";
  assert.deepEqual(check({ id, "a/b": 3 }), [{ pointer: "/payload/a~1b", message: "must be one of 1, 2" }]);
  assert.deepEqual(check({ id, x: 1 }), [{ pointer: "/payload/x", message: "is not a known property" }]);
  assert.match(check({ id: "no" })![0]!.message, /format "uuid"/);
});

test("hostile schemas are refused, with a pointer", async () => {
  assert.match((await faultsOf({ $ref: "https://evil.example/s.json" }))[0]!, /^\/\$ref points out of/);
  assert.match((await faultsOf({ $ref: "#" }))[0]!, /leads back to itself/);
  const loop = {
    $defs: { a: { anyOf: [{ $ref: "#/$defs/b" }] }, b: { not: { $ref: "#/$defs/a" } } },
    $ref: "#/$defs/a",
  };
  assert.match((await faultsOf(loop))[0]!, /leads back to itself/);
  const lookahead = { properties: { a: { pattern: "^(?=.*x)(a+)+$" } } };
  assert.match((await faultsOf(lookahead))[0]!, /^\/properties\/a\/pattern .*lookahead/);
  assert.match((await faultsOf({ patternProperties: { "(a)\\1": true } }))[0]!, /backreference/);
  assert.match((await faultsOf({ allOf: Array(6_000).fill({}) }))[0]!, /beyond 5000 subschemas/);
  assert.match((await faultsOf({ type: "strin" }))[0]!, /^\/type /);
  assert.match((await faultsOf({ properties: { a: { minimum: "1" } } }))[0]!, /^\/properties\/a\/minimum/);
  assert.match((await faultsOf({ $schema: "http://json-schema.org/draft-04/schema#" }))[0]!, /^\/\$schema/);
  assert.match((await faultsOf({ type: "string", nullable: true }))[0]!, /OpenAPI/);
});

test("a job that is late or takes too much memory is given up, and others go on", async () => {
  const hurried = new WorkerPool({ clock: systemClock, deadlineMs: 3_000, threads: 1 });
  const many = Array.from({ length: 24 }, (_, i) => [
    `a${i}`,
    { anyOf: [{ $ref: `#/$defs/a${i + 1}` }, { $ref: `#/$defs/a${i + 1}` }] },
  ]);
  // Two to the power of 24 ways to look at one value.
  const schema = JSON.stringify({
    $defs: { ...Object.fromEntries(many), a24: { type: "string" } },
    $ref: "#/$defs/a0",
  });
  const slow = hurried.run({ kind: "validate", schema, documents: ["1"], below: "" });
  const next = hurried.run({ kind: "compile", schema: "{}" });
  await assert.rejects(slow, (error) => hasCode(error, "schema_too_costly"));
  assert.equal((await next).kind, "compiled");
  await hurried.stop();
  await assert.rejects(hurried.run({ kind: "compile", schema: "{}" }), (error) =>
    hasCode(error, "shutting_down"),
  );
});

test("a document that keeps a good schema busy is refused within its time", async () => {
  const way = (bad: unknown) => ({ properties: { x: { $ref: "#/$defs/n" }, bad } });
  const schema = { $defs: { n: { anyOf: [way(false), way({ type: "string" })] } }, $ref: "#/$defs/n" };
  const validator = await validatorOf(schema, 100);
  let deep: unknown = { bad: 1 };
  for (let i = 0; i < 60; i++) deep = { x: deep };
  const started = systemClock.monotonic();
  assert.throws(
    () => validator.violations(deep, "/payload"),
    (error) => hasCode(error, "schema_too_costly"),
  );
  assert.ok(systemClock.monotonic() - started < 2_000);
  assert.equal(validator.violations({ bad: "x" }, "/payload"), undefined);
});

test("what is quadratic elsewhere is linear here", async () => {
  const validator = await validatorOf({
    properties: { list: { uniqueItems: true }, text: { pattern: "^(a+)+$" }, mail: { format: "email" } },
  });
  const list = Array.from({ length: 100_000 }, (_, i) => ({ i }));
  const value = { list, text: `${"a".repeat(200_000)}!`, mail: `${"a.".repeat(50_000)}@` };
  const unlimited = new Validator(
    ((await compile({ properties: { list: { uniqueItems: true } } })) as { code: string }).code,
    systemClock,
    60_000,
  );
  assert.equal(unlimited.violations(value, ""), undefined);
  assert.ok(validator.violations({ text: value.text, mail: value.mail }, ""));
});

test("keywords that the library gets wrong are right here", async () => {
  const cases: [schema: unknown, value: unknown, isValid: boolean][] = [
    [{ contains: { enum: [1] }, prefixItems: [{ minItems: 1 }] }, [], false],
    [{ items: { contains: { const: 1 } } }, [[1], []], false],
    [{ items: { contains: { const: 1 } } }, [[1], [1, 2]], true],
    [{ prefixItems: [{ type: "string" }], items: { type: "integer" } }, ["a", 1], true],
    [{ prefixItems: [{ type: "string" }], items: { type: "integer" } }, ["a", "b"], false],
    [{ prefixItems: [true, { const: 1 }], unevaluatedItems: false }, [0, 1, 2], false],
    [{ contains: { const: 1 }, minContains: 2, maxContains: 2 }, [1, 1, 1], false],
    [{ patternProperties: { "1": true }, anyOf: [true, { properties: { b: true } }] }, { "10": 10 }, true],
    [
      {
        patternProperties: { "1": true },
        anyOf: [true, { properties: { b: true }, required: ["b"] }],
        unevaluatedProperties: false,
      },
      { "10": 10 },
      true,
    ],
    [
      { if: true, else: { patternProperties: { "^a": true } }, unevaluatedProperties: false },
      { a: 1 },
      false,
    ],
    [{ anyOf: [true, { maxItems: 0, items: true }], uniqueItems: true, unevaluatedItems: {} }, [1, 1], false],
    [{ anyOf: [true, { maxItems: 0, items: true }], unevaluatedItems: { type: "string" } }, [1], false],
    [{ anyOf: [{ items: true }, { maxItems: 0 }], unevaluatedItems: { type: "string" } }, [1, 2, 3], true],
    [{ contains: { const: 1 }, minContains: 0 }, [], true],
    [{ multipleOf: 0.1 }, 0.3, true],
    [{ multipleOf: 0.1 }, 0.35, false],
    [{ multipleOf: 1 }, 1e300, true],
    [{ required: ["toString"] }, {}, false],
    [
      { uniqueItems: true },
      [
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ],
      false,
    ],
    [
      {
        $schema: "http://json-schema.org/draft-07/schema#",
        items: [{ type: "string" }],
        additionalItems: false,
      },
      ["a", 1],
      false,
    ],
    [
      {
        $schema: "http://json-schema.org/draft-07/schema#",
        definitions: { a: {} },
        $ref: "#/definitions/a",
        type: "string",
      },
      1,
      true,
    ],
  ];
  for (const [schema, value, isValid] of cases) {
    const validator = await validatorOf(schema);
    const found = validator.violations(value, "") === undefined;
    assert.equal(found, isValid, `${JSON.stringify(value)} under ${JSON.stringify(schema)}`);
  }
});
