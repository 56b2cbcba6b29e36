/**
 * A chunk: the records of one group commit, as the disk driver lays them out (record.ts), in one entry of a
 * stream. Redis keeps what it is given, but what lies between us and it is checked: every record has its CRC,
 * begun from the chunk's base offset, so that a chunk at another place is not taken for this one.
 */
import { type Block, encodeBlock, recordCrc, recordHeaderBytes } from "./record.ts";

const saltOf = (base: number) => base % 2 ** 32;

export function encodeChunk(
  base: number,
  appends: readonly { bodies: readonly Uint8Array[]; sizeBytes: number }[],
): Block {
  return encodeBlock({ base, sequence: 0, salt: saltOf(base), mark: 0 }, appends);
}

/** Undefined when the bytes are not exactly `count` whole records of this place. */
export function decodeChunk(base: number, count: number, bytes: Buffer): Block | undefined {
  const starts = new Uint32Array(count + 1);
  let at = 0;
  for (let index = 0; index < count; index++) {
    starts[index] = at;
    if (at + recordHeaderBytes > bytes.length) return undefined;
    const length = bytes.readUInt32LE(at + 4);
    const end = at + recordHeaderBytes + length;
    if (end > bytes.length) return undefined;
    const body = bytes.subarray(at + recordHeaderBytes, end);
    if (recordCrc(saltOf(base), length, index, 0, body) !== bytes.readUInt32LE(at)) return undefined;
    if (bytes.readUInt32LE(at + 8) !== index || bytes.readUInt32LE(at + 12) !== 0) return undefined;
    at = end;
  }
  starts[count] = at;
  return at === bytes.length ? { base, count, bytes, starts } : undefined;
}
