/**
 * The first 64 bytes of a segment file, and its name. All numbers little-endian.
 *
 *   0          8         12     16     24            32    36      64
 *   | HSLOGSEG | version | salt | base | bytesBefore | crc | zeros | records …
 *
 * The crc is the CRC-32 of the 32 bytes before it.
 */
import { crc32 } from "node:zlib";
import type { DiskFile } from "./disk.ts";

export const segmentHeaderBytes = 64;
const magic = Buffer.from("HSLOGSEG");
const formatVersion = 1;

export interface SegmentHeader {
  salt: number;
  base: number;
  /** Bytes of records and headers in all segments before this one, since the partition was made. */
  bytesBefore: number;
}

export function encodeHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(segmentHeaderBytes);
  magic.copy(bytes);
  bytes.writeUInt32LE(formatVersion, 8);
  bytes.writeUInt32LE(header.salt, 12);
  bytes.writeBigUInt64LE(BigInt(header.base), 16);
  bytes.writeBigUInt64LE(BigInt(header.bytesBefore), 24);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 32)), 32);
  return bytes;
}

/** The header, or undefined when it is not one. */
export async function readHeader(file: DiskFile): Promise<SegmentHeader | undefined> {
  const bytes = Buffer.alloc(segmentHeaderBytes);
  if ((await file.read(bytes, 0)) < segmentHeaderBytes) return undefined;
  if (!bytes.subarray(0, 8).equals(magic) || bytes.readUInt32LE(8) !== formatVersion) return undefined;
  if (bytes.readUInt32LE(32) !== crc32(bytes.subarray(0, 32))) return undefined;
  return {
    salt: bytes.readUInt32LE(12),
    base: Number(bytes.readBigUInt64LE(16)),
    bytesBefore: Number(bytes.readBigUInt64LE(24)),
  };
}

/** Sixteen digits hold every safe integer, so names sort as offsets do. */
export function segmentName(base: number): string {
  return `${String(base).padStart(16, "0")}.log`;
}

/** The base offset that a file name states; undefined for other files. */
export function segmentBase(name: string): number | undefined {
  return /^\d{16}\.log$/.test(name) ? Number(name.slice(0, 16)) : undefined;
}
