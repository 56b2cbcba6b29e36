/**
 * Opens a partition in whatever state its folder is, after a stop, a kill or a power failure. Only the last
 * segment is looked at, from its checkpoint on: everything before it was durable when the next one began.
 */

import { SegmentChain } from "./chain.ts";
import { readCheckpoint } from "./checkpoint.ts";
import type { LogContext } from "./context.ts";
import { type Disk, type DiskFile, withFile } from "./disk.ts";
import { readHeader, type SegmentHeader, segmentBase, segmentHeaderBytes } from "./header.ts";
import { Partition } from "./partition.ts";
import { type Block, parseBlock } from "./record.ts";
import { scan } from "./scan.ts";
import { type Place, Segment } from "./segment.ts";
import { SparseIndex } from "./sparse.ts";

export async function openPartition(context: LogContext, place: Place): Promise<Partition> {
  const names = await context.disk.list(place.folder);
  for (const name of names) {
    // What never came into being, and checkpoints whose segment is gone.
    const orphan = name.endsWith(".index") && !names.includes(name.replace(".index", ".log"));
    if (orphan || name.endsWith(".new")) await context.disk.remove(`${place.folder}/${name}`);
  }
  const bases = names.map(segmentBase).filter((base) => base !== undefined);
  const segments = bases.map((base, i) => new Segment(place, base, bases[i + 1] ?? base));
  const last = segments.at(-1);
  if (!last) {
    const nothing = { offset: 0, position: 0 };
    return new Partition(context, place, new SegmentChain(context, place, [], 0, nothing), []);
  }
  const { durable, doubtful } = await recover(context, last);
  const first = segments[0]!;
  const bytesBefore =
    first === last ? last.content!.bytesBefore : (await headerOf(context.disk, first))?.bytesBefore;
  const chain = new SegmentChain(context, place, segments, bytesBefore ?? 0, durable);
  const partition = new Partition(context, place, chain, doubtful ?? []);
  if (doubtful) await partition.distrust();
  return partition;
}

interface Recovery {
  durable: { offset: number; position: number };
  /**
   * The records after it, which may or may not be on the medium; undefined when the checkpoint covers the whole
   * file. A sync now would not tell: when one failed in the process before, the next one succeeds without
   * writing. So they are written once more, into a fresh segment (Partition.distrust), and that also cuts the
   * torn tail.
   */
  doubtful: Block[] | undefined;
}

function headerOf(disk: Disk, segment: Segment): Promise<SegmentHeader | undefined> {
  return withFile(disk, segment.path, readHeader);
}

/** Finds the end of the last segment, and how much of it is certain. Changes nothing. */
async function recover({ disk }: LogContext, segment: Segment): Promise<Recovery> {
  return withFile(disk, segment.path, async (file) => {
    const header = await readHeader(file);
    // Without its salt no record of the file can be told from chance, and without its end no append is safe.
    if (!header || header.base !== segment.base)
      throw segment.corrupt(segment.base, 0, "its header is damaged", segment.base);
    const { salt, bytesBefore } = header;
    const checkpoint = await readCheckpoint(disk, segment.checkpointPath, salt);
    // A checkpoint beyond the end of the file still proves what has been durable there.
    const usable = checkpoint && checkpoint.position <= file.size ? checkpoint : undefined;
    const index = usable?.index ?? new SparseIndex(segmentHeaderBytes);
    const found = await scan({
      file,
      size: file.size,
      salt,
      start: { sequence: usable?.count ?? 0, position: usable?.position ?? segmentHeaderBytes },
      durable: checkpoint?.position ?? segmentHeaderBytes,
      ...(checkpoint && { count: checkpoint.count }),
      index,
    });
    const { position, sequence } = found;
    const damage = [...(usable?.damage ?? []), ...found.damage];
    segment.end = segment.base + sequence;
    segment.content = { salt, bytesBefore, index, damage, position };
    const durable = { offset: segment.base + found.durable.sequence, position: found.durable.position };
    if (usable?.position === file.size && (await isSynced(file))) {
      segment.hasCheckpoint();
      return { durable, doubtful: undefined };
    }
    const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(position, file.size) - durable.position));
    if ((await file.read(bytes, durable.position)) < bytes.length) throw new Error("the file has shrunk");
    return { durable, doubtful: bytes.length > 0 ? [parseBlock(durable.offset, bytes)] : [] };
  });
}

/**
 * The process before may have died after it cut the file and before the cut was on the medium, where the tail would
 * then come back. Unlike page content, a truncation that a failed sync has left behind stays the journal's affair.
 */
async function isSynced(file: DiskFile): Promise<boolean> {
  return file.sync().then(
    () => true,
    () => false, // then the file is not trusted, and a fresh segment cuts it
  );
}
