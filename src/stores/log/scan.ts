/**
 * Walks the records of a segment file, and tells a torn tail from damage.
 *
 * A power failure keeps any subset of the pages that were not yet synced, so a valid record behind an invalid
 * one proves nothing by itself. What proves something is a mark: each record states how far the file was on
 * the medium when the record was written, and a checkpoint beside the file states the same. With D the
 * greatest mark found anywhere, also behind a hole:
 *
 * - a hole that begins before D lies in bytes that a successful fdatasync had covered: damage, reported;
 * - a hole at or after D lies in bytes never known to be durable: a torn tail, cut off with all behind it.
 *
 * The remainder: damage to the very last synced group, before the next record or checkpoint (about a second)
 * states its mark, looks like a torn write. No log that syncs once per commit can tell these two apart.
 */
import type { DiskFile } from "./disk.ts";
import { recordCrc, recordHeaderBytes } from "./record.ts";
import type { SparseIndex } from "./sparse.ts";

const sliceBytes = 1024 * 1024;

/** Records that cannot be read. Sequences count from the segment's base; `to` is exclusive. */
export interface Damage {
  from: number;
  to: number;
  position: number;
  /** Where the next good record begins; the end of what was looked at when there is none. */
  resume: number;
}

export interface ScanInput {
  file: DiskFile;
  /** Look no further than this position. */
  size: number;
  salt: number;
  start: { sequence: number; position: number };
  /** Everything before this position is known to be durable; Infinity for a sealed segment. */
  durable: number;
  /** How many records the durable part holds, where that is known. */
  count?: number;
  index: SparseIndex;
}

export interface ScanResult {
  /** The position and sequence that follow the last record kept. */
  position: number;
  sequence: number;
  /** The first record kept that is not known to have been durable; what follows the last one if all are. */
  durable: { position: number; sequence: number };
  damage: Damage[];
}

/** A slice of the file that grows to hold what is asked for, so that most records cost no read. */
class Slice {
  bytes: Buffer = Buffer.alloc(0);
  position = 0;
  readonly #file: DiskFile;
  readonly #size: number;

  constructor(file: DiskFile, size: number) {
    this.#file = file;
    this.#size = size;
  }

  /** True when the slice now holds `length` bytes from `position`; false at the end of the file. */
  async hold(position: number, length: number): Promise<boolean> {
    if (this.holds(position, length)) return true;
    if (position + length > this.#size) return false;
    const wanted = Math.min(Math.max(length, sliceBytes), this.#size - position);
    const target = Buffer.allocUnsafe(wanted);
    const got = await this.#file.read(target, position);
    this.bytes = target.subarray(0, got);
    this.position = position;
    return got >= length;
  }

  holds(position: number, length: number): boolean {
    return position >= this.position && position + length <= this.position + this.bytes.length;
  }

  word(position: number): number {
    return this.bytes.readUInt32LE(position - this.position);
  }
}

/** The whole size of a valid record at the position, or 0. */
async function validRecord(slice: Slice, input: ScanInput, position: number, sequence: number) {
  if (!slice.holds(position, recordHeaderBytes) && !(await slice.hold(position, recordHeaderBytes))) return 0;
  const length = slice.word(position + 4);
  if (length === 0 || slice.word(position + 8) !== sequence) return 0;
  const size = recordHeaderBytes + length;
  if (!slice.holds(position, size) && !(await slice.hold(position, size))) return 0;
  const at = position - slice.position;
  const body = slice.bytes.subarray(at + recordHeaderBytes, at + size);
  const crc = recordCrc(input.salt, length, sequence, slice.word(position + 12), body);
  return crc === slice.word(position) ? size : 0;
}

/** The next valid record behind a hole; every byte may be its beginning. */
async function resynchronise(slice: Slice, input: ScanInput, hole: { sequence: number; position: number }) {
  let position = hole.position + 1;
  while (position + recordHeaderBytes < input.size) {
    if (!(await slice.hold(position, recordHeaderBytes))) return undefined;
    const { bytes, position: base } = slice;
    const last = base + bytes.length - recordHeaderBytes;
    for (; position <= last; position++) {
      const sequence = bytes.readUInt32LE(position - base + 8);
      if (sequence <= hole.sequence) continue;
      // Every record lost took a header and at least one byte.
      if (sequence - hole.sequence > (position - hole.position) / (recordHeaderBytes + 1)) continue;
      if (bytes.readUInt32LE(position - base + 12) > position) continue;
      const length = bytes.readUInt32LE(position - base + 4);
      if (position + recordHeaderBytes + length > input.size) continue;
      if ((await validRecord(slice, input, position, sequence)) > 0) return { sequence, position };
      if (slice.bytes !== bytes) break; // the look moved the slice: hold this position anew
    }
    if (slice.bytes !== bytes) position += 1;
  }
  return undefined;
}

export async function scan(input: ScanInput): Promise<ScanResult> {
  const slice = new Slice(input.file, input.size);
  const holes: Damage[] = [];
  let { sequence, position } = input.start;
  let durable = input.durable;
  /** Records not known to be durable so far; there are as many as were written between two syncs. */
  let doubtful: { position: number; sequence: number }[] = [];
  const wanted = durable === Number.POSITIVE_INFINITY ? input.count : undefined;
  while (position < input.size && sequence !== wanted) {
    const size = await validRecord(slice, input, position, sequence);
    if (size > 0) {
      const mark = slice.word(position + 12);
      if (mark > durable) {
        durable = mark;
        doubtful = doubtful.filter((record) => record.position >= mark);
      }
      if (position >= durable) doubtful.push({ position, sequence });
      input.index.add(sequence, position);
      position += size;
      sequence += 1;
      continue;
    }
    const next = await resynchronise(slice, input, { sequence, position });
    if (!next) break;
    holes.push({ from: sequence, to: next.sequence, position, resume: next.position });
    ({ sequence, position } = next);
  }
  const torn = holes.findIndex((hole) => hole.position >= durable);
  if (torn >= 0) {
    ({ from: sequence, position } = holes[torn]!);
    holes.length = torn;
  }
  input.index.cut(position);
  if (input.count !== undefined && sequence < input.count) {
    holes.push({ from: sequence, to: input.count, position, resume: input.size });
    sequence = input.count;
    position = input.size;
  }
  const first = doubtful[0];
  const known = first && first.position < position ? first : { position, sequence };
  return { position, sequence, durable: known, damage: holes };
}
