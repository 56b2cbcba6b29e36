/**
 * A WebSocket client (RFC 6455) over node:http. A message is copied once when it comes and not at all when it goes.
 * It knows what HotSwap needs: no extensions, no fragments out.
 *
 * Masking protects proxies from pages that choose the bytes on the wire (§10.3). No page runs here, and where nothing
 * can stand between (TLS, loopback) the mask is zero, which saves a pass over each byte on both sides.
 */
import { createHash, randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { http, https } from "./node-http.ts";
import { HotSwapConnectionError, problemOf } from "./problem.ts";
import type { OpenSocket, Socket, SocketEvents } from "./socket.ts";

const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const handshakeMs = 15_000;
const messageBytesMax = 256 << 20;
const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const refusals = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "ENOENT"]);

export const openNodeSocket: OpenSocket = ({ url, protocol, token }, events) => {
  const { protocol: scheme, hostname, host } = new URL(url);
  const isSecure = scheme === "wss:";
  const key = randomBytes(16).toString("base64");
  const request = (isSecure ? https : http).request(url.replace(/^ws/, "http"), {
    headers: {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": key,
      "sec-websocket-protocol": protocol,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    agent: false,
    timeout: handshakeMs,
  });
  const isShort = isSecure || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
  const socket = new NodeSocket(events, !isShort, () => request.destroy());
  const fail = (error: Error) => socket.end(1006, "", error);
  request.on("timeout", () => {
    request.destroy(new HotSwapConnectionError("timeout", `${host} did not answer in time`));
  });
  request.on("error", (error: NodeJS.ErrnoException) => {
    if (error instanceof HotSwapConnectionError) return fail(error);
    const failure = refusals.has(error.code ?? "") ? "refused" : "lost";
    return fail(new HotSwapConnectionError(failure, `${host} cannot be reached (${error.code})`, error));
  });
  request.on("response", (response) => void readRefusal(response).then(fail, fail));
  request.on("upgrade", (response, stream: Duplex, head: Buffer) => {
    const accept = createHash("sha1").update(`${key}${guid}`).digest("base64");
    if (response.headers["sec-websocket-accept"] === accept) socket.begin(stream, head);
    else {
      stream.destroy();
      fail(new HotSwapConnectionError("lost", `${host} does not speak WebSocket`));
    }
  });
  request.end();
  return socket;
};

async function readRefusal(response: IncomingMessage): Promise<Error> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return problemOf(response.statusCode!, Buffer.concat(chunks).toString(), response.headers["retry-after"]);
}

class NodeSocket implements Socket {
  readonly #events: SocketEvents;
  readonly #masks: boolean;
  readonly #giveUp: () => void;
  #stream: Duplex | undefined;
  #isOver = false;
  #rest: Buffer | undefined;
  /** The message whose bytes are coming. */
  #target: Buffer<ArrayBuffer> | undefined;
  #filled = 0;
  #opcode = 0;
  #isFinal = true;
  #fragments: { opcode: number; parts: Buffer[] } | undefined;

  constructor(events: SocketEvents, masks: boolean, giveUp: () => void) {
    this.#events = events;
    this.#masks = masks;
    this.#giveUp = giveUp;
  }

  get bufferedAmount(): number {
    return this.#stream?.writableLength ?? 0;
  }

  begin(stream: Duplex, head: Buffer): void {
    if (this.#isOver) return void stream.destroy();
    this.#stream = stream;
    stream.on("data", (chunk: Buffer) => this.#read(chunk));
    stream.on("error", () => {}); // ends in `close`
    stream.on("close", () => this.end(1006, ""));
    this.#events.onOpen();
    if (head.length > 0) this.#read(head);
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (typeof data === "string") this.#write(opcode.text, Buffer.from(data));
    else this.#write(opcode.binary, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }

  close(): void {
    if (!this.#stream) this.#giveUp();
    else if (!this.#isOver) this.#write(opcode.close, Buffer.from([0x03, 0xe8]));
    setTimeout(() => this.#stream?.destroy(), 1_000).unref();
  }

  end(code: number, reason: string, error?: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stream?.destroy();
    this.#events.onClose(code, reason, error);
  }

  #write(code: number, payload: Buffer): void {
    const stream = this.#stream;
    if (!stream?.writable) return;
    const { length } = payload;
    const lengthBytes = length < 126 ? 0 : length < 65_536 ? 2 : 8;
    const head = Buffer.alloc(2 + lengthBytes + 4);
    head[0] = 0x80 | code;
    head[1] = 0x80 | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127);
    if (lengthBytes === 2) head.writeUInt16BE(length, 2);
    if (lengthBytes === 8) head.writeBigUInt64BE(BigInt(length), 2);
    if (this.#masks) {
      randomBytes(4).copy(head, 2 + lengthBytes);
      mask(payload, head.subarray(2 + lengthBytes));
    }
    stream.cork();
    stream.write(head);
    stream.write(payload);
    stream.uncork();
  }

  #read(chunk: Buffer): void {
    let bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    this.#rest = undefined;
    while (bytes.length > 0 && !this.#isOver) {
      if (this.#target) bytes = this.#fill(bytes);
      else {
        const next = this.#readHead(bytes);
        if (!next) {
          this.#rest = bytes;
          return;
        }
        bytes = next;
      }
      if (this.#target && this.#filled === this.#target.length) this.#complete();
    }
  }

  /** What follows the head; undefined when it is not there yet. */
  #readHead(bytes: Buffer): Buffer | undefined {
    if (bytes.length < 2) return undefined;
    const short = bytes[1]! & 0x7f;
    const headBytes = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length < headBytes) return undefined;
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (bytes[1]! & 0x80 || bytes[0]! & 0x70 || length > messageBytesMax) {
      this.end(1002, "", new HotSwapConnectionError("lost", "the server sent what is no frame"));
      return undefined;
    }
    this.#isFinal = (bytes[0]! & 0x80) !== 0;
    this.#opcode = bytes[0]! & 0x0f;
    this.#target = Buffer.from(new ArrayBuffer(length));
    this.#filled = 0;
    return bytes.subarray(headBytes);
  }

  #fill(bytes: Buffer): Buffer {
    const copied = bytes.copy(this.#target!, this.#filled);
    this.#filled += copied;
    return bytes.subarray(copied);
  }

  #complete(): void {
    const payload = this.#target!;
    const code = this.#opcode;
    this.#target = undefined;
    if (code === opcode.ping) this.#write(opcode.pong, payload);
    else if (code === opcode.close) {
      this.#write(opcode.close, payload.subarray(0, 2));
      this.end(payload.length < 2 ? 1005 : payload.readUInt16BE(0), payload.toString("utf8", 2));
    } else if (code === opcode.continuation || !this.#isFinal) this.#gather(code, payload);
    else if (code !== opcode.pong) this.#emit(code, payload);
  }

  #gather(code: number, payload: Buffer): void {
    this.#fragments ??= { opcode: code, parts: [] };
    this.#fragments.parts.push(payload);
    if (!this.#isFinal) return;
    const { opcode: first, parts } = this.#fragments;
    this.#fragments = undefined;
    this.#emit(first, Buffer.concat(parts));
  }

  #emit(code: number, payload: Buffer): void {
    const bytes = payload as Buffer<ArrayBuffer>;
    if (code === opcode.text) this.#events.onMessage(payload.toString("utf8"));
    else this.#events.onMessage(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }
}

/** In place: what is sent is not used again. */
function mask(payload: Buffer, key: Buffer): void {
  for (let at = 0; at < payload.length; at++) payload[at]! ^= key[at & 3]!;
}
