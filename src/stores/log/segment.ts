/**
 * One segment file: a header (header.ts), then records (record.ts) up to the end of the file. Its name is its base
 * offset. A segment answers for the offsets from its base to the base of the segment that follows it; what its
 * file holds beyond that is dead. Beside it lies a checkpoint (checkpoint.ts) that saves scanning.
 */
import { HotSwapError } from "../../core/errors.ts";
import { encodeCheckpoint, readCheckpoint } from "./checkpoint.ts";
import { type Disk, type DiskFile, writeWhole } from "./disk.ts";
import type { OpenFiles } from "./files.ts";
import { readHeader, type SegmentHeader, segmentHeaderBytes, segmentName } from "./header.ts";
import type { LogRecord } from "./port.ts";
import type { ReadRange } from "./range.ts";
import { recordCrc, recordHeaderBytes } from "./record.ts";
import { type Damage, scan } from "./scan.ts";
import { indexStepBytes, SparseIndex } from "./sparse.ts";

const sliceLimitBytes = 1024 * 1024;

/** What is known of a segment once its file has been looked at. */
export interface SegmentContent {
  salt: number;
  bytesBefore: number;
  index: SparseIndex;
  damage: Damage[];
  /** Position that follows the last record. */
  position: number;
}

/** Where segments are read from. */
export interface Source {
  readonly disk: Disk;
  readonly files: OpenFiles;
}

/** Which partition a segment belongs to: the name for people, the folder for the disk. */
export interface Place {
  readonly name: string;
  readonly folder: string;
}

export class Segment {
  readonly place: Place;
  readonly base: number;
  /** Offset that follows the last record; for a sealed segment the base of the next. */
  end: number;
  /** Undefined until a sealed segment is first read. */
  content: SegmentContent | undefined;
  #loading: Promise<SegmentContent> | undefined;
  /** What the checkpoint on the disk states: the end and how many stretches of damage. */
  #checkpointed = "";

  constructor(place: Place, base: number, end: number, content?: SegmentContent) {
    this.place = place;
    this.base = base;
    this.end = end;
    this.content = content;
  }

  get path(): string {
    return `${this.place.folder}/${segmentName(this.base)}`;
  }

  get checkpointPath(): string {
    return this.path.replace(/log$/, "index");
  }

  /** Loads what is known of a sealed segment, from its checkpoint or by a scan of the file. */
  async load(source: Source): Promise<SegmentContent> {
    if (this.content) return this.content;
    this.#loading ??= this.#load(source).finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #load(source: Source): Promise<SegmentContent> {
    const { files } = source;
    const lease = await files.lease(this.path);
    try {
      const header = await readHeader(lease.file);
      if (!header || header.base !== this.base) {
        throw this.corrupt(this.base, 0, "its header is damaged", this.end);
      }
      const checkpoint = await readCheckpoint(source.disk, this.checkpointPath, header.salt);
      if (checkpoint?.count === this.end - this.base && checkpoint.position <= lease.file.size) {
        const { index, damage, position } = checkpoint;
        this.content = { salt: header.salt, bytesBefore: header.bytesBefore, index, damage, position };
        this.hasCheckpoint();
      } else {
        this.content = await this.#scanSealed(lease.file, header);
        await this.checkpoint(source.disk);
      }
      return this.content;
    } finally {
      files.release(lease);
    }
  }

  /**
   * Puts down what is known of the segment, all of which must be durable. Whole or not at all: the checkpoint
   * before it still proves something.
   */
  async checkpoint(disk: Disk): Promise<void> {
    if (!this.content || this.#checkpointed === this.#state()) return;
    const { salt, position, index, damage } = this.content;
    const state = this.#state();
    const bytes = encodeCheckpoint(salt, { position, count: this.end - this.base, index, damage });
    try {
      await writeWhole(disk, `${this.checkpointPath}.new`, bytes);
      await disk.rename(`${this.checkpointPath}.new`, this.checkpointPath);
      this.#checkpointed = state;
    } catch {
      // A checkpoint saves time and gives evidence; the log is whole without it.
    }
  }

  /** The checkpoint on the disk states just what is known. */
  hasCheckpoint(): void {
    this.#checkpointed = this.#state();
  }

  #state(): string {
    return `${this.end} ${this.content?.damage.length}`;
  }

  async #scanSealed(file: DiskFile, header: SegmentHeader): Promise<SegmentContent> {
    const index = new SparseIndex(segmentHeaderBytes);
    const found = await scan({
      file,
      size: file.size,
      salt: header.salt,
      start: { sequence: 0, position: segmentHeaderBytes },
      durable: Number.POSITIVE_INFINITY,
      count: this.end - this.base,
      index,
    });
    const { salt, bytesBefore } = header;
    return { salt, bytesBefore, index, damage: found.damage, position: found.position };
  }

  /** `next` is the first offset behind the damage. */
  corrupt(offset: number, position: number, what: string, next: number): HotSwapError {
    const segment = segmentName(this.base);
    const partition = this.place.name;
    return new HotSwapError(
      "log_corrupt",
      `Partition ${partition}, segment ${segment}, offset ${offset} (byte ${position}): ${what}.`,
      { data: { partition, segment, offset, position, next } },
    );
  }

  /** Adds records from `range.from` on, from one slice of the file: at least one, or rejects. All CRCs are checked. */
  async read(source: Source, range: ReadRange, out: LogRecord[]): Promise<void> {
    const content = await this.load(source);
    const lease = await source.files.lease(this.path);
    try {
      const bad = await this.#readSlice(lease.file, content, range, out);
      if (!bad) return;
      await this.#examine(lease.file, content);
      const still = await this.#readSlice(lease.file, content, range, out);
      // The scan found nothing wrong with what the reader has refused twice: no reason to believe either.
      if (still) throw this.corrupt(still.offset, still.position, "the record is damaged", still.offset + 1);
    } finally {
      source.files.release(lease);
    }
  }

  /** Finds out exactly which records are damaged, once a reader has met one. */
  async #examine(file: DiskFile, content: SegmentContent): Promise<void> {
    const found = await scan({
      file,
      size: Math.min(file.size, content.position),
      salt: content.salt,
      start: { sequence: 0, position: segmentHeaderBytes },
      durable: Number.POSITIVE_INFINITY,
      count: this.end - this.base,
      index: new SparseIndex(segmentHeaderBytes),
    });
    content.damage = found.damage;
  }

  /** Resolves to the first place that does not hold the record expected there, when none could be added. */
  async #readSlice(file: DiskFile, content: SegmentContent, range: ReadRange, out: LogRecord[]) {
    const size = Math.min(file.size, content.position);
    const end = Math.min(range.to, this.end);
    let { position, sequence } = this.#locate(content, range.from);
    let slice = await readSlice(file, position, this.#guess(content, range), size);
    const before = out.length;
    for (let at = 0; this.base + sequence < end && range.records > 0 && range.bytes > 0; ) {
      if (content.damage.some((damage) => damage.from === sequence)) break;
      const known = at + recordHeaderBytes <= slice.length;
      const length = known ? slice.readUInt32LE(at + 4) : 0;
      const recordBytes = recordHeaderBytes + length;
      if (at + recordBytes > slice.length) {
        if (out.length > before || position + recordBytes > size) break;
        // The slice ends within the first record wanted: one more, from there, and as long as it must be.
        slice = await readSlice(file, position, Math.max(recordBytes, 4096), size);
        at = 0;
        if (slice.length < recordBytes) break;
        continue;
      }
      if (length === 0 || slice.readUInt32LE(at + 8) !== sequence) break;
      if (this.base + sequence >= range.from) {
        const body = slice.subarray(at + recordHeaderBytes, at + recordBytes);
        const crc = recordCrc(content.salt, length, sequence, slice.readUInt32LE(at + 12), body);
        if (crc !== slice.readUInt32LE(at)) break;
        out.push({ offset: this.base + sequence, body });
        range.from += 1;
        range.records -= 1;
        range.bytes -= length;
      }
      at += recordBytes;
      position += recordBytes;
      sequence += 1;
    }
    return out.length > before ? undefined : { offset: this.base + sequence, position };
  }

  /** Where to begin for an offset: the index entry, or the end of a damaged stretch when that is nearer. */
  #locate(content: SegmentContent, offset: number): { sequence: number; position: number } {
    const sequence = offset - this.base;
    let place = content.index.find(sequence);
    for (const damage of content.damage) {
      if (sequence >= damage.from && sequence < damage.to) {
        throw this.corrupt(offset, damage.position, "the record is damaged", this.base + damage.to);
      }
      if (damage.to <= sequence && damage.to > place.sequence) {
        place = { sequence: damage.to, position: damage.resume };
      }
    }
    return place;
  }

  /** How much to read at once: what the limits ask for at this segment's mean record size. */
  #guess(content: SegmentContent, range: ReadRange): number {
    const mean = Math.ceil((content.position - segmentHeaderBytes) / Math.max(1, this.end - this.base));
    const wanted = Math.min(range.records * mean, range.bytes + range.records * recordHeaderBytes);
    return Math.min(sliceLimitBytes, wanted + mean + indexStepBytes);
  }
}

async function readSlice(file: DiskFile, position: number, length: number, size: number): Promise<Buffer> {
  const target = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - position)));
  return target.subarray(0, await file.read(target, position));
}
