/**
 * Writes to one side's socket what came from the other. Bytes go on from where they were read when their reader can
 * spare them; else a small part as a string, which is the cheapest copy, and a large one as a copy of its own.
 */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { lastChunk } from "./http1/write.ts";
import { Block, type Memory } from "./read-buffers.ts";

/** Who read the bytes. */
export interface Source {
  readonly memory: Memory;
}

/** Up to here bytes go with others in one string; beyond, a copy is dearer than a write. */
export const INLINE_MAX = 16_384;
/** Bytes that may wait to be written to one side before more are read from the other. */
const WAITING_MAX = 65_536;

/** What the kernel takes at once does not wait; what `write` answers it says before it has tried. */
export const flows = (socket: Duplex): boolean => socket.writableLength < WAITING_MAX;

export function pass(socket: Duplex, bytes: Buffer, { memory }: Source): void {
  if (memory === "fresh") socket.write(bytes);
  else if (memory instanceof Block && socket instanceof Socket) {
    memory.writes++;
    socket.write(bytes, memory.written);
    if (socket.writableLength > 0) memory.isLent = true;
  } else if (bytes.length <= INLINE_MAX) socket.write(bytes.toString("latin1"), "latin1");
  else socket.write(Buffer.from(bytes)); // a pair in memory says that bytes are taken while they wait at its other end
}

/** As a chunk; no bytes are no chunk, as that would be the last. */
export function passChunk(socket: Duplex, bytes: Buffer, from: Source): void {
  if (bytes.length === 0) return;
  if (bytes.length <= INLINE_MAX) {
    socket.write(chunkText(bytes), "latin1");
    return;
  }
  socket.cork();
  socket.write(`${bytes.length.toString(16)}\r\n`, "latin1");
  pass(socket, bytes, from);
  socket.write("\r\n", "latin1");
  socket.uncork();
}

export function chunkText(bytes: Buffer): string {
  return bytes.length === 0 ? "" : `${bytes.length.toString(16)}\r\n${bytes.toString("latin1")}\r\n`;
}

/** A whole body in chunks. */
export const wholeText = (bytes: Buffer): string => chunkText(bytes) + lastChunk("");
