/**
 * Whatever we accept, llhttp in strict mode reads the same: fields, body, and where the next message begins. And
 * what we write of it, it reads the same again. Bytes come from a generator that knows where parsers disagree, and
 * are then damaged.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { HOP_BY_HOP } from "./grammar.ts";
import { Head } from "./head.ts";
import { readByLlhttp } from "./llhttp.testing.ts";
import { fieldList, limits, readMessages } from "./messages.testing.ts";
import { fieldsOf } from "./write.ts";

const numRuns = Number(process.env.RUNS ?? 4000);

const name = fc.constantFrom(
  "Host",
  "host",
  "Content-Length",
  "content-length",
  "Transfer-Encoding",
  "Connection",
  "X-A",
  "accept",
  "Te",
  "Trailer",
  "X-Forwarded-For",
  "Expect",
  "x_y",
  "Cookie",
  "Upgrade",
  "Keep-Alive",
  "Content-Length ",
  "X\0",
  "",
);
const value = fc.oneof(
  fc.constantFrom(
    "a",
    "",
    "5",
    "0",
    "+5",
    "-1",
    "5,5",
    "0x5",
    "1e1",
    "05",
    "chunked",
    "Chunked",
    "identity",
    "gzip, chunked",
    "chunked, chunked",
    "chunked;q=1",
    "close",
    "keep-alive",
    "x, close",
    "upgrade",
    "100-continue",
    "example.org",
    "a b",
    "a\tb",
    "é",
    "\x0bchunked",
    "chunked\0",
    "a\rb",
    "a\nb",
    " lead",
    "trail \t",
    "websocket",
    "a\r\n b",
    "99999999999999999999",
  ),
  fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 6,
  }),
);
const lineEnd = fc.oneof(
  { weight: 30, arbitrary: fc.constant("\r\n") },
  { weight: 1, arbitrary: fc.constantFrom("\n", "\r", "\r\r\n", "\n\r", "\r\n\r\n", "\r\n ", "") },
);
const field = fc
  .tuple(name, fc.constantFrom(": ", ":", ":  ", ":\t", " : ", " "), value, lineEnd)
  .map((parts) => parts.join(""));
const size = fc.constantFrom(
  "5",
  "5",
  "5",
  "0",
  "a",
  "A",
  "05",
  "5;x",
  "5;x=y",
  '5;x="y z"',
  "5 ",
  "0x5",
  "-5",
  "5\t",
  ";",
  "5;",
  "5;=",
  "fffffffffff",
);
const chunk = fc
  .tuple(size, lineEnd, fc.constantFrom("hello", "helloworld", "hell", "\r\n0\r\n"), lineEnd)
  .map((parts) => parts.join(""));
const body = fc.oneof(
  fc.constantFrom(
    "",
    "hello",
    "hello",
    "0\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
    "5\r\nhello\r\n0\r\nX-T : 1\r\n\r\n",
  ),
  fc
    .tuple(
      fc.array(chunk, { maxLength: 3 }),
      fc.constantFrom("0\r\n\r\n", "0\r\nA: b\r\n\r\n", "0\n\n", "00\r\n\r\n", ""),
    )
    .map(([chunks, end]) => chunks.join("") + end),
);
const usual = fc.constantFrom(
  "Host: a\r\nContent-Length: 5\r\n",
  "Host: a\r\nTransfer-Encoding: chunked\r\n",
  "Host: a\r\n",
);
const fields = fc.tuple(
  fc.oneof(usual, fc.constant("")),
  fc.array(field, { maxLength: 4 }),
  fc.oneof({ weight: 9, arbitrary: fc.constant("\r\n") }, lineEnd),
);
const rest = fields.map(([first, others, end]) => first + others.join("") + end);

const requestLine = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.constantFrom(
      "GET / HTTP/1.1\r\n",
      "POST /a?b=c HTTP/1.1\r\n",
      "PUT /a%20 HTTP/1.1\r\n",
      "GET / HTTP/1.0\r\n",
    ),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.constantFrom("GET", "HEAD", "OPTIONS", "DELETE", "PATCH", "G ET"),
        fc.constantFrom(" ", "  ", "\t"),
        fc.constantFrom("/", "*", "/a\x7f", "/é", "/a#b", "http://a/", "a:80", "/ ", ""),
        fc.constantFrom(" ", "  "),
        fc.constantFrom("HTTP/1.1", "HTTP/1.2", "HTTP/2.0", "HTTP/1", "http/1.1", "HTTP/1.1 "),
        lineEnd,
      )
      .map((parts) => parts.join("")),
  },
);
const statusLine = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.constantFrom(
      "HTTP/1.1 200 OK\r\n",
      "HTTP/1.1 404 Not Found\r\n",
      "HTTP/1.1 204 \r\n",
      "HTTP/1.1 304 x\r\n",
      "HTTP/1.0 200 OK\r\n",
    ),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.constantFrom("HTTP/1.1", "HTTP/1.0", "HTTP/2", "HTTP/1.1 "),
        fc.constantFrom(" ", "  ", ""),
        fc.constantFrom("200", "20", "2000", "099", "600", "103", "2x0"),
        fc.constantFrom(" OK", "", " ", " a\0", " é"),
        lineEnd,
      )
      .map((parts) => parts.join("")),
  },
);

/** Some bytes replaced, put in or taken out. */
const damage = fc.array(
  fc.tuple(fc.nat(400), fc.constantFrom("replace", "insert", "delete"), fc.integer({ min: 0, max: 255 })),
  { maxLength: 2 },
);
function damaged(text: string, changes: [number, string, number][]): Buffer {
  const bytes = [...Buffer.from(text, "latin1")];
  for (const [position, how, byte] of changes) {
    if (position >= bytes.length) continue;
    bytes.splice(position, how === "insert" ? 0 : 1, ...(how === "delete" ? [] : [byte]));
  }
  return Buffer.from(bytes);
}

const streamOf = (first: fc.Arbitrary<string>) =>
  fc
    .tuple(
      fc.array(
        fc.tuple(first, rest, body).map((parts) => parts.join("")),
        { minLength: 1, maxLength: 3 },
      ),
      damage,
    )
    .map(([messages, changes]) => damaged(messages.join(""), changes));

// llhttp leaves white space at the end of a value to its user.
const trimmed = ([key, text]: [string, string]) => [key, text.replace(/[ \t]+$/, "")];

// A method that llhttp does not know, and a status that it has no bound for, are ours to allow or refuse.
function agree(kind: "request" | "response", bytes: Buffer, toHead = false): number {
  const ours = readMessages(kind, bytes, { toHead }).messages;
  const theirs = readByLlhttp(kind, bytes, { toHead }).messages;
  for (const [index, message] of ours.entries()) {
    const other = theirs[index];
    const where = `message ${index} of ${JSON.stringify(bytes.toString("latin1"))}`;
    assert.ok(other?.headComplete, `we accept what llhttp does not: ${where}`);
    assert.deepEqual(message.fields, other.fields.map(trimmed), where);
    assert.equal(message.body.toString("latin1"), other.body.toString("latin1"), where);
    assert.deepEqual(message.trailer, other.trailer.map(trimmed), where);
    assert.equal(message.status, other.status, where);
    if (kind === "request")
      assert.deepEqual([message.method, message.target], [other.method, other.url], where);
    const isLast = index === ours.length - 1;
    assert.ok(other.complete || isLast, `another end: ${where}`);
  }
  return ours.length;
}

describe("llhttp as oracle", () => {
  test("requests that we accept", () => {
    let accepted = 0;
    fc.assert(
      fc.property(streamOf(requestLine), (bytes) => {
        accepted += agree("request", bytes);
      }),
      { numRuns },
    );
    assert.ok(accepted > numRuns / 20, `only ${accepted} messages were accepted: the test sees nothing`);
  });

  test("responses that we accept", () => {
    let accepted = 0;
    fc.assert(
      fc.property(streamOf(statusLine), fc.boolean(), (bytes, toHead) => {
        accepted += agree("response", bytes, toHead);
      }),
      { numRuns },
    );
    assert.ok(accepted > numRuns / 20, `only ${accepted} messages were accepted: the test sees nothing`);
  });

  test("what we write is what we read, without what is for one hop", () => {
    const head = new Head(limits);
    let written = 0;
    fc.assert(
      fc.property(
        fc.tuple(requestLine, rest).map((parts) => Buffer.from(parts.join(""), "latin1")),
        (bytes) => {
          if (head.parseRequest(bytes, 0, bytes.length) < 0) return;
          written++;
          const kept = fieldList(head).filter((_, i) => !HOP_BY_HOP[head.field[i]!]);
          const fieldText = fieldsOf(head, HOP_BY_HOP);
          assert.equal(fieldText, kept.map(([key, text]) => `${key}: ${text}\r\n`).join(""));
          const text = `${head.method} ${head.target} HTTP/1.1\r\n${head.host < 0 ? "Host: x\r\n" : ""}${fieldText}\r\n`;
          const [message] = readByLlhttp("request", Buffer.from(text, "latin1")).messages;
          assert.ok(message?.headComplete, text);
          const expected = head.host < 0 ? [["Host", "x"], ...kept] : kept;
          assert.deepEqual(message.fields, expected);
        },
      ),
      { numRuns },
    );
    assert.ok(written > numRuns / 10);
  });
});
