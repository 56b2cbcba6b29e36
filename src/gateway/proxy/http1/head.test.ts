import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ChunkedReader } from "./chunked.ts";
import { HOP_BY_HOP, namesToRemove } from "./grammar.ts";
import { Head, INCOMPLETE, REFUSED } from "./head.ts";
import { fieldList, limits } from "./messages.testing.ts";
import type { Refusal } from "./refusal.ts";
import { fieldsOf } from "./write.ts";

const head = new Head(limits);
const request = (text: string) => {
  const bytes = Buffer.from(text, "latin1");
  return head.parseRequest(bytes, 0, bytes.length);
};
const response = (text: string) => {
  const bytes = Buffer.from(text, "latin1");
  return head.parseResponse(bytes, 0, bytes.length);
};
const get = (fields: string) => `GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;

const refused: [why: Refusal, text: string][] = [
  ["length", get("Content-Length: 5\r\nContent-Length: 6\r\n")],
  ["length", get("Content-Length: 5\r\nContent-Length: 5\r\n")],
  ["length", get("Content-Length: 5, 5\r\n")],
  ["length", get("Content-Length: +5\r\n")],
  ["length", get("Content-Length: \r\n")],
  ["length", get("Content-Length: 1234567890123456\r\n")],
  ["length_and_encoding", get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")],
  ["length_and_encoding", get("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")],
  ["encoding", get("Transfer-Encoding: gzip, chunked\r\n")],
  ["encoding", get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")],
  ["encoding", get("Transfer-Encoding: \r\n")],
  ["encoding", get("Transfer-Encoding: chunked;q=1\r\n")],
  ["encoding", get("Transfer-Encoding: xchunked\r\n")],
  ["field_value", get("Transfer-Encoding: \x0bchunked\r\n")],
  ["encoding_version", "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"],
  ["folded", get("X: a\r\n b\r\n")],
  ["folded", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"],
  ["line_end", "GET / HTTP/1.1\nHost: a\r\n\r\n"],
  ["line_end", get("X: a\n")],
  ["field_value", get("X: a\rb\r\n".replace("\rb", "\0b"))],
  ["line_end", get("X: a\rb\r\n")],
  ["field_name", get("X : a\r\n")],
  ["field_name", get("X\0: a\r\n")],
  ["field_name", get(": a\r\n")],
  ["field_name", get("nothing\r\n")],
  ["host", get("Host: b\r\n")],
  ["host", "GET / HTTP/1.1\r\n\r\n"],
  ["host", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"],
  ["host", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"],
  ["host", "GET / HTTP/1.1\r\nHost: \r\n\r\n"],
  ["target", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["target", "GET a HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["target", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["target", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["target", "GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["target_too_long", `GET /${"a".repeat(8192)} HTTP/1.1\r\nHost: a\r\n\r\n`],
  ["version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n"],
  ["version", "GET / HTTP/1.2\r\nHost: a\r\n\r\n"],
  ["method", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["method", " GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["method", "\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["method_unsupported", "CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["method_unsupported", "get / HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["expect", get("Expect: the unexpected\r\n")],
  ["fields_too_many", get("X: a\r\n".repeat(100))],
  ["head_too_large", get(`X: ${"a".repeat(16_384)}\r\n`)],
];

describe("a request's head", () => {
  for (const [why, text] of refused) {
    test(`${why}: ${JSON.stringify(text.slice(0, 70))}`, () => {
      assert.equal(request(text), REFUSED);
      assert.equal(head.refusal, why);
    });
  }

  test("is read with its fields in their case, values trimmed", () => {
    const text =
      "POST /a/b?c=d HTTP/1.1\r\nhOsT: a:80\r\nX-Y:\t v w \t\r\nEmpty:\r\ncontent-length: 3\r\n\r\nabc";
    assert.equal(request(text), text.length - 3);
    assert.deepEqual(fieldList(head), [
      ["hOsT", "a:80"],
      ["X-Y", "v w"],
      ["Empty", ""],
      ["content-length", "3"],
    ]);
    assert.deepEqual(
      [head.method, head.target, head.contentLength, head.keepAlive],
      ["POST", "/a/b?c=d", 3, true],
    );
    assert.equal(head.text.slice(head.targetStart, head.pathEnd), "/a/b");
  });

  test("is incomplete at each of its bytes but the last, and then whole", () => {
    const text = get("Accept: */*\r\nContent-Length: 10\r\n");
    for (let length = 0; length < text.length; length++) {
      const bytes = Buffer.from(text.slice(0, length));
      assert.equal(head.parseRequest(bytes, 0, length), INCOMPLETE, `after ${length} bytes`);
    }
    assert.equal(request(text), text.length);
  });

  test("one empty line before it is passed over, two are not", () => {
    assert.equal(request(`\r\n${get("")}`), get("").length + 2);
    assert.equal(request(`\r\n\r\n${get("")}`), REFUSED);
  });

  test("says whether the connection stays, by version and Connection", () => {
    const stays = (text: string) => request(text) > 0 && head.keepAlive;
    assert.equal(stays(get("")), true);
    assert.equal(stays(get("Connection: close\r\n")), false);
    assert.equal(stays(get("Connection: x, Close\r\n")), false);
    assert.equal(stays("GET / HTTP/1.0\r\n\r\n"), false);
    assert.equal(stays("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), true);
  });

  test("Connection takes away what it names, but nothing that framing or trust depend on", () => {
    request(
      get(
        "Connection: X-Secret, close, Host, Authorization, X-Forwarded-For, Content-Length\r\nX-Secret: 1\r\n",
      ),
    );
    assert.deepEqual(namesToRemove(head.connectionTokens), ["x-secret"].concat());
    assert.equal(fieldsOf(head, HOP_BY_HOP, ["x-secret"]), "Host: a\r\n");
  });
});

describe("a response's head", () => {
  const bad: [Refusal, string][] = [
    ["status_line", "HTTP/1.1 20 OK\r\n\r\n"],
    ["status_line", "HTTP/1.1 2000 OK\r\n\r\n"],
    ["status_line", "HTTP/1.1  200 OK\r\n\r\n"],
    ["status_line", "HTTP/2 200 OK\r\n\r\n      "],
    ["status_line", "HTTP/1.1 600 OK\r\n\r\n"],
    ["status_line", "<html><body>garbage</body></html>"],
    ["line_end", "HTTP/1.1 200 OK\n\r\n\r\n".replace("\n\r\n", "\r\r\n")],
    ["length_and_encoding", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["length", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"],
    ["encoding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"],
  ];
  for (const [why, text] of bad) {
    test(`${why}: ${JSON.stringify(text.slice(0, 60))}`, () => {
      assert.equal(response(text), REFUSED);
      assert.equal(head.refusal, why);
    });
  }

  test("is read, with and without a reason", () => {
    assert.ok(response("HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n") > 0);
    assert.deepEqual([head.status, head.text.slice(head.reasonStart, head.reasonEnd)], [404, "Not Found"]);
    assert.ok(response("HTTP/1.1 200\r\nA: b\r\n\r\n") > 0);
    assert.ok(response("HTTP/1.1 200 \r\nA: b\r\n\r\n") > 0);
    assert.equal(response("HTTP/1.1 20"), INCOMPLETE);
  });
});

describe("chunks", () => {
  const read = (text: string) => {
    const reader = new ChunkedReader();
    const parts: Buffer[] = [];
    const bytes = Buffer.from(text, "latin1");
    const end = reader.read(bytes, 0, bytes.length, parts);
    return { reader, end, data: Buffer.concat(parts).toString("latin1") };
  };
  const bad: [Refusal, string][] = [
    ["chunk_size", "x\r\n"],
    ["chunk_size", "\r\n"],
    ["chunk_size", "5 \r\nhello\r\n"],
    ["chunk_size", "0x5\r\n"],
    ["chunk_size", "-5\r\n"],
    ["chunk_size", "5\nhello"],
    ["chunk_size", "5\r\rhello"],
    ["chunk_size", "1000000000000\r\n"],
    ["chunk_extension", `5;${"x".repeat(300)}\r\n`],
    ["chunk_extension", '5;a="\n"\r\n'],
    ["chunk_extension", "5;\r\n"],
    ["chunk_end", "5\r\nhello0\r\n\r\n"],
    ["chunk_end", "5\r\nhello\n0\r\n\r\n"],
    ["trailer", `0\r\nX: ${"a".repeat(9000)}\r\n\r\n`],
  ];
  for (const [why, text] of bad) {
    test(`${why}: ${JSON.stringify(text.slice(0, 40))}`, () => {
      const { reader, end } = read(text);
      assert.deepEqual([end, reader.refusal], [-1, why]);
    });
  }

  test("many tiny chunks with long extensions are refused in the end", () => {
    assert.equal(read(`1;${"x".repeat(250)}\r\na\r\n`.repeat(300)).reader.refusal, "chunk_extension");
  });

  test("read in any pieces, they are the same body and trailer", () => {
    const text = '5\r\nhello\r\n00003;a;b="c d"\r\n wo\r\n3\r\nrld\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\nnext';
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (steps) => {
        const reader = new ChunkedReader();
        const parts: Buffer[] = [];
        const bytes = Buffer.from(text);
        let at = 0;
        for (let i = 0; !reader.done; i++) {
          const end = Math.min(bytes.length, at + steps[i % steps.length]!);
          at = reader.read(bytes, at, end, parts);
          assert.ok(at >= 0);
        }
        assert.equal(Buffer.concat(parts).toString(), "hello world");
        assert.equal(reader.trailer.toString(), "X-Sum: 1\r\nY: 2\r\n\r\n");
        assert.equal(bytes.subarray(at).toString(), "next");
      }),
    );
  });
});
