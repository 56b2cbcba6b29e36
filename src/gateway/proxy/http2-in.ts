/**
 * HTTP/2 from clients: each stream becomes a message of the one normal form, HTTP/1.1, on a connection in memory, and
 * goes through the same codec, policies and proxying as every other request; its answer comes back the same way. That
 * costs more than a path of its own would, and leaves one place where a message can be misread.
 *
 * A WebSocket is an extended CONNECT here (RFC 8441) and an upgrade there: the key that HTTP/1.1 asks for is made here,
 * and the backend's answer to it is checked here, since the client will not see it.
 */
import { createHash } from "node:crypto";
import {
  constants,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { duplexPair } from "node:stream";
import { F, HOP_BY_HOP } from "./http1/grammar.ts";
import { Head } from "./http1/head.ts";
import type { Ids } from "./ids.ts";
import { type Pool, type Reply, Upstream } from "./upstream.ts";

/** Gives a connection to the proxy, as if a client had made it. */
export type Accept = (socket: ReturnType<typeof duplexPair>[number]) => void;

export interface Http2Limits {
  readonly headBytesMax: number;
  readonly headersMax: number;
  readonly streamsMax: number;
}

const HEAD_LIMITS = { headBytesMax: 65_536, headersMax: 200, targetBytesMax: 0 };

export function serveHttp2(
  socket: Socket,
  limits: Http2Limits,
  accept: Accept,
  ids: Pick<Ids, "trace">,
): ServerHttp2Session {
  const session = performServerHandshake(socket, {
    maxHeaderListPairs: limits.headersMax,
    maxSessionInvalidFrames: 20,
    maxSessionRejectedStreams: 20,
    settings: {
      maxConcurrentStreams: limits.streamsMax,
      maxHeaderListSize: limits.headBytesMax,
      enablePush: false,
      enableConnectProtocol: true,
    },
  }) as ServerHttp2Session;
  session.on("error", () => {}); // "close" follows
  session.on("stream", (stream, headers, flags, rawHeaders) => {
    const hasBody = (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0;
    const isWebSocket = headers[":method"] === "CONNECT" && headers[":protocol"] === "websocket";
    const key = isWebSocket ? Buffer.from(ids.trace(), "hex").toString("base64") : undefined;
    new Http2Stream(stream, accept, key).begin(headers, rawHeaders as unknown as string[], hasBody);
  });
  return session;
}

class Http2Stream implements Reply {
  isHead = false;
  readonly isSent = true;
  readonly wantsUpgrade: boolean;
  /** Of a WebSocket. */
  readonly #key: string | undefined;
  readonly #stream: ServerHttp2Stream;
  readonly #accept: Accept;
  #trailer: Record<string, string> = {};
  #upstream: Upstream | undefined;

  constructor(stream: ServerHttp2Stream, accept: Accept, key: string | undefined) {
    this.wantsUpgrade = key !== undefined;
    this.#key = key;
    this.#stream = stream;
    this.#accept = accept;
  }

  begin(headers: Readonly<Record<string, unknown>>, rawHeaders: readonly string[], hasBody: boolean): void {
    const stream = this.#stream;
    const method = this.#key === undefined ? String(headers[":method"]) : "GET";
    this.isHead = method === "HEAD";
    stream.on("error", () => {}); // "close" follows
    const [ours, theirs] = duplexPair();
    const pool: Pool = {
      heads: { answer: new Head(HEAD_LIMITS) },
      hint: () => {},
      release: (upstream) => upstream.destroy(),
      forget: () => {},
    };
    const upstream = new Upstream(pool, 0);
    this.#upstream = upstream;
    upstream.connected = true;
    ours.on("data", (chunk: Buffer) => upstream.read(chunk, 0, chunk.length));
    upstream.attach(ours);
    upstream.begin(this);
    this.#accept(theirs);
    // One end of a pair does not close the other.
    stream.on("close", () => {
      upstream.destroy();
      theirs.destroy();
    });
    stream.on("drain", () => ours.resume());
    const host = String(headers[":authority"] ?? headers.host ?? "");
    const isChunked = hasBody && !this.#key && headers["content-length"] === undefined;
    const lines = `${method} ${String(headers[":path"])} HTTP/1.1\r\nHost: ${host}\r\n${fieldLines(rawHeaders)}`;
    const upgrade = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${this.#key}\r\n`;
    const framing = isChunked ? "Transfer-Encoding: chunked\r\n" : this.#key ? upgrade : "";
    ours.write(`${lines}${framing}\r\n`, "latin1");
    if (hasBody && !this.#key) this.#pump(isChunked);
  }

  #pump(isChunked: boolean): void {
    const stream = this.#stream;
    const { socket } = this.#upstream!;
    let trailer = "";
    stream.on("data", (part: Buffer) => {
      if (isChunked) socket.write(`${part.length.toString(16)}\r\n`, "latin1");
      const flows = socket.write(part);
      if (isChunked) socket.write("\r\n", "latin1");
      if (!flows) stream.pause();
    });
    socket.on("drain", () => stream.resume());
    stream.on("trailers", (_trailers, _flags, raw) => {
      trailer = fieldLines(raw as unknown as string[]);
    });
    stream.on("end", () => {
      if (socket.destroyed) return;
      if (isChunked) socket.write(`0\r\n${trailer}\r\n`, "latin1");
      if (this.#key) socket.end();
    });
  }

  onConnected(): void {}

  onInform(head: Head): void {
    if (!this.#stream.headersSent)
      this.#stream.additionalHeaders({ ":status": head.status, ...fieldsOf(head) });
  }

  onSwitch(head: Head, rest: Buffer): void {
    const stream = this.#stream;
    if (head.get("sec-websocket-accept") !== acceptOf(this.#key!)) {
      this.#refuse();
      return;
    }
    const { "sec-websocket-accept": _, ...fields } = fieldsOf(head);
    stream.respond({ ":status": 200, ...fields });
    if (rest.length > 0) this.onBody(rest, false, EMPTY);
    this.#pump(false);
  }

  /** What the backend says to a CONNECT cannot be told to the client as it is. */
  #refuse(): void {
    this.#stream.respond({ ":status": 502 }, { endStream: true });
    this.#upstream?.destroy();
  }

  onHead(head: Head, _framing: unknown, body: Buffer, done: boolean): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.headersSent) return;
    // Any 2xx would mean that the WebSocket is open.
    if (this.#key && head.status < 300) {
      this.#refuse();
      return;
    }
    stream.respond(
      { ":status": head.status, ...fieldsOf(head) },
      { endStream: done && body.length === 0, waitForTrailers: !done },
    );
    stream.on("wantTrailers", () => stream.sendTrailers(this.#trailer));
    if (!(done && body.length === 0)) this.onBody(body, done, EMPTY);
  }

  onBody(body: Buffer, done: boolean, trailer: Buffer): void {
    const stream = this.#stream;
    if (stream.destroyed) return;
    if (trailer.length > 0) {
      const head = new Head({ headBytesMax: 8192, headersMax: 64, targetBytesMax: 0 });
      if (head.parseTrailer(trailer, 0, trailer.length) > 0) this.#trailer = fieldsOf(head);
    }
    // A view on a shared buffer would be written over before it is sent.
    if (body.length > 0 && !stream.write(Buffer.from(body)) && !done) this.#upstream?.socket.pause();
    if (done) stream.end();
  }

  onDrain(): void {}

  onFail(): void {
    this.#reset();
  }

  #reset(): void {
    if (!this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }
}

const EMPTY: Buffer = Buffer.alloc(0);

/** RFC 6455 §4.2.2. */
const acceptOf = (key: string) =>
  createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");

/** Fields of one hop have no place in HTTP/2 (RFC 9113 §8.2.2), the key of a WebSocket is ours. */
const FOREIGN = new Set([
  "connection",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "sec-websocket-key",
  "transfer-encoding",
  "upgrade",
]);

/** Cookies that HTTP/2 cut into crumbs become one field again (RFC 9113 §8.2.3). */
export function fieldLines(raw: readonly string[]): string {
  let lines = "";
  const cookies: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    if (name.startsWith(":") || FOREIGN.has(name)) continue;
    if (name === "cookie") cookies.push(value);
    else lines += `${name}: ${value}\r\n`;
  }
  return cookies.length > 0 ? `${lines}cookie: ${cookies.join("; ")}\r\n` : lines;
}

/** Names in lower case; several of one name as a list. */
export function fieldsOf(head: Head): Record<string, string> {
  const fields: Record<string, string | string[]> = {};
  for (let i = 0; i < head.count; i++) {
    const field = head.field[i]!;
    if (HOP_BY_HOP[field] && field !== F.trailer) continue;
    const name = head.name(i).toLowerCase();
    const known = fields[name];
    if (known === undefined) fields[name] = head.value(i);
    else fields[name] = [...(Array.isArray(known) ? known : [known]), head.value(i)];
  }
  return fields as Record<string, string>;
}
