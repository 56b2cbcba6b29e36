/** HTTP/2 from clients, to backends, and both: streams, trailers, gRPC's shape, refusals. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttp } from "node:http";
import { type ClientHttp2Session, connect, createServer, type Http2Server } from "node:http2";
import { describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { WebSocketServer } from "ws";
import { makeCertificate, root } from "./certificate.testing.ts";
import { answering, ok, routeTo, startBackend, startEngine } from "./engine.testing.ts";

const { cert, key } = makeCertificate("a.example");
const certificates = [{ hosts: ["a.example:443"], cert, key }];
const secure = { listen: [{ port: 0, tls: {} }] };

function open(port: number): ClientHttp2Session {
  return connect("https://a.example", {
    createConnection: () =>
      connectTls({
        port,
        host: "127.0.0.1",
        servername: "a.example",
        ALPNProtocols: ["h2"],
        rejectUnauthorized: false,
      }),
  });
}

/** Sends a request and gives status, fields, body and trailer. */
async function ask(
  session: ClientHttp2Session,
  headers: Record<string, string>,
  body: string[] = [],
  trailer?: Record<string, string>,
) {
  const stream = session.request(headers, {
    endStream: body.length === 0 && !trailer,
    waitForTrailers: trailer !== undefined,
  });
  if (trailer) stream.on("wantTrailers", () => stream.sendTrailers(trailer));
  let trailers: Record<string, unknown> = {};
  stream.on("trailers", (found) => {
    trailers = found;
  });
  for (const part of body) stream.write(part);
  if (body.length > 0 || trailer) stream.end();
  let text = "";
  stream.on("data", (chunk) => {
    text += chunk;
  });
  const [fields] = (await once(stream, "response")) as [Record<string, unknown>];
  if (!stream.readableEnded) await once(stream, "end");
  return { status: fields[":status"], fields, text, trailers };
}

/** A backend that speaks HTTP/2 in clear: says what it got, and ends with a trailer, as gRPC does. */
async function grpcBackend() {
  const server: Http2Server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    if (headers[":path"] === "/fail") {
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", "grpc-status": "5" },
        { endStream: true },
      );
      return;
    }
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    let count = 0;
    stream.on("data", (part) => {
      count += part.length;
      stream.write(part);
    });
    stream.on("wantTrailers", () =>
      stream.sendTrailers({ "grpc-status": "0", "x-count": String(count), "x-te": String(headers.te) }),
    );
    stream.on("end", () => stream.end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    settings: { id: "g", url: `http://127.0.0.1:${port}`, protocol: "h2" } as const,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      server.close();
    },
  };
}

describe("HTTP/2", { concurrency: true }, () => {
  test("from a client to an HTTP/1.1 backend: many streams on one connection, bodies both ways", async () => {
    await using backend = await startBackend(
      "b",
      answering((request) => {
        const body = request.slice(request.indexOf("\r\n\r\n") + 4);
        return ok(
          `${request.split(" ", 2).join(" ")} ${body}`,
          `X-Host: ${/\r\nhost: (.*)\r\n/i.exec(request)?.[1]}\r\n`,
        );
      }),
    );
    await using running = await startEngine(
      { routes: [routeTo(["b"])], backends: [backend.settings()], certificates },
      secure,
    );
    const session = open(running.port);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        ask(session, { ":method": "POST", ":path": `/${i}`, "content-length": "3" }, ["abc"]),
      ),
    );
    for (const [i, { status, text, fields }] of answers.entries()) {
      assert.deepEqual([status, text, fields["x-host"]], [200, `POST /${i} abc`, "a.example:443"]);
    }
    const head = await ask(session, { ":method": "HEAD", ":path": "/" });
    assert.deepEqual([head.status, head.text], [200, ""]);
    assert.equal((await ask(session, { ":path": "/a/../b" })).status, 400);
    assert.equal(running.engine.recent(1)[0]?.protocol, "2");
    session.destroy();
  });

  test("gRPC passes: a stream both ways at once, with its trailer", async () => {
    await using backend = await grpcBackend();
    await using running = await startEngine(
      { routes: [routeTo(["g"])], backends: [backend.settings], certificates },
      secure,
    );
    const session = open(running.port);
    const stream = session.request({
      ":method": "POST",
      ":path": "/s/m",
      te: "trailers",
      "content-type": "application/grpc",
    });
    const seen = { text: "" };
    stream.on("data", (chunk) => {
      seen.text += chunk;
    });
    const trailers = once(stream, "trailers");
    stream.write("one");
    while (seen.text.length < 3) await once(stream, "data");
    stream.write("two");
    while (seen.text.length < 6) await once(stream, "data");
    stream.end();
    assert.equal(seen.text, "onetwo");
    const [found] = (await trailers) as [Record<string, unknown>];
    assert.deepEqual([found["grpc-status"], found["x-count"], found["x-te"]], ["0", "6", "trailers"]);
    const failed = await ask(session, { ":method": "POST", ":path": "/fail", te: "trailers" }, ["x"]);
    assert.deepEqual([failed.status, failed.fields["grpc-status"]], [200, "5"]);
    session.destroy();
  });

  test("gRPC's own client and server meet: answers, streams, errors, each with its trailer", async () => {
    const as = (bytes: Buffer) => bytes;
    const plain = {
      requestSerialize: as,
      requestDeserialize: as,
      responseSerialize: as,
      responseDeserialize: as,
    };
    const say = { path: "/t.Echo/Say", requestStream: false, responseStream: false, ...plain };
    const chat = { path: "/t.Echo/Chat", requestStream: true, responseStream: true, ...plain };
    const server = new grpc.Server();
    const trailer = new grpc.Metadata();
    trailer.set("x-count", "7");
    server.addService(
      { say, chat },
      {
        say: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
          if (call.request.toString() !== "bad") done(null, Buffer.from(`hi ${call.request}`), trailer);
          else done({ code: grpc.status.INVALID_ARGUMENT, details: "not so", metadata: trailer });
        },
        chat: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
          call.on("data", (part: Buffer) => call.write(part)).on("end", () => call.end());
        },
      },
    );
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    const backends = [{ id: "g", url: `http://127.0.0.1:${port}`, protocol: "h2" } as const];
    await using running = await startEngine({ routes: [routeTo(["g"])], backends, certificates }, secure);
    const client = new grpc.Client(
      `127.0.0.1:${running.port}`,
      grpc.credentials.createSsl(Buffer.from(root)),
      { "grpc.ssl_target_name_override": "a.example" },
    );
    const call = (word: string) =>
      new Promise<{ error: grpc.ServiceError | null; text: string; count: unknown }>((resolve) => {
        let count: unknown;
        client
          .makeUnaryRequest(say.path, as, as, Buffer.from(word), (error, bytes) =>
            setImmediate(() => resolve({ error, text: String(bytes), count })),
          )
          .on("status", ({ metadata }) => {
            [count] = metadata.get("x-count");
          });
      });
    const good = await call("you");
    assert.deepEqual([good.error, good.text, good.count], [null, "hi you", "7"]);
    const bad = await call("bad");
    assert.deepEqual([bad.error?.code, bad.error?.details, bad.count], [3, "not so", "7"]);
    const stream = client.makeBidiStreamRequest(chat.path, as, as);
    const parts: string[] = [];
    stream.on("data", (part: Buffer) => {
      parts.push(String(part));
      if (parts.length < 3) stream.write(Buffer.from(`${parts.length}`));
      else stream.end();
    });
    stream.write(Buffer.from("0"));
    await once(stream, "end");
    assert.deepEqual(parts, ["0", "1", "2"]);
    client.close();
    server.forceShutdown();
  });

  test("a backend of HTTP/2 serves clients of HTTP/1.1; one that is gone is 502", async () => {
    await using backend = await grpcBackend();
    const gone = { id: "gone", url: "http://127.0.0.1:1", protocol: "h2" } as const;
    const backends = [backend.settings, gone];
    const routes = [routeTo(["g"]), routeTo(["gone"], { id: "x", match: { path: { prefix: "/gone" } } })];
    await using running = await startEngine({ routes, backends });
    const answer = await fetch(`http://127.0.0.1:${running.port}/a`, { method: "POST", body: "hello" });
    assert.deepEqual([answer.status, await answer.text()], [200, "hello"]);
    assert.equal((await fetch(`http://127.0.0.1:${running.port}/gone`)).status, 502);
  });

  test("WebSockets pass as extended CONNECT to a backend of HTTP/1.1; what declines them is no success", async () => {
    const server = createHttp((_request, response) => response.end("no"));
    new WebSocketServer({ server, path: "/echo", handleProtocols: () => "chat" }).on("connection", (socket) =>
      socket.on("message", (data) => socket.send(data)),
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const backends = [{ id: "b", url: `http://127.0.0.1:${port}` }];
    await using running = await startEngine({ routes: [routeTo(["b"])], backends, certificates }, secure);
    const session = open(running.port);
    const [settings] = (await once(session, "remoteSettings")) as [{ enableConnectProtocol?: boolean }];
    assert.equal(settings.enableConnectProtocol, true);
    const connect = (path: string, over = {}) => ({
      ...{ ":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":path": path },
      ...{ "sec-websocket-version": "13", "sec-websocket-protocol": "chat", ...over },
    });
    const stream = session.request(connect("/echo"));
    const [fields] = (await once(stream, "response")) as [Record<string, unknown>];
    assert.deepEqual([fields[":status"], fields["sec-websocket-protocol"]], [200, "chat"]);
    assert.equal(fields["sec-websocket-accept"], undefined);
    let seen = "";
    stream.on("data", (part: Buffer) => {
      seen += part.toString("latin1");
    });
    for (const word of ["hello", "again"]) {
      stream.write(`\x82\x85\0\0\0\0${word}`, "latin1"); // masked with zeros
      while (!seen.endsWith(`\x82\x05${word}`)) await once(stream, "data");
    }
    assert.equal(running.engine.stats().tunnels, 1);
    stream.end();
    await once(stream, "close");
    const declined = session.request(connect("/else"));
    const [answer] = (await once(declined, "response")) as [Record<string, unknown>];
    assert.equal(answer[":status"], 400, "as the backend said it");
    session.destroy();
    server.closeAllConnections();
    server.close();
  });

  test("a client that resets its stream lets go of the backend", async () => {
    const closed = Promise.withResolvers<void>();
    await using backend = await startBackend("b", (socket) => {
      socket.resume();
      socket.on("close", () => closed.resolve());
    });
    await using running = await startEngine(
      { routes: [routeTo(["b"])], backends: [backend.settings()], certificates },
      secure,
    );
    const session = open(running.port);
    const stream = session.request({ ":path": "/" });
    stream.on("error", () => {});
    while (backend.sockets.size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    stream.close(8);
    await closed.promise;
    session.destroy();
  });
});
