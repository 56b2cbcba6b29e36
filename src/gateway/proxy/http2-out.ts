/**
 * HTTP/2 to backends, gRPC among them. The other way round as http2-in.ts: an upstream writes HTTP/1.1 into a
 * connection in memory, and this end of it makes a stream of a shared session of that, and HTTP/1.1 of the answer.
 * Over https the protocol is agreed by ALPN; over http the backend must know it beforehand (h2c).
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
} from "node:http2";
import { type Duplex, duplexPair } from "node:stream";
import type { Backend } from "./backend.ts";
import { ChunkedReader } from "./http1/chunked.ts";
import { Head, REFUSED } from "./http1/head.ts";
import { fieldLines, fieldsOf } from "./http2-in.ts";
import type { Upstream } from "./upstream.ts";

const LIMITS = { headBytesMax: 65_536, headersMax: 200, targetBytesMax: 65_536 };

export class Http2Dialler {
  readonly #sessions = new Map<Backend, ClientHttp2Session>();

  dial(upstream: Upstream, backend: Backend, tls: object): void {
    const [ours, theirs] = duplexPair();
    ours.on("data", (chunk: Buffer) => upstream.read(chunk, 0, chunk.length));
    upstream.attach(ours);
    const session = this.#session(backend, tls);
    new Outgoing(session, theirs, ours, backend.endpoint.isTls ? "https" : "http");
    // One end of a pair does not close the other.
    ours.on("close", () => theirs.destroy());
    if (session.connecting) {
      session.once("connect", () => upstream.onConnect());
      session.once("close", () => upstream.fail(upstream.connected ? "UC" : "UF", "session closed"));
    } else queueMicrotask(() => upstream.onConnect());
  }

  #session(backend: Backend, tls: object): ClientHttp2Session {
    const known = this.#sessions.get(backend);
    if (known && !known.closed && !known.destroyed) return known;
    const session = connect(backend.settings.url, { ...tls, settings: { enablePush: false } });
    session.on("error", () => {}); // "close" follows
    session.on("goaway", () => this.#forget(backend, session));
    session.on("close", () => this.#forget(backend, session));
    session.setTimeout(backend.settings.idleMs ?? 60_000, () => session.close());
    session.unref();
    this.#sessions.set(backend, session);
    return session;
  }

  #forget(backend: Backend, session: ClientHttp2Session): void {
    if (this.#sessions.get(backend) === session) this.#sessions.delete(backend);
  }
}

/** One request, read from `socket`, as a stream of the session. */
class Outgoing {
  readonly #session: ClientHttp2Session;
  readonly #socket: Duplex;
  /** The upstream's end: destroyed when the answer cannot be whole. */
  readonly #far: Duplex;
  readonly #scheme: string;
  #pending: Buffer = Buffer.alloc(0);
  #stream: ClientHttp2Stream | undefined;
  #chunks: ChunkedReader | undefined;
  #left = 0;
  #trailer: Record<string, string> = {};

  constructor(session: ClientHttp2Session, socket: Duplex, far: Duplex, scheme: string) {
    this.#far = far;
    this.#session = session;
    this.#socket = socket;
    this.#scheme = scheme;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", () => {}); // "close" follows
    socket.on("close", () => this.#stream?.close());
    socket.on("drain", () => this.#stream?.resume());
  }

  #read(chunk: Buffer): void {
    if (this.#stream) {
      this.#body(chunk);
      return;
    }
    this.#pending = Buffer.concat([this.#pending, chunk]);
    const head = new Head(LIMITS);
    const at = head.parseRequest(this.#pending, 0, this.#pending.length);
    if (at === REFUSED || this.#session.destroyed) this.#far.destroy();
    if (at < 0 || this.#session.destroyed) return;
    this.#begin(head);
    const rest = this.#pending.subarray(at);
    if (rest.length > 0) this.#body(rest);
  }

  #begin(head: Head): void {
    const { host, ...fields } = fieldsOf(head);
    this.#chunks = head.chunked ? new ChunkedReader() : undefined;
    this.#left = Math.max(0, head.contentLength);
    const te = head.get("te") === "trailers" ? { te: "trailers" } : {};
    const pseudo = {
      ":method": head.method,
      ":path": head.target,
      ":scheme": this.#scheme,
      ":authority": host ?? "",
    };
    const hasBody = head.chunked || head.contentLength > 0;
    const stream = this.#session.request(
      { ...pseudo, ...fields, ...te },
      { endStream: !hasBody, waitForTrailers: hasBody },
    );
    this.#stream = stream;
    stream.on("error", () => this.#far.destroy());
    stream.on("close", () => {
      if (!this.#socket.writableEnded) this.#far.destroy();
    });
    stream.on("drain", () => this.#socket.resume());
    stream.on("wantTrailers", () => stream.sendTrailers(this.#trailer));
    stream.on("headers", (headers) =>
      this.#socket.write(`${statusLine(headers)}${linesOf(headers)}\r\n`, "latin1"),
    );
    stream.on("response", (headers, flags) =>
      this.#answer(stream, headers, (flags & 1) === 1, head.method === "HEAD"),
    );
  }

  #body(bytes: Buffer): void {
    const stream = this.#stream!;
    if (stream.destroyed || stream.writableEnded) return;
    let flows = true;
    let done: boolean;
    if (this.#chunks) {
      const parts: Buffer[] = [];
      this.#chunks.read(bytes, 0, bytes.length, parts);
      for (const part of parts) flows = stream.write(part);
      done = this.#chunks.done;
      if (done && this.#chunks.trailer.length > 0) {
        const head = new Head(LIMITS);
        if (head.parseTrailer(this.#chunks.trailer, 0, this.#chunks.trailer.length) > 0)
          this.#trailer = fieldsOf(head);
      }
    } else {
      this.#left -= bytes.length;
      flows = stream.write(bytes);
      done = this.#left <= 0;
    }
    if (done) stream.end();
    else if (!flows) this.#socket.pause();
  }

  #answer(stream: ClientHttp2Stream, headers: IncomingHttpHeaders, isOver: boolean, isHead: boolean): void {
    const socket = this.#socket;
    const status = Number((headers as Record<string, unknown>)[":status"]);
    const isBodiless = isHead || status === 204 || status === 304;
    const isChunked = !isBodiless && !isOver && headers["content-length"] === undefined;
    const length =
      isOver && !isBodiless && headers["content-length"] === undefined ? "Content-Length: 0\r\n" : "";
    const framing = isChunked ? "Transfer-Encoding: chunked\r\n" : length;
    socket.write(`${statusLine(headers)}${linesOf(headers)}${framing}\r\n`, "latin1");
    let trailer = "";
    stream.on("trailers", (trailers) => {
      trailer = linesOf(trailers);
    });
    stream.on("data", (part: Buffer) => {
      if (isChunked) socket.write(`${part.length.toString(16)}\r\n`, "latin1");
      const flows = socket.write(part);
      if (isChunked) socket.write("\r\n", "latin1");
      if (!flows) stream.pause();
    });
    stream.on("end", () => {
      if (isChunked && stream.rstCode === 0) socket.write(`0\r\n${trailer}\r\n`, "latin1");
      if (stream.rstCode === 0) socket.end();
    });
  }
}

const statusLine = (headers: IncomingHttpHeaders) =>
  `HTTP/1.1 ${String((headers as Record<string, unknown>)[":status"])} \r\n`;

function linesOf(headers: IncomingHttpHeaders): string {
  const raw = Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).flatMap((one) => [name, String(one)]),
  );
  return fieldLines(raw);
}
