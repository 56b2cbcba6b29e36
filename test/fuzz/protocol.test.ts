/**
 * What no HTTP client sends, byte by byte over a socket: the answer is a problem, or the connection ends, and no
 * byte of one request is ever taken for another.
 */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { catalogue, type ErrorCode } from "../../src/core/catalogue.ts";
import { statusOfKind } from "../../src/platform/http/problem.ts";
import { type Caller, TestServer } from "../server.ts";

let server: TestServer;
let ann: Caller;
before(async () => {
  server = await TestServer.start();
  ann = await server.as();
});
after(() => server?.remove());

/** Sends the bytes; resolves to all that came when the server closes, or when `enough` is in it. */
function exchange(url: string, sent: string | Buffer, enough = "\u0000"): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    const hang = setTimeout(() => socket.destroy(new Error(`no end after 15 s; so far: ${came}`)), 15_000);
    let came = "";
    const end = () => {
      clearTimeout(hang);
      socket.destroy();
      resolve(came);
    };
    socket.on("data", (bytes) => {
      came += bytes.toString("latin1");
      if (came.includes(enough)) end();
    });
    socket.on("error", (error) => ("code" in error && error.code === "ECONNRESET" ? end() : reject(error)));
    socket.on("close", end);
    socket.write(sent);
  });
}

/** Status and problem code of each answer on a connection. */
function answersIn(text: string): { status: number; code: string | undefined }[] {
  return text
    .split(/(?=HTTP\/1\.1 \d{3} )/)
    .filter((part) => part !== "")
    .map((part) => ({ status: Number(part.slice(9, 12)), code: /"code":"(\w+)"/.exec(part)?.[1] }));
}

const host = "Host: x\r\n";
const authorised = () => `${host}Authorization: Bearer ${ann.token}\r\n`;
const json = "Content-Type: application/json\r\n";
const health = `GET /health HTTP/1.1\r\n${host}\r\n`;
const create = (name: string) => JSON.stringify({ name });

describe("malformed HTTP", () => {
  const heads: Readonly<Record<string, string | Buffer>> = {
    "no HTTP": "HELLO\r\n\r\n",
    "a NUL in the path": `GET /\u0000 HTTP/1.1\r\n${host}\r\n`,
    "a blank in the path": `GET /a b HTTP/1.1\r\n${host}\r\n`,
    "an unknown method": `FROB / HTTP/1.1\r\n${host}\r\n`,
    "an unknown version": `GET / HTTP/3.7\r\n${host}\r\n`,
    "the preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no Host": "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n",
    "a header without a colon": `GET /health HTTP/1.1\r\n${host}broken\r\n\r\n`,
    "a blank in a header's name": `GET /health HTTP/1.1\r\n${host}a b: c\r\n\r\n`,
    "a blank before the colon": `GET /health HTTP/1.1\r\n${host}a : c\r\n\r\n`,
    "a folded header": `GET /health HTTP/1.1\r\n${host}a: b\r\n c\r\n\r\n`,
    "a NUL in a header": `GET /health HTTP/1.1\r\n${host}a: b\u0000c\r\n\r\n`,
    "a lone carriage return": `GET /health HTTP/1.1\r\n${host}a: b\rc\r\n\r\n`,
    "a length that is no number": `POST /health HTTP/1.1\r\n${host}Content-Length: abc\r\n\r\n`,
    "a negative length": `POST /health HTTP/1.1\r\n${host}Content-Length: -1\r\n\r\n`,
    "two lengths": `POST /health HTTP/1.1\r\n${host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
    "a length beyond all numbers": `POST /health HTTP/1.1\r\n${host}Content-Length: 99999999999999999999\r\n\r\n`,
    "length and chunks": `POST /health HTTP/1.1\r\n${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "an unknown coding": `POST /health HTTP/1.1\r\n${host}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`,
    "a head too large": `GET /health HTTP/1.1\r\n${host}a: ${"x".repeat(20_000)}\r\n\r\n`,
    "a path too long": `GET /${"x".repeat(20_000)} HTTP/1.1\r\n${host}\r\n`,
    "random bytes": Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0xff, 0x0d, 0x0a, 0x0d, 0x0a]),
  };
  for (const [what, head] of Object.entries(heads)) {
    it(`${what} is refused and ends the connection`, async () => {
      const text = await exchange(server.url, head);
      const [answer, ...more] = answersIn(text);
      assert.ok(answer, "no answer");
      assert.deepEqual(more, [], text);
      const entry = catalogue[answer.code as ErrorCode];
      assert.ok(entry, `${answer.status} without a problem: ${text}`);
      assert.equal(answer.status, statusOfKind[entry.kind]);
      assert.ok(answer.status < 500, text);
      assert.match(text, /^connection: close\r$/im);
    });
  }

  for (const [what, chunks] of Object.entries({
    "a chunk size that is none": "zz\r\nab\r\n0\r\n\r\n",
    "a chunk that is longer than it says": "1\r\nabcdef\r\n0\r\n\r\n",
    "a chunk size beyond all numbers": "fffffffffffffffffff\r\na\r\n",
  })) {
    it(`${what} ends the connection, and nothing is made of it`, async () => {
      const head = `POST /api/v1/topics HTTP/1.1\r\n${authorised()}${json}Transfer-Encoding: chunked\r\n\r\n`;
      const answers = answersIn(await exchange(server.url, head + chunks));
      for (const { status } of answers) assert.ok(status >= 400 && status < 500, String(status));
      assert.ok(answers.length <= 1, JSON.stringify(answers));
    });
  }
});

describe("requests on one connection", () => {
  const post = (body: string, head = "") =>
    `POST /api/v1/topics HTTP/1.1\r\n${authorised()}${json}${head}Content-Length: ${body.length}\r\n\r\n${body}`;
  const last = `GET /ready HTTP/1.1\r\n${host}Connection: close\r\n\r\n`;

  it("are answered in order, each by itself", async () => {
    const answers = answersIn(
      await exchange(server.url, post(create("pipe.1")) + health + post("{}") + last),
    );
    assert.deepEqual(answers, [
      { status: 201, code: undefined },
      { status: 200, code: undefined },
      { status: 400, code: "validation_failed" },
      { status: 200, code: undefined },
    ]);
  });

  it("with a body that was refused unread do not go on with that body as a request", async () => {
    const inner = `POST /api/v1/topics HTTP/1.1\r\n${authorised()}${json}Content-Length: 19\r\n\r\n${create("smuggled")}`;
    for (const head of [
      `POST /api/v1/topics HTTP/1.1\r\n${host}${json}Content-Length: ${inner.length}\r\n\r\n`,
      `POST /api/v1/topics HTTP/1.1\r\n${authorised()}Content-Type: text/plain\r\nContent-Length: ${inner.length}\r\n\r\n`,
      `GET /api/v1/nowhere HTTP/1.1\r\n${host}Content-Length: ${inner.length}\r\n\r\n`,
    ]) {
      // In two packets, so that the head is answered before its body is there.
      const answers = answersIn(await twoPackets(head, inner + last));
      assert.ok([1, 2].includes(answers.length), JSON.stringify(answers));
      assert.ok(answers[0]!.status >= 400 && answers[0]!.status < 500, JSON.stringify(answers));
    }
    assert.equal((await ann.get("/topics/smuggled")).status, 404);
  });

  it("that break off in the middle make nothing and disturb nobody", async () => {
    const whole = post(create("half"));
    for (const size of [10, whole.length - 12, whole.length - 1]) {
      const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
      await new Promise<void>((resolve) => socket.write(whole.slice(0, size), () => resolve()));
      socket.resetAndDestroy();
    }
    assert.equal((await ann.get("/topics/half")).status, 404);
    assert.equal((await ann.get("//health")).status, 200);
  });

  async function twoPackets(first: string, second: string): Promise<string> {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    let came = "";
    socket.on("error", () => {}); // the server may end it while the second packet goes out
    socket.write(first);
    await new Promise<void>((resolve) => {
      socket.once("data", () => socket.write(second));
      socket.on("data", (bytes) => {
        came += bytes.toString("latin1");
      });
      socket.on("close", () => resolve());
    });
    return came;
  }
});

describe("methods", () => {
  for (const method of ["PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]) {
    it(`${method} on a collection that has it not is 405, with Allow`, async () => {
      const response = await fetch(`${server.url}/api/v1/topics`, { method });
      assert.equal(response.status, 405);
      assert.deepEqual(response.headers.get("allow")?.split(", ").sort(), ["GET", "POST"]);
    });
  }

  for (const method of ["TRACE", "QUERY", "PROPFIND", "PURGE"]) {
    it(`${method} is refused by a problem`, async () => {
      const text = await exchange(
        server.url,
        `${method} /health HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
      );
      assert.deepEqual(answersIn(text), [{ status: 405, code: "method_not_allowed" }]);
    });
  }

  it("CONNECT opens no tunnel", async () => {
    const text = await exchange(server.url, `CONNECT 127.0.0.1:22 HTTP/1.1\r\n${host}\r\n`);
    assert.ok(
      answersIn(text).every(({ status }) => status >= 400),
      text,
    );
  });

  it("an expectation that nobody knows is passed over", async () => {
    const text = await exchange(
      server.url,
      `GET /health HTTP/1.1\r\n${host}Expect: wonders\r\nConnection: close\r\n\r\n`,
    );
    assert.deepEqual(answersIn(text), [{ status: 200, code: undefined }]);
  });
});

describe("slow requests", { timeout: 30_000 }, () => {
  let impatient: TestServer;
  before(async () => {
    impatient = await TestServer.start({
      "http-headers-timeout-ms": "1000",
      "http-request-timeout-ms": "1000",
    });
  });
  after(() => impatient?.remove());

  it("whose head does not end are ended", async () => {
    const text = await exchange(impatient.url, `GET /health HTTP/1.1\r\n${host}a: b`);
    assert.deepEqual(answersIn(text), [{ status: 408, code: "request_timeout" }]);
  });

  it("whose body does not come are ended", async () => {
    const head = `POST /api/v1/topics HTTP/1.1\r\n${host}Authorization: Bearer ${await impatient.token()}\r\n`;
    const text = await exchange(impatient.url, `${head}${json}Content-Length: 100\r\n\r\n{"name":`);
    assert.deepEqual(answersIn(text), [{ status: 408, code: "request_timeout" }]);
  });
});
