/**
 * The checkpoint of a segment: how far it was durable when this was written, how many records that is, its
 * sparse index, and the damage known. Written when a segment is sealed, when a partition falls idle and when
 * the store stops. It is never synced and may be missing or torn: all of it but the claim of durability can be
 * found again by scanning, and the claim is true whenever it can be read.
 *
 *   | HSLOGIDX | version | salt | position | count | damages | entries | words … | crc |
 */
import { crc32 } from "node:zlib";
import { type Disk, isMissing, withFile } from "./disk.ts";
import { segmentHeaderBytes } from "./header.ts";
import type { Damage } from "./scan.ts";
import { SparseIndex } from "./sparse.ts";

const magic = Buffer.from("HSLOGIDX");
const formatVersion = 1;
const headBytes = 32;

export interface Checkpoint {
  position: number;
  count: number;
  index: SparseIndex;
  damage: Damage[];
}

export function encodeCheckpoint(salt: number, checkpoint: Checkpoint): Buffer {
  const words = checkpoint.index.toWords();
  const bytes = Buffer.alloc(headBytes + checkpoint.damage.length * 16 + words.length * 4 + 4);
  magic.copy(bytes);
  bytes.writeUInt32LE(formatVersion, 8);
  bytes.writeUInt32LE(salt, 12);
  bytes.writeUInt32LE(checkpoint.position, 16);
  bytes.writeUInt32LE(checkpoint.count, 20);
  bytes.writeUInt32LE(checkpoint.damage.length, 24);
  bytes.writeUInt32LE(words.length, 28);
  let at = headBytes;
  for (const { from, to, position, resume } of checkpoint.damage) {
    for (const word of [from, to, position, resume]) at = bytes.writeUInt32LE(word, at);
  }
  for (const word of words) at = bytes.writeUInt32LE(word, at);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, at)), at);
  return bytes;
}

function decode(bytes: Buffer, salt: number): Checkpoint | undefined {
  if (bytes.length < headBytes + 4 || !bytes.subarray(0, 8).equals(magic)) return undefined;
  const end = bytes.length - 4;
  if (bytes.readUInt32LE(end) !== crc32(bytes.subarray(0, end))) return undefined;
  if (bytes.readUInt32LE(8) !== formatVersion || bytes.readUInt32LE(12) !== salt) return undefined;
  const damages = bytes.readUInt32LE(24);
  const entries = bytes.readUInt32LE(28);
  if (headBytes + damages * 16 + entries * 4 !== end) return undefined;
  const words = Array.from({ length: damages * 4 + entries }, (_, i) =>
    bytes.readUInt32LE(headBytes + i * 4),
  );
  const damage = Array.from({ length: damages }, (_, i) => {
    const [from, to, position, resume] = words.slice(i * 4, i * 4 + 4) as [number, number, number, number];
    return { from, to, position, resume };
  });
  const index = SparseIndex.fromWords(segmentHeaderBytes, Uint32Array.from(words.slice(damages * 4)));
  return { position: bytes.readUInt32LE(16), count: bytes.readUInt32LE(20), index, damage };
}

/** The checkpoint at the path, when there is a whole one that belongs to the segment with this salt. */
export async function readCheckpoint(
  disk: Disk,
  path: string,
  salt: number,
): Promise<Checkpoint | undefined> {
  try {
    return await withFile(disk, path, async (file) => {
      const bytes = Buffer.allocUnsafe(file.size);
      return (await file.read(bytes, 0)) === bytes.length ? decode(bytes, salt) : undefined;
    });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
