/**
 * The segment files of one partition, in order; the last one is written to. This file knows how bytes get onto
 * the disk and how a segment begins; who waits for them and what readers may see is partition.ts's affair.
 *
 * A segment comes into being whole: written and synced under another name, then renamed, then the folder is
 * synced. So a name that ends in `.log` always has a valid header, and what a crash leaves is a `.new` file.
 */
import type { LogContext } from "./context.ts";
import { withFile, writeWhole } from "./disk.ts";
import type { Lease } from "./files.ts";
import { encodeHeader, readHeader, segmentHeaderBytes } from "./header.ts";
import type { LogRecord } from "./port.ts";
import type { ReadRange } from "./range.ts";
import { type Block, blockBody, encodeBlock } from "./record.ts";
import { type Place, Segment, type SegmentContent } from "./segment.ts";
import { SparseIndex } from "./sparse.ts";

export class SegmentChain {
  readonly #context: LogContext;
  readonly #place: Place;
  #segments: Segment[];
  #active: Segment | undefined;
  #lease: Lease | undefined;
  /** Header field `bytesBefore` of the first segment. */
  #bytesBeforeFirst: number;
  /** A following segment may have its name already: nothing written to the active one would count any more. */
  #halfBegun = false;
  /** No segment has been deleted since the folder was synced; unknown of the process before. */
  #namesDurable = false;
  /** Everything below this offset, and before this position of the active segment, is on the medium. */
  #durable: { offset: number; position: number };

  constructor(
    context: LogContext,
    place: Place,
    segments: Segment[],
    bytesBeforeFirst: number,
    durable: { offset: number; position: number },
  ) {
    this.#context = context;
    this.#place = place;
    this.#segments = segments;
    this.#active = segments.at(-1);
    this.#bytesBeforeFirst = bytesBeforeFirst;
    this.#durable = durable;
  }

  get start(): number {
    return this.#segments[0]?.base ?? 0;
  }

  /** Offset that follows the last record written. */
  get end(): number {
    return this.#active?.end ?? 0;
  }

  get bytes(): number {
    const content = this.#active?.content;
    return content ? content.bytesBefore + content.position - this.#bytesBeforeFirst : 0;
  }

  get durable(): { readonly offset: number; readonly position: number } {
    return this.#durable;
  }

  /** True when the next group belongs into a fresh segment. */
  get isFull(): boolean {
    const content = this.#active?.content;
    if (!content || this.#halfBegun) return true;
    return content.position >= this.#context.limits.segmentBytes || content.damage.length > 0;
  }

  get activeBytes(): number {
    return this.#active?.content ? this.#active.content.position - segmentHeaderBytes : 0;
  }

  /** Opens the active file for writing, unless it is; `letGo` gives it back. */
  async hold(): Promise<void> {
    this.#lease ??= await this.#context.files.lease(this.#active!.path);
  }

  letGo(): void {
    if (this.#lease) this.#context.files.release(this.#lease);
    this.#lease = undefined;
  }

  /** Encodes a group for the place where it will be written. */
  encode(group: readonly { bodies: readonly Uint8Array[]; sizeBytes: number }[]): Block {
    const { base, content, end } = this.#active!;
    const place = { base: end, sequence: end - base, salt: content!.salt, mark: this.#durable.position };
    return encodeBlock(place, group);
  }

  /** Writes the block at the end. On rejection the file may be longer than it should be, until `cut`. */
  async write(block: Block): Promise<void> {
    const { content, base } = this.#active!;
    await this.#lease!.file.write(block.bytes, content!.position);
    for (let i = 0; i < block.count; i++) {
      content!.index.add(block.base - base + i, content!.position + block.starts[i]!);
    }
    content!.position += block.bytes.length;
    this.#active!.end += block.count;
  }

  async sync(): Promise<void> {
    const { end, content } = this.#active!;
    const position = content!.position;
    await this.#lease!.file.sync();
    this.#durable = { offset: end, position };
  }

  /** Takes back the last block written, but for the part of it that is kept; in memory only. */
  retreat(block: Block, kept: Block | undefined): void {
    const active = this.#active!;
    active.end -= block.count - (kept?.count ?? 0);
    active.content!.position -= block.bytes.length - (kept?.bytes.length ?? 0);
    active.content!.index.cut(active.content!.position);
  }

  /** Removes from the medium what lies behind the last record. Afterwards everything written is durable. */
  async cut(): Promise<void> {
    await this.#lease!.file.truncate(this.#active!.content!.position);
    await this.sync();
  }

  /** Seals the active segment, all of which is durable, and begins the next; the first one when there is none. */
  async roll(): Promise<void> {
    const old = this.#active;
    if (old) await this.checkpoint();
    await this.#begin(old ? old.end : 0, old ? old.content!.bytesBefore + old.content!.position : 0, []);
  }

  /**
   * Leaves the active file behind after a failed sync: a fresh segment begins at the durable end and takes the
   * records of `blocks`, which follow it. By the rule of segment.ts this also cuts, durably, whatever the old
   * file holds from there on, without touching it. Resolves to the records' block as now written.
   */
  async supersede(blocks: readonly Block[]): Promise<Block | undefined> {
    const records = blocks.map((block) => ({
      bodies: Array.from({ length: block.count }, (_, i) => blockBody(block, i)),
      sizeBytes: block.bytes.length,
    }));
    const old = this.#active!;
    const content = old.content!;
    const { offset, position } = this.#durable;
    const block = await this.#begin(offset, content.bytesBefore + position, records);
    content.position = position;
    return block;
  }

  async #begin(
    base: number,
    bytesBefore: number,
    records: { bodies: Buffer[]; sizeBytes: number }[],
  ): Promise<Block | undefined> {
    const { disk, files, random } = this.#context;
    const salt = Buffer.from(random.bytes(4)).readUInt32LE(0);
    const block = encodeBlock({ base, sequence: 0, salt, mark: segmentHeaderBytes }, records);
    const { count } = block;
    const index = new SparseIndex(segmentHeaderBytes);
    const content: SegmentContent = {
      salt,
      bytesBefore,
      index,
      damage: [],
      position: segmentHeaderBytes + block.bytes.length,
    };
    const next = new Segment(this.#place, base, base + count, content);
    await writeWhole(
      disk,
      `${next.path}.new`,
      Buffer.concat([encodeHeader({ salt, base, bytesBefore }), block.bytes]),
    );
    this.#halfBegun = true;
    await disk.rename(`${next.path}.new`, next.path);
    files.forget(next.path);
    await disk.syncFolder(this.#place.folder);
    for (let i = 0; i < count; i++) index.add(i, segmentHeaderBytes + block.starts[i]!);
    this.#replaceActive(next);
    this.#halfBegun = false;
    return count > 0 ? block : undefined;
  }

  #replaceActive(next: Segment): void {
    this.letGo();
    const old = this.#active;
    const kept = old && old.base < next.base ? this.#segments : this.#segments.slice(0, -1);
    if (old && old.base < next.base) {
      old.end = next.base;
      this.#context.indexes.use(old);
    }
    this.#segments = [...kept, next];
    this.#active = next;
    this.#durable = { offset: next.end, position: next.content!.position };
  }

  /** Puts down what is known of the active segment, all of which must be durable. */
  async checkpoint(): Promise<void> {
    await this.#active?.checkpoint(this.#context.disk);
  }

  /** The segment that answers for the offset, which lies between start and end. */
  find(offset: number): Segment {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#segments[middle]!.base <= offset) low = middle + 1;
      else high = middle;
    }
    return this.#segments[low - 1]!;
  }

  /** Adds records from `range.from` on, from one slice of one file; at least one, or rejects. */
  async read(range: ReadRange, out: LogRecord[]): Promise<void> {
    const segment = this.find(range.from);
    if (segment !== this.#active) this.#context.indexes.use(segment);
    await segment.read(this.#context, range, out);
  }

  /**
   * Deletes the sealed segments that end at or before the offset, oldest first, each one durably before the
   * next: what a crash leaves is then without gaps, whatever order the disk keeps.
   */
  async dropBefore(offset: number): Promise<void> {
    const { disk, files, indexes } = this.#context;
    const before = this.#segments.length;
    while (this.#segments.length > 1 && this.#segments[0]!.end <= offset) {
      await this.#syncNames();
      const [oldest, next] = this.#segments as [Segment, Segment];
      const bytesBefore = await this.#bytesBefore(next);
      this.#namesDurable = false;
      await disk.remove(oldest.checkpointPath);
      await disk.remove(oldest.path);
      files.forget(oldest.path);
      indexes.forget(oldest);
      this.#segments = this.#segments.slice(1);
      this.#bytesBeforeFirst = bytesBefore;
    }
    if (this.#segments.length < before) await this.#syncNames();
  }

  async #syncNames(): Promise<void> {
    if (this.#namesDurable) return;
    await this.#context.disk.syncFolder(this.#place.folder);
    this.#namesDurable = true;
  }

  async #bytesBefore(segment: Segment): Promise<number> {
    if (segment.content) return segment.content.bytesBefore;
    const header = await withFile(this.#context.disk, segment.path, readHeader);
    return header?.bytesBefore ?? this.#bytesBeforeFirst;
  }
}
