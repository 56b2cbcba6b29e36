/** What the partitions of one store share: the disk and its open files, limits, and budgets over all of them. */
import type { Clock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import { type Disk, isDiskFull } from "./disk.ts";
import type { OpenFiles } from "./files.ts";
import type { IndexCache } from "./indexes.ts";
import { recordHeaderBytes } from "./record.ts";
import type { TailCache } from "./tail.ts";

export interface LogLimits {
  /** A segment is sealed by the first group that would begin beyond this many bytes. */
  segmentBytes: number;
  /** The largest body. */
  recordBytes: number;
  /** Appends wait for the disk up to this many bytes per partition, then `overloaded`; also the largest append. */
  pendingBytes: number;
  /** The same over all partitions of the store. */
  pendingTotalBytes: number;
  /** One group commit takes at most about this many bytes. */
  groupBytes: number;
  /** Written but not synced bytes of one partition at which a group syncs although nobody asked. */
  unsyncedBytes: number;
  /** The same over all partitions; also what is held in memory to repair after a failed sync. */
  unsyncedTotalBytes: number;
  /** Records kept in memory for readers close to the end, over all partitions. */
  cacheBytes: number;
  /** Sealed segments whose index is held in memory, at most 48 KiB each. */
  indexes: number;
  /** Segment files open at once; a few more are open for moments while segments begin and are looked up. */
  openFiles: number;
  /** Milliseconds after which what was written is synced, and an idle partition puts down a checkpoint. */
  settleMs: number;
}

export const defaultLimits: LogLimits = {
  segmentBytes: 64 * 1024 * 1024,
  recordBytes: 16 * 1024 * 1024,
  pendingBytes: 32 * 1024 * 1024,
  pendingTotalBytes: 256 * 1024 * 1024,
  groupBytes: 1024 * 1024,
  unsyncedBytes: 8 * 1024 * 1024,
  unsyncedTotalBytes: 64 * 1024 * 1024,
  cacheBytes: 64 * 1024 * 1024,
  indexes: 256,
  openFiles: 512,
  settleMs: 1000,
};

/** Something that has written and is to be synced, and to put down a checkpoint once it has fallen idle. */
export interface Settling {
  settle(): Promise<void>;
}

export interface LogContext {
  readonly disk: Disk;
  readonly files: OpenFiles;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: LogLimits;
  readonly cache: TailCache;
  readonly indexes: IndexCache;
  /** Bytes over all partitions: waiting to be written, and written but not synced. */
  pendingBytes: number;
  unsyncedBytes: number;
  /** Has the partition settle within `settleMs`. */
  settleLater(partition: Settling): void;
}

/** Throws when the limits contradict each other; positions in a segment are 32 bits wide. */
export function checkLimits(limits: LogLimits): void {
  const { recordBytes, pendingBytes, pendingTotalBytes, segmentBytes } = limits;
  if (recordBytes + recordHeaderBytes > pendingBytes)
    throw new RangeError("pendingBytes must hold a record of recordBytes");
  if (pendingBytes > pendingTotalBytes) throw new RangeError("pendingTotalBytes must hold pendingBytes");
  if (segmentBytes + pendingBytes + limits.unsyncedBytes >= 2 ** 32)
    throw new RangeError("segmentBytes is too large");
}

/** The error for an append that was not stored. */
export function writeError(partition: string, cause: unknown): HotSwapError {
  if (isDiskFull(cause)) {
    return new HotSwapError("disk_full", `Partition ${partition} has no room on the disk.`, { cause });
  }
  return new HotSwapError("log_write_failed", `Partition ${partition} could not be written.`, { cause });
}
