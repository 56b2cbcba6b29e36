/**
 * The record: how one message body lies in a segment file. All numbers little-endian.
 *
 *   0        4        8          12      16
 *   | crc    | length | sequence | mark  | body … |
 *
 * - crc: CRC-32 over everything after it, begun from the segment's random salt instead of 0. So neither an old
 *   file's bytes nor a body that imitates a record passes for one, wherever a scan begins to look.
 * - sequence: offset minus the segment's base offset; dense.
 * - mark: position in this segment up to which everything was on the medium when this record was written.
 *   It is the evidence that tells damage from a torn tail (see scan.ts).
 */
import { crc32 } from "node:zlib";

export const recordHeaderBytes = 16;

/** Records as they lie in the file, kept in memory after the write so that near readers need no disk. */
export interface Block {
  /** Offset of the first record. */
  readonly base: number;
  readonly count: number;
  readonly bytes: Buffer;
  /** Where each record begins in `bytes`; one more entry for the end. */
  readonly starts: Uint32Array;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

function crcWord(state: number, word: number): number {
  let crc = state ^ word;
  for (let byte = 0; byte < 4; byte++) crc = (crc >>> 8) ^ crcTable[crc & 0xff]!;
  return crc;
}

/**
 * The CRC of header and body. The twelve header bytes are done here: a view on them, which zlib would need,
 * costs more than the whole loop, and the body is then taken where it lies.
 */
export function recordCrc(salt: number, length: number, sequence: number, mark: number, body: Uint8Array) {
  return crc32(body, ~crcWord(crcWord(crcWord(~salt, length), sequence), mark) >>> 0);
}

/** Lays the bodies out as consecutive records, in one buffer; the only time that they are copied. */
export function encodeBlock(
  place: { base: number; sequence: number; salt: number; mark: number },
  appends: readonly { bodies: readonly Uint8Array[]; sizeBytes: number }[],
): Block {
  let count = 0;
  let sizeBytes = 0;
  for (const append of appends) {
    count += append.bodies.length;
    sizeBytes += append.sizeBytes;
  }
  const bytes = Buffer.allocUnsafe(sizeBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, sizeBytes);
  const starts = new Uint32Array(count + 1);
  const { salt, mark } = place;
  let { sequence } = place;
  let at = 0;
  let index = 0;
  for (const { bodies } of appends) {
    for (const body of bodies) {
      starts[index++] = at;
      const length = body.length;
      view.setUint32(at, recordCrc(salt, length, sequence, mark, body), true);
      view.setUint32(at + 4, length, true);
      view.setUint32(at + 8, sequence++, true);
      view.setUint32(at + 12, mark, true);
      bytes.set(body, at + recordHeaderBytes);
      at += recordHeaderBytes + length;
    }
  }
  starts[index] = at;
  return { base: place.base, count, bytes, starts };
}

/** A block over bytes that hold whole records, all checked before. */
export function parseBlock(base: number, bytes: Buffer): Block {
  const starts = [0];
  for (let at = 0; at < bytes.length; starts.push(at)) at += recordHeaderBytes + bytes.readUInt32LE(at + 4);
  return { base, count: starts.length - 1, bytes, starts: Uint32Array.from(starts) };
}

/** The block without the records from `count` on; shares the bytes. */
export function shortenBlock(block: Block, count: number): Block {
  const starts = block.starts.subarray(0, count + 1);
  return { base: block.base, count, bytes: block.bytes.subarray(0, starts[count]!), starts };
}

/** The body of the block's record `index`, as a view. */
export function blockBody(block: Block, index: number): Buffer {
  return block.bytes.subarray(block.starts[index]! + recordHeaderBytes, block.starts[index + 1]!);
}
