/** Values for every schema of the document: ones that fit, and ones that should do no harm. */
import fc from "fast-check";

// biome-ignore lint/suspicious/noExplicitAny: JSON of any shape, and schemas are JSON too
export type Any = any;

/** Text that some parser, query, path or page somewhere has stumbled over. */
export const hostileTexts = [
  "",
  " ",
  "\u0000",
  "a\u0000b",
  "\ud800",
  "\udfff\ud800",
  "\ufeff",
  "\u202e\u2066",
  "\r\nx-injected: 1",
  "../../../../etc/passwd",
  "..\\..\\windows",
  "%2e%2e%2f",
  "%00",
  "%",
  "'; drop table messaging_topics; --",
  "' or 1=1 --",
  "\\",
  '"',
  ["$", "{7*7}{{7*7}}"].join(""), // a template of some other language
  "<script>alert(1)</script>",
  "__proto__",
  "constructor",
  "*",
  "NaN",
  "1e400",
  "-0",
  "0x10",
  "9007199254740993",
  "99999999999999999999999999",
  "0000-00-00T00:00:00Z",
  "9999-12-31T23:59:60Z",
  "x".repeat(300),
  "ä".repeat(5000),
];

const raw = (text: string): unknown => (JSON as Any).rawJSON(text);

const hostileNumbers = [0, -1, 1.5, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 63), 1e308, 5e-324].map(
  (number): unknown => number,
);

/** Numbers that JSON can say and a double cannot hold. */
const hostileTokens = ["1e400", "-1e400", "1e-400", "123456789012345678901234567890", "-0"].map(raw);

const nested = (depth: number): unknown => (depth === 0 ? {} : [nested(depth - 1)]);

const hostileOthers: unknown[] = [
  null,
  true,
  false,
  [],
  {},
  [null],
  nested(70),
  Object.fromEntries([["__proto__", { isAdmin: true }]]),
  { constructor: { prototype: { isAdmin: true } } },
  { toString: 1, valueOf: 2, hasOwnProperty: 3 },
  Array(2000).fill(0),
  Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`f${n}`, n])),
];

export const hostile: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...hostileTexts) },
  { weight: 2, arbitrary: fc.constantFrom(...hostileNumbers, ...hostileTokens) },
  { weight: 2, arbitrary: fc.constantFrom(...hostileOthers) },
  { weight: 1, arbitrary: fc.jsonValue() },
);

const anything = fc.oneof(fc.jsonValue(), hostile);

/** `known` gives values that exist on the server, by the name of the member or parameter. */
export type Known = (name: string) => fc.Arbitrary<unknown> | undefined;

export function fitting(schema: Any, known: Known, name = ""): fc.Arbitrary<unknown> {
  const usual = ofSchema(schema, known, name);
  const real = known(name);
  return real ? fc.oneof({ weight: 3, arbitrary: real }, { weight: 1, arbitrary: usual }) : usual;
}

function ofSchema(schema: Any, known: Known, name: string): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const choices: Any[] | undefined = schema.anyOf ?? schema.oneOf;
  if (choices) return fc.oneof(...choices.map((choice) => fitting(choice, known, name)));
  switch (schema.type) {
    case "string":
      return ofString(schema);
    case "integer":
      return fc.integer({ min: schema.minimum ?? -1000, max: Math.min(schema.maximum ?? 1000, 2 ** 31 - 1) });
    case "number":
      return fc.double({ min: schema.minimum ?? -1000, max: schema.maximum ?? 1000, noNaN: true });
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array": {
      const { minItems = 0, maxItems = 5 } = schema;
      return fc.array(fitting(schema.items ?? {}, known, singular(name)), {
        minLength: minItems,
        maxLength: Math.max(minItems, Math.min(maxItems, 5)),
      });
    }
    case "object":
      return ofObject(schema, known);
    default:
      return anything;
  }
}

const singular = (name: string) => name.replace(/s$/, "");

function ofString({ format, pattern, minLength = 0, maxLength = 60 }: Any): fc.Arbitrary<string> {
  if (format === "uuid") return fc.uuid();
  if (format === "date-time") {
    const edges = [
      "0001-01-01T00:00:00Z",
      "9999-12-31T23:59:59.999Z",
      "2016-12-31T23:59:60Z",
      "2024-02-29t12:00:00.5+23:59",
    ];
    return fc.oneof(
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      fc.constantFrom(...edges),
    );
  }
  if (pattern) return fc.stringMatching(new RegExp(pattern), { size: "small" });
  return fc.string({ minLength, maxLength: Math.min(maxLength, minLength + 60), unit: "binary" });
}

function ofObject({ properties = {}, required = [], patternProperties }: Any, known: Known) {
  const members = Object.entries(properties).map(([name, schema]) => [name, fitting(schema, known, name)]);
  const fixed = fc.record(Object.fromEntries(members), { requiredKeys: required, noNullPrototype: true });
  const [values] = Object.values(patternProperties ?? {});
  if (!values) return fixed;
  return fc.dictionary(fc.string({ minLength: 1, maxLength: 20, unit: "binary" }), fitting(values, known), {
    maxKeys: 4,
  });
}

/** The value with one place in it changed, left out or added to. */
export function spoilt(value: unknown): fc.Arbitrary<unknown> {
  const places = placesIn(value);
  const names = fc.constantFrom(
    "x",
    "__proto__",
    "constructor",
    "toString",
    "",
    "tenant_id",
    "$ref",
    "ä\u0000",
  );
  return fc
    .tuple(fc.constantFrom(...places), fc.constantFrom("replace", "remove", "add"), hostile, names)
    .map(([place, what, other, name]) => {
      if (what === "add") return change(value, place, (inner) => added(inner, name, other));
      return change(value, place, () => (what === "remove" ? absent : other));
    })
    .map((changed) => (changed === absent ? null : changed));
}

const absent = Symbol("absent");

function added(inner: unknown, name: string, other: unknown): unknown {
  if (Array.isArray(inner)) return [...inner, other];
  if (typeof inner === "object" && inner !== null)
    return Object.fromEntries([...Object.entries(inner), [name, other]]);
  return other;
}

function placesIn(value: unknown, at: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== "object" || value === null || (JSON as Any).isRawJSON(value)) return [at];
  const inner = Object.entries(value).slice(0, 20);
  return [at, ...inner.flatMap(([name, member]) => placesIn(member, [...at, name]))];
}

function change(
  value: unknown,
  [first, ...rest]: (string | number)[],
  to: (inner: unknown) => unknown,
): unknown {
  if (first === undefined) return to(value);
  const entries = Object.entries(value as object)
    .map(([name, member]): [string, unknown] => [
      name,
      name === String(first) ? change(member, rest, to) : member,
    ])
    .filter(([, member]) => member !== absent);
  return Array.isArray(value) ? entries.map(([, member]) => member) : Object.fromEntries(entries);
}
