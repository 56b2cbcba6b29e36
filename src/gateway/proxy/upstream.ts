/**
 * One connection to a backend: sends a request, reads its answer, and says what became of it to whoever waits
 * (a `Reply`). Never more than one request at a time. A connection that broke the protocol, spoke unasked, or has
 * more to say after its answer is closed and never used again.
 *
 * Bytes handed to a Reply are a view that is good for the call only, as read-buffers.ts says.
 */
import type { Duplex } from "node:stream";
import { ChunkedReader } from "./http1/chunked.ts";
import { F } from "./http1/grammar.ts";
import { type Head, INCOMPLETE, REFUSED } from "./http1/head.ts";
import { REFUSALS, type Refusal } from "./http1/refusal.ts";
import { Outlet, type Source } from "./outlet.ts";
import type { Memory, Reader } from "./read-buffers.ts";
import type { ResponseFlag } from "./records.ts";

/** How the body of an answer ends. */
export type Framing = "none" | "length" | "chunked" | "close";

export interface Reply {
  /** The request was HEAD: the answer has no body whatever its head says. */
  readonly isHead: boolean;
  /** All of the request was given to the connection. */
  readonly isSent: boolean;
  readonly wantsUpgrade: boolean;
  onConnected(): void;
  /** 1xx but 101. */
  onInform(head: Head): void;
  /** 101: from here on the socket is a tunnel. `rest` is what came behind the head. */
  onSwitch(head: Head, rest: Buffer): void;
  /** `body` is what of it is there; `done` when that is all. The connection is free then. */
  onHead(head: Head, framing: Framing, body: Buffer, done: boolean): void;
  onBody(body: Buffer, done: boolean, trailer: Buffer): void;
  onDrain(): void;
  onFail(upstream: Upstream, flag: ResponseFlag, message: string): void;
}

/** Whose connection it is. */
export interface Pool {
  readonly heads: { readonly answer: Head };
  /** The answer's `Keep-Alive`. */
  hint(keepAlive: string): void;
  /** It is free for another request. */
  release(upstream: Upstream): void;
  /** It is closed. `reason`: by the backend, and why. */
  forget(upstream: Upstream, reason?: string): void;
}

export const EMPTY: Buffer = Buffer.alloc(0);

export class Upstream implements Reader {
  readonly pool: Pool;
  socket!: Duplex;
  out!: Outlet;
  reply: Reply | undefined;
  connected = false;
  closed = false;
  /** Answers so far: more than none means that it is used again. */
  answers = 0;
  /** Something of the present answer is there. */
  heard = false;
  idleSince = 0;
  memory: Memory = "fresh";
  readonly openedAt: number;
  #inHead = true;
  #framing: Framing = "none";
  #left = 0;
  #chunks: ChunkedReader | undefined;
  #partial: Buffer | undefined;
  #keepAlive = false;
  #isTunnel = false;

  constructor(pool: Pool, now: number) {
    this.pool = pool;
    this.openedAt = now;
  }

  /** Attached once, when the socket exists; bytes come by `read`. */
  attach(socket: Duplex): void {
    this.socket = socket;
    this.out = new Outlet(socket);
    socket.on("drain", () => this.reply?.onDrain());
    socket.on("error", (error) => this.#lost(error.message));
    socket.on("end", () => this.#ended());
    socket.on("close", () => this.#lost("closed"));
  }

  onConnect(): void {
    this.connected = true;
    this.reply?.onConnected();
  }

  begin(reply: Reply): void {
    this.reply = reply;
    this.heard = false;
    this.#inHead = true;
  }

  /** A part of the request's body. `last` is what ends the chunks. */
  send(part: Buffer, from: Source, isChunked: boolean, last: string): void {
    const { out } = this;
    if (isChunked) out.passChunk(part, from);
    else if (part.length > 0) out.pass(part, from);
    if (isChunked && last !== "") out.write(last);
  }

  /** The head of an answer is there, and not yet its end. */
  get isInBody(): boolean {
    return this.reply !== undefined && !this.#inHead;
  }

  read(bytes: Buffer, start: number, end: number): void {
    const { reply } = this;
    if (!reply) {
      this.destroy();
      return;
    }
    this.heard = true;
    if (this.#isTunnel) reply.onBody(bytes.subarray(start, end), false, EMPTY);
    else if (!this.#partial) this.#readAll(reply, bytes, start, end);
    else {
      const all = Buffer.concat([this.#partial, bytes.subarray(start, end)]);
      this.#partial = undefined;
      this.#readAll(reply, all, 0, all.length);
    }
  }

  #readAll(reply: Reply, bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end && this.#inHead && this.reply === reply && !this.closed) {
      const { answer } = this.pool.heads;
      const next = answer.parseResponse(bytes, at, end);
      if (next === INCOMPLETE) this.#partial = Buffer.from(bytes.subarray(at, end));
      if (next === REFUSED) this.fail("UP", broken(answer.refusal));
      if (next < 0) return;
      if (answer.status === 101 || answer.status >= 200) {
        this.#answer(reply, answer, bytes, next, end);
        return;
      }
      reply.onInform(answer);
      at = next;
    }
    if (at < end && this.reply === reply && !this.closed) this.#readBody(reply, bytes, at, end);
  }

  #answer(reply: Reply, head: Head, bytes: Buffer, at: number, end: number): void {
    if (head.status !== 101) this.#begin(reply, head, bytes, at, end);
    else if (!reply.wantsUpgrade) this.fail("UP", "switched protocols unasked");
    else {
      this.#isTunnel = true;
      reply.onSwitch(head, Buffer.from(bytes.subarray(at, end)));
    }
  }

  #begin(reply: Reply, head: Head, bytes: Buffer, at: number, end: number): void {
    this.#inHead = false;
    this.#keepAlive = head.keepAlive;
    const framing = framingOf(head, reply.isHead);
    this.#framing = framing;
    const keepAlive = head.find(F.keepAlive);
    if (keepAlive >= 0) this.pool.hint(head.value(keepAlive));
    let body = EMPTY;
    let next = at;
    let done = framing === "none";
    if (framing === "length") {
      next = Math.min(end, at + head.contentLength);
      body = bytes.subarray(at, next);
      this.#left = head.contentLength - (next - at);
      done = this.#left === 0;
    } else if (framing === "chunked") {
      this.#chunks = new ChunkedReader();
      const parts: Buffer[] = [];
      next = this.#chunks.read(bytes, at, end, parts);
      if (next < 0) {
        this.fail("UP", broken(this.#chunks.refusal!));
        return;
      }
      body = joined(parts);
      done = this.#chunks.done;
      // The last chunk with a trailer goes the long way, so that onHead need not know of trailers.
      if (done && this.#chunks.trailer.length > 0) {
        reply.onHead(head, framing, body, false);
        if (this.reply === reply) this.#end(reply, EMPTY, next < end);
        return;
      }
    } else if (framing === "close") {
      body = bytes.subarray(at, end);
      next = end;
    }
    if (done) this.#free(reply, next < end);
    reply.onHead(head, framing, body, done);
  }

  #readBody(reply: Reply, bytes: Buffer, at: number, end: number): void {
    if (this.#framing === "length") {
      const next = Math.min(end, at + this.#left);
      this.#left -= next - at;
      const body = bytes.subarray(at, next);
      if (this.#left === 0) this.#end(reply, body, next < end);
      else reply.onBody(body, false, EMPTY);
    } else if (this.#framing === "chunked") {
      const chunks = this.#chunks!;
      const parts: Buffer[] = [];
      const next = chunks.read(bytes, at, end, parts);
      const body = joined(parts);
      if (next < 0) this.fail("UP", broken(chunks.refusal!));
      else if (chunks.done) this.#end(reply, body, next < end);
      else if (body.length > 0) reply.onBody(body, false, EMPTY);
    } else reply.onBody(bytes.subarray(at, end), false, EMPTY);
  }

  #end(reply: Reply, body: Buffer, hasMore: boolean): void {
    const trailer = this.#chunks?.trailer ?? EMPTY;
    this.#free(reply, hasMore);
    reply.onBody(body, true, trailer);
  }

  // Free before the reply hears of the end: it may want a connection for what is next.
  #free(reply: Reply, hasMore: boolean): void {
    this.answers++;
    this.reply = undefined;
    this.#chunks = undefined;
    const isReusable = this.#keepAlive && this.#framing !== "close" && !hasMore && reply.isSent;
    if (isReusable) this.pool.release(this);
    else this.destroy();
  }

  #ended(): void {
    if (this.closed) return;
    const { reply } = this;
    if (reply && !this.#inHead && this.#framing === "close") {
      this.#end(reply, EMPTY, false);
    } else if (reply && this.#isTunnel) reply.onBody(EMPTY, true, EMPTY);
    else this.#lost("ended early");
  }

  #lost(message: string): void {
    if (this.closed) return;
    if (!this.reply) this.destroy(message);
    else if (this.#isTunnel) {
      const { reply } = this;
      this.reply = undefined;
      this.destroy();
      reply.onBody(EMPTY, true, EMPTY);
    } else this.fail(this.connected ? "UC" : "UF", message);
  }

  /** Ends the connection, and its answer with it. */
  fail(flag: ResponseFlag, message: string): void {
    const { reply } = this;
    this.reply = undefined;
    this.destroy();
    reply?.onFail(this, flag, message);
  }

  /** `reason` is what the backend did to an idle connection. */
  destroy(reason?: string): void {
    if (this.closed) return;
    this.closed = true;
    this.reply = undefined;
    this.pool.forget(this, reason);
    this.out.destroy();
  }
}

const broken = (refusal: Refusal): string => `broke the protocol: ${REFUSALS[refusal][1]}`;

function framingOf(head: Head, isHead: boolean): Framing {
  if (isHead || head.status === 204 || head.status === 304 || head.contentLength === 0) return "none";
  if (head.chunked) return "chunked";
  return head.contentLength > 0 ? "length" : "close";
}

const joined = (parts: readonly Buffer[]): Buffer =>
  parts.length === 0 ? EMPTY : parts.length === 1 ? parts[0]! : Buffer.concat(parts);
