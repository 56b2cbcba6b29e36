/**
 * What is written to one side's socket. Texts wait until the event loop has read from every connection that had
 * something, and go out together then: a peer that waits on another core is woken once for all of them and not for
 * each, and reading, deciding and writing each find their code and data still in the caches (ADR 0026).
 *
 * Bytes that come from the other side's socket go on from where they were read when their reader can spare them; else a
 * small part as text, which is the cheapest copy, and a large one as a copy of its own.
 */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { lastChunk } from "./http1/write.ts";
import { Block, type Memory } from "./read-buffers.ts";

/** Who read the bytes. */
export interface Source {
  readonly memory: Memory;
}

/** Up to here bytes go with others in one text; beyond, a copy is dearer than a write. */
export const INLINE_MAX = 16_384;
/** Bytes that may wait to be written to one side before more are read from the other. */
const WAITING_MAX = 65_536;

/** So many connections wait for one another at most: with thousands at work the first would wait for long. */
const TURN_MAX = 128;

/** Those of this thread that have a text waiting. */
let waiting: Outlet[] = [];

function wait(outlet: Outlet): void {
  const count = waiting.push(outlet);
  if (count === 1)
    setImmediate(flushAll); // runs when all that was ready has been read
  else if (count === TURN_MAX) flushAll();
}

function flushAll(): void {
  const outlets = waiting;
  waiting = [];
  for (const outlet of outlets) outlet.flush();
}

export class Outlet {
  readonly #socket: Duplex;
  #text = "";

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Characters up to U+00FF, a byte each. */
  write(text: string): void {
    const before = this.#text;
    this.#text = before + text;
    if (before === "") wait(this);
    else if (this.#text.length > INLINE_MAX) this.flush();
  }

  pass(bytes: Buffer, { memory }: Source): void {
    if (bytes.length <= INLINE_MAX && !(memory instanceof Block)) {
      this.write(bytes.toString("latin1"));
      return;
    }
    this.flush();
    const socket = this.#socket;
    if (memory === "fresh") socket.write(bytes);
    else if (memory instanceof Block && socket instanceof Socket) {
      memory.writes++;
      socket.write(bytes, memory.written);
      if (socket.writableLength > 0) memory.isLent = true;
    } else socket.write(Buffer.from(bytes)); // a pair in memory says that bytes are taken while they wait at its end
  }

  /** As a chunk; no bytes are no chunk, as that would be the last. */
  passChunk(bytes: Buffer, from: Source): void {
    if (bytes.length === 0) return;
    if (bytes.length <= INLINE_MAX) {
      this.write(chunkText(bytes));
      return;
    }
    const socket = this.#socket;
    socket.cork();
    this.write(`${bytes.length.toString(16)}\r\n`);
    this.pass(bytes, from);
    this.write("\r\n");
    this.flush();
    socket.uncork();
  }

  /**
   * What is written goes on at once, or nearly so. Only what the socket holds counts, as "drain" is told of no other;
   * what the kernel takes at once does not wait.
   */
  get flows(): boolean {
    return this.#socket.writableLength < WAITING_MAX;
  }

  /** Now, for who cannot wait for the end of the turn. */
  flush(): void {
    const text = this.#text;
    if (text === "") return;
    this.#text = "";
    if (!this.#socket.destroyed) this.#socket.write(text, "latin1");
  }

  /** `done` when all is written. */
  end(done?: () => void): void {
    this.flush();
    this.#socket.end(done);
  }

  /** What was written before still goes as far as the kernel takes it. */
  destroy(): void {
    this.flush();
    this.#socket.destroy();
  }
}

export function chunkText(bytes: Buffer): string {
  return bytes.length === 0 ? "" : `${bytes.length.toString(16)}\r\n${bytes.toString("latin1")}\r\n`;
}

/** A whole body in chunks. */
export const wholeText = (bytes: Buffer): string => chunkText(bytes) + lastChunk("");
