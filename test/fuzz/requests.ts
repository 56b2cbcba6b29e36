/** Requests for one operation of the document: some as documented, most wrong in one way or another. */
import fc from "fast-check";
import type { Operation } from "../contract.ts";
import { type Any, fitting, hostile, hostileTexts, type Known, spoilt } from "./values.ts";

export interface WireRequest {
  method: string;
  /** With its query, as it goes over the wire. */
  path: string;
  headers: Record<string, string>;
  body: Buffer | undefined;
  /** Goes as chunks without a length. */
  chunked: boolean;
}

/** Path segments and query parts as they go over the wire, well formed or not. */
const rawTexts = [
  ...[
    "..",
    ".",
    "%2e%2e",
    "%2e%2e%2f%2e%2e%2f",
    "..%5c",
    "%2F",
    "%00",
    "%ff",
    "%c0%af",
    "%",
    "%zz",
    "%u0041",
  ],
  ...[";a=b", "a;b", "@", "+", "%20", "~", "x".repeat(600), "%f0%9f%92%a9", "%ed%a0%80", "[]", "{name}"],
];
const wireText = fc.oneof(
  fc.constantFrom(...rawTexts),
  fc.constantFrom(...hostileTexts).map((text) => encodeURIComponent(text.toWellFormed())),
);

const textOf = (value: unknown) => encodeURIComponent(String(value ?? "").toWellFormed());

function pathOf({ path, parameters }: Operation, known: Known): fc.Arbitrary<string> {
  const inPath = parameters.filter((parameter) => parameter.in === "path");
  const values = inPath.map(({ name, schema }) =>
    fc.oneof(
      { weight: 4, arbitrary: fitting(schema, known, name).map(textOf) },
      { weight: 1, arbitrary: wireText },
    ),
  );
  return fc
    .tuple(...values)
    .map((texts) =>
      inPath.reduce((done, { name }, index) => done.replace(`{${name}}`, () => texts[index]!), path),
    );
}

function queryOf({ parameters }: Operation, known: Known): fc.Arbitrary<string> {
  const inQuery = parameters.filter((parameter) => parameter.in === "query");
  const right = inQuery.map(({ name, schema, required }) => {
    const pair = fitting(schema, known, name).map((value) => `${name}=${textOf(value)}`);
    return required ? pair : fc.option(pair, { nil: "" });
  });
  const names = [...inQuery.map(({ name }) => name), "x", "__proto__", "constructor", "limit[]", "", "%00"];
  const wrong = fc.tuple(fc.constantFrom(...names), wireText).map(([name, text]) => `${name}=${text}`);
  const long = fc.constantFrom(
    "",
    `&x=${"y".repeat(3000)}`,
    `&${"x=1&".repeat(2000)}`,
    "&&&==&",
    "&%",
    "&limit=1&limit=2",
  );
  const parts = fc.oneof(
    {
      weight: inQuery.length > 1 ? 4 : 20,
      arbitrary: fc.tuple(...right).map((pairs) => pairs.filter((pair) => pair !== "")),
    },
    { weight: 2, arbitrary: fc.tuple(...right, wrong) },
    { weight: 1, arbitrary: fc.tuple(wrong, long) },
  );
  return parts.map((pairs: readonly string[]) =>
    pairs.length > 0 ? `?${pairs.filter(Boolean).join("&")}` : "",
  );
}

const bytes = (text: string) => Buffer.from(text);

/** Not JSON, or JSON at its limits. */
const brokenBodies: fc.Arbitrary<Buffer> = fc.oneof(
  fc.constantFrom(
    ...[
      "",
      " ",
      "{",
      "}",
      "nul",
      "[1,]",
      "{,}",
      `{"a":1}{"b":2}`,
      "\ufeff{}",
      "//x\n{}",
      "NaN",
      "'a'",
      `{"a":undefined}`,
      `"\u0001"`,
      "\u0000",
      "01",
      "1e",
      `{"a":1,"a":2}`,
      `{"__proto__":{"a":1}}`,
      `"\\ud800"`,
      "1e999999",
    ].map(bytes),
    bytes(`${"[".repeat(10_000)}${"]".repeat(10_000)}`),
    bytes(`${`{"a":`.repeat(2_000)}1${"}".repeat(2_000)}`),
    bytes("[".repeat(15_000)),
    bytes(`"${"x".repeat(40_000)}"`),
    bytes(`{"payload":${"9".repeat(10_000)}}`),
    Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
    Buffer.from([0xc0, 0x80]),
    Buffer.from([0xed, 0xa0, 0x80]),
    Buffer.from([0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]),
  ),
  fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
  fc.json().map(bytes),
);

function bodyOf(schema: Any, known: Known): fc.Arbitrary<Buffer> {
  const right = fitting(schema, known);
  const toBytes = (value: unknown) => bytes(JSON.stringify(value) ?? "null");
  return fc.oneof(
    { weight: 6, arbitrary: right.map(toBytes) },
    { weight: 8, arbitrary: right.chain(spoilt).map(toBytes) },
    { weight: 1, arbitrary: hostile.map(toBytes) },
    { weight: 1, arbitrary: right.map((value) => twice(toBytes(value).toString())) },
    { weight: 3, arbitrary: brokenBodies },
  );
}

/** Every member of the document a second time, in another order: of names that come twice the last one counts. */
function twice(text: string): Buffer {
  return bytes(/^\{./.test(text) && text !== "{}" ? `${text.slice(0, -1)},${text.slice(1)}` : text);
}

const types = [
  "",
  "text/plain",
  "application/json; charset=utf-16",
  "application/JSON ;x=y",
  "application/x-ndjson",
  "multipart/form-data; boundary=x",
  "application/x-www-form-urlencoded",
  "application/cloudevents+json",
  "/",
  "x".repeat(500),
]; // prettier-ignore

const oddHeaders: Record<string, string>[] = [
  {},
  { "if-match": "*" },
  { "if-match": `"1"` },
  { "if-match": `W/"1", "x", ,` },
  { "if-match": "x".repeat(4000) },
  { "idempotency-key": "one" },
  { "idempotency-key": `"quoted \\" key"` },
  { "idempotency-key": "x".repeat(300) },
  { "idempotency-key": "\u00e9\u00ff" },
  { "x-request-id": "a b\tc".repeat(50) },
  { accept: "text/html, */*;q=0.1" },
  { accept: "\u00ff" },
  { "content-encoding": "gzip" },
  { "content-length": "0" },
  { traceparent: "00-zz-zz-zz" },
  { traceparent: `00-${"0".repeat(32)}-${"0".repeat(16)}-ff`, tracestate: "=,=,=" },
  { origin: "null" },
  { range: "bytes=0-,-1" },
  { "x-http-method-override": "DELETE" },
];

export function requestsOf(operation: Operation, known: Known, token: string): fc.Arbitrary<WireRequest> {
  const bodies = Object.entries(operation.bodies).map(([type, schema]) =>
    fc.record({ body: bodyOf(schema, known), type: fc.constant(type) }),
  );
  const usual = bodies.length > 0 ? fc.oneof(...bodies) : fc.constant({ body: undefined, type: "" });
  const odd = fc.record({ body: brokenBodies, type: fc.constantFrom(...types) });
  const content: fc.Arbitrary<{ body: Buffer | undefined; type: string }> = fc.oneof(
    { weight: 9, arbitrary: usual },
    { weight: 1, arbitrary: odd },
  );
  return fc
    .record({
      path: pathOf(operation, known),
      query: queryOf(operation, known),
      content,
      odd: fc.constantFrom(...oddHeaders),
      chunked: fc.boolean(),
    })
    .map(({ path, query, content: { body, type }, odd: more, chunked }) => ({
      method: operation.method,
      path: path + query,
      headers: {
        ...(!operation.isPublic && { authorization: `Bearer ${token}` }),
        ...(type !== "" && { "content-type": type }),
        ...(body && !chunked && { "content-length": String(body.length) }),
        ...(body && "content-length" in more ? {} : more),
      },
      body,
      chunked,
    }));
}
