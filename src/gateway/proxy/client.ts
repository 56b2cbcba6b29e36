/**
 * One client's connection: reads requests one after the other, hands each to the exchange, and reads the next when the
 * answer is out, so pipelined requests are answered in their order. While a request is being answered, what else comes
 * is left in the kernel.
 *
 *   idle ─▶ head ─▶ busy ─▶ idle          busy ─▶ tunnel (101)
 *            │        └──▶ lingering ─▶ closed: the answer is out, the client may still be sending
 *            └ refused ──▶ lingering
 */
import type { Duplex } from "node:stream";
import { answerText } from "./answer.ts";
import type { ProxyContext } from "./context.ts";
import { Exchange } from "./exchange.ts";
import { ChunkedReader } from "./http1/chunked.ts";
import { type Head, INCOMPLETE, REFUSED } from "./http1/head.ts";
import { REFUSALS } from "./http1/refusal.ts";
import { fieldsOf } from "./http1/write.ts";
import { Outlet, type Source } from "./outlet.ts";
import type { Client } from "./peer.ts";
import type { Memory, Reader } from "./read-buffers.ts";

export interface ClientLimits {
  readonly headMs: number;
  readonly keepAliveMs: number;
  readonly bodyBytesPerSecondMin: number;
}

/** Who is at the other end, known when the connection is accepted. */
export interface Peer {
  readonly address: string;
  readonly isTrusted: boolean;
  readonly forwardedLines: string;
  readonly certificateLine: string;
  readonly ownLines: string;
  readonly isHttp2: boolean;
}

type State = "idle" | "head" | "busy" | "lingering" | "tunnel" | "closed";
type BodyMode = "none" | "length" | "chunked";

const INLINE_MAX = 65_536;
const LINGER_MS = 2000;
const LINGER_BYTES = 1_048_576;
/** While draining: a client that sends within this time is told that the connection ends, and loses no request. */
const QUIET_MS = 1000;

export class ClientConnection implements Client, Reader {
  readonly address: string;
  readonly isTrusted: boolean;
  readonly forwardedLines: string;
  readonly certificateLine: string;
  readonly ownLines: string;
  readonly exchange: Exchange;
  memory: Memory = "fresh";
  #socket!: Duplex;
  #out!: Outlet;
  readonly #context: ProxyContext;
  readonly #limits: ClientLimits;
  readonly #isHttp2: boolean;
  readonly #onClosed: (client: ClientConnection) => void;
  #state: State = "idle";
  #since: number;
  #pending: Buffer | undefined;
  /** What is being looked at is good for the call only. */
  #isView = false;
  #mode: BodyMode = "none";
  #left = 0;
  #chunks: ChunkedReader | undefined;
  #takesBody = false;
  #bodySince = 0;
  #bodyBytes = 0;
  #expectsContinue = false;
  #isReading = false;
  #isPaused = false;
  #hasEnded = false;
  #isDraining = false;
  #lingered = 0;
  #minor = 1;

  constructor(
    peer: Peer,
    context: ProxyContext,
    limits: ClientLimits,
    onClosed: (client: ClientConnection) => void,
  ) {
    this.#context = context;
    this.#limits = limits;
    this.#onClosed = onClosed;
    this.address = peer.address;
    this.isTrusted = peer.isTrusted;
    this.forwardedLines = peer.forwardedLines;
    this.certificateLine = peer.certificateLine;
    this.ownLines = peer.ownLines;
    this.#isHttp2 = peer.isHttp2;
    this.#since = context.now();
    this.exchange = new Exchange(context, this);
  }

  /** Once, before anything is read; bytes come by `read`. */
  attach(socket: Duplex): void {
    this.#socket = socket;
    this.#out = new Outlet(socket);
    socket.on("drain", () => this.exchange.onClientDrain());
    socket.on("end", () => this.#ended());
    socket.on("error", () => {}); // "close" follows
    socket.on("close", () => this.#closed());
  }

  get protocol(): "1.0" | "1.1" | "2" {
    return this.#isHttp2 ? "2" : this.#minor === 0 ? "1.0" : "1.1";
  }

  get isInBody(): boolean {
    return this.#state === "tunnel" || this.#takesBody;
  }

  read(bytes: Buffer, start: number, end: number): void {
    this.#isView = this.memory !== "fresh";
    if (this.#state === "idle") this.#readHeads(bytes, start, end);
    else this.#readMore(bytes.subarray(start, end));
  }

  #readMore(chunk: Buffer): void {
    switch (this.#state) {
      case "tunnel":
        if (!this.exchange.tunnel(chunk)) this.pause();
        return;
      case "busy":
        if (this.#takesBody) this.#readBody(chunk);
        else this.#keepForLater(chunk);
        return;
      case "lingering":
        this.#lingered += chunk.length;
        if (this.#lingered > LINGER_BYTES) this.#socket.destroy();
        return;
      case "head": {
        const all = this.#joined(chunk);
        this.#readHeads(all, 0, all.length);
      }
    }
  }

  #keepForLater(chunk: Buffer): void {
    this.#pending = this.#pending ? this.#joined(chunk) : this.#kept(chunk);
    this.pause();
  }

  /** Bytes that stay as they are after the call that brought them. */
  #kept(bytes: Buffer): Buffer {
    return this.#isView ? Buffer.from(bytes) : bytes;
  }

  #joined(chunk: Buffer): Buffer {
    const before = this.#takePending()!;
    return Buffer.concat([before, chunk]);
  }

  #takePending(): Buffer | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    this.#isView = false;
    return pending;
  }

  /** Reads requests while they are there and can be answered at once. */
  #readHeads(bytes: Buffer, start: number, end: number): void {
    this.#isReading = true;
    this.#readHead(bytes, start, end);
    // An exchange that is answered already has left us idle; what it left unread is next.
    while (this.#state === "idle") {
      const rest = this.#takePending();
      if (!rest) break;
      this.#readHead(rest, 0, rest.length);
    }
    this.#isReading = false;
    // Also when only a part of the next head is there: the rest of it must come in.
    if (this.#state === "idle" || this.#state === "head") this.resume();
  }

  #readHead(bytes: Buffer, start: number, end: number): void {
    const { request } = this.#context.heads;
    const at = request.parseRequest(bytes, start, end);
    if (at === INCOMPLETE) {
      if (this.#state === "idle") this.#since = this.#context.now();
      this.#state = "head";
      this.#pending = this.#kept(bytes.subarray(start, end));
    } else if (at === REFUSED) this.#refuse(request);
    else this.#accept(request, bytes, at, end);
  }

  #refuse(head: Head): void {
    const { refusal } = head;
    this.#context.refused(refusal);
    const [status, detail] = REFUSALS[refusal];
    const code = refusal === "target_too_long" || status === 431 ? "header_too_large" : "http_malformed";
    const how = { requestId: this.#context.ids.trace(), isHead: false, closes: true, fields: "" };
    this.write(answerText({ status, code, detail }, how));
    this.#linger();
  }

  /** bytes[at, end) came behind the head. */
  #accept(head: Head, bytes: Buffer, at: number, end: number): void {
    this.#state = "busy";
    this.#takesBody = false;
    this.#minor = head.minor;
    this.#expectsContinue = head.expectsContinue;
    if (this.#isDraining) head.keepAlive = false; // the answer says so
    this.#mode = head.chunked ? "chunked" : head.contentLength > 0 ? "length" : "none";
    const inline = this.#inline(head, bytes, at, end);
    if (inline === REFUSED) {
      this.#refuse(head);
      return;
    }
    if (this.#mode === "none" || inline) {
      this.exchange.begin(
        head,
        head.chunked ? "chunked" : head.contentLength > 0 ? "length" : "none",
        inline,
      );
      return;
    }
    this.#left = head.contentLength;
    this.#chunks = head.chunked ? new ChunkedReader() : undefined;
    if (at < end) this.#pending = this.#kept(bytes.subarray(at, end));
    this.pause();
    this.exchange.begin(head, this.#mode, undefined);
  }

  /** The whole body, when it came with its head; what comes behind it is pending then. */
  #inline(head: Head, bytes: Buffer, at: number, end: number): Buffer | typeof REFUSED | undefined {
    let next = at;
    let body: Buffer | undefined;
    if (this.#mode === "length" && head.contentLength <= INLINE_MAX && end - at >= head.contentLength) {
      next = at + head.contentLength;
      body = bytes.subarray(at, next);
      this.#mode = "none";
    } else if (this.#mode === "chunked" && at < end) {
      const chunks = new ChunkedReader();
      const parts: Buffer[] = [];
      next = chunks.read(bytes, at, end, parts);
      if (next < 0) {
        head.refusal = chunks.refusal!;
        return REFUSED;
      }
      if (chunks.done && this.#trailer(chunks) === undefined) {
        head.refusal = "trailer";
        return REFUSED;
      }
      // A trailer goes the long way.
      if (!chunks.done || chunks.trailer.length > 0) return undefined;
      body = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
      if (body.length > INLINE_MAX) return undefined;
      this.#mode = "none";
    } else if (this.#mode !== "none") return undefined;
    if (next < end) this.#pending = this.#kept(bytes.subarray(next, end));
    return body && this.#kept(body);
  }

  // The exchange's side

  takeBody(): void {
    if (this.#state !== "busy" || this.#mode === "none") return;
    this.#takesBody = true;
    this.#bodySince = this.#context.now();
    this.#bodyBytes = 0;
    if (this.#expectsContinue && !this.#pending) this.write("HTTP/1.1 100 Continue\r\n\r\n");
    this.#expectsContinue = false;
    const pending = this.#takePending();
    if (pending) this.#readBody(pending);
    if (this.#takesBody && !this.#pending) this.resume();
  }

  #readBody(bytes: Buffer): void {
    this.#bodyBytes += bytes.length;
    let end: number;
    let goesOn: boolean;
    if (this.#mode === "length") {
      end = Math.min(this.#left, bytes.length);
      this.#left -= end;
      const done = this.#left === 0;
      if (done) this.#mode = "none";
      if (end < bytes.length) this.#pending = this.#kept(bytes.subarray(end));
      goesOn = this.exchange.sendBody(end === bytes.length ? bytes : bytes.subarray(0, end), done, "");
    } else {
      const chunks = this.#chunks!;
      const parts: Buffer[] = [];
      end = chunks.read(bytes, 0, bytes.length, parts);
      if (end < 0) {
        this.exchange.refuseBody(chunks.refusal!);
        return;
      }
      const trailer = chunks.done ? this.#trailer(chunks) : "";
      if (trailer === undefined) {
        this.exchange.refuseBody("trailer");
        return;
      }
      if (chunks.done) this.#mode = "none";
      if (end < bytes.length) this.#pending = this.#kept(bytes.subarray(end));
      const body = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
      goesOn = body.length === 0 && !chunks.done ? true : this.exchange.sendBody(body, chunks.done, trailer);
    }
    if (this.#mode === "none") this.#takesBody = false;
    if (!goesOn || this.#pending) this.pause();
  }

  #trailer(chunks: ChunkedReader): string | undefined {
    if (chunks.trailer.length === 0) return "";
    const { trailer } = this.#context.heads;
    if (trailer.parseTrailer(chunks.trailer, 0, chunks.trailer.length) < 0) return undefined;
    return fieldsOf(trailer, this.#context.trailerDrop);
  }

  write(data: string): void {
    if (this.#state !== "closed") this.#out.write(data);
  }

  pass(bytes: Buffer, from: Source): void {
    if (this.#state !== "closed") this.#out.pass(bytes, from);
  }

  passChunk(bytes: Buffer, from: Source): void {
    if (this.#state !== "closed") this.#out.passChunk(bytes, from);
  }

  get flows(): boolean {
    return this.#state === "closed" || this.#out.flows;
  }

  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused || (this.#state === "busy" && !this.#takesBody)) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  becomeTunnel(): void {
    this.#state = "tunnel";
    const pending = this.#takePending();
    if (pending) this.exchange.tunnel(pending);
    this.resume();
  }

  done(keep: boolean): void {
    if (this.#state === "closed") return;
    if (this.#state === "tunnel" || !keep || this.#mode !== "none" || this.#hasEnded) {
      this.#linger();
      return;
    }
    this.#state = "idle";
    this.#since = this.#context.tick;
    if (this.#isReading) return;
    const pending = this.#takePending();
    if (pending) this.#readHeads(pending, 0, pending.length);
    else if (this.#isPaused) this.resume();
  }

  cut(): void {
    if (this.#state === "closed") return;
    this.#state = "lingering";
    this.#out.destroy();
  }

  // Closing at once would make the kernel throw away an answer that the client has not read yet.
  #linger(): void {
    this.#state = "lingering";
    this.#since = this.#context.now();
    this.#pending = undefined;
    this.#takesBody = false;
    // A slow reader has time to take what is written; the clock of lingering starts when it has.
    this.#out.end(() => {
      this.#since = this.#context.now();
    });
    this.#isPaused = false;
    this.#socket.resume();
  }

  #ended(): void {
    this.#hasEnded = true;
    if (this.#state === "idle" || this.#state === "head") this.#out.end();
    else if (this.#state === "tunnel" || (this.#state === "busy" && this.#mode !== "none"))
      this.exchange.abort("DC");
  }

  #closed(): void {
    const wasOpen = this.#state !== "closed";
    this.#state = "closed";
    this.exchange.abort("DC");
    if (wasOpen) this.#onClosed(this);
  }

  /** Called every tick. */
  checkDeadlines(now: number): void {
    const age = now - this.#since;
    const { headMs, keepAliveMs, bodyBytesPerSecondMin } = this.#limits;
    if (this.#state === "idle") {
      if (age > keepAliveMs) this.#socket.destroy();
      else if (this.#isDraining && age > QUIET_MS) this.#linger();
    } else if (this.#state === "head") {
      if (age > headMs) this.#late();
    } else if (this.#state === "lingering") {
      if (age > (this.#socket.writableFinished ? LINGER_MS : keepAliveMs)) this.#socket.destroy();
    } else if (this.#state === "busy" || this.#state === "tunnel") {
      const bodyMs = now - this.#bodySince - headMs;
      const isSlow = this.#takesBody && !this.#isPaused && bodyMs > 0;
      if (isSlow && this.#bodyBytes < (bodyBytesPerSecondMin * bodyMs) / 1000) this.exchange.bodyTooSlow();
      else this.exchange.checkDeadlines(now);
    }
  }

  #late(): void {
    const how = { requestId: this.#context.ids.trace(), isHead: false, closes: true, fields: "" };
    this.#context.countFlags(["DT"]);
    this.write(answerText({ status: 408, code: "request_timeout" }, how));
    this.#linger();
  }

  /**
   * The next answer whose head is not out yet is the last, and says so. Until then the connection stays: closed at
   * once, it would take the request with it that is on its way. Who is quiet is closed without one.
   */
  drain(): void {
    this.#isDraining = true;
    if (this.#state === "busy") this.exchange.closeAfter();
    else this.checkDeadlines(this.#context.now());
  }

  destroy(): void {
    this.#out.destroy();
  }
}
