/**
 * The message log: named partitions of opaque records with dense offsets, from 0. A driver promises:
 *
 * - `append` resolves only when every record has reached the durability asked for; then, and not before, the
 *   records are below `end` and can be read. Records of one append are contiguous and in order.
 * - An append that rejects has left nothing that a reader will ever see, also after a restart, unless the
 *   error is `log_outcome_unknown`: the store failed while it wrote and could not take it back.
 * - What an append with `fsync` acknowledged survives power loss; with `os` the death of the process; with
 *   `memory` neither.
 * - A partition has one writer at a time. Where several processes share the store, a writer that was replaced is
 *   refused with `log_fenced`, and what it had on the way is never seen.
 * - A damaged record is never skipped: `read` rejects with `log_corrupt`, naming partition, segment and offset.
 */
import type { HotSwapError } from "../../core/errors.ts";
import type { Service } from "../../core/lifecycle.ts";

export const durabilities = ["memory", "os", "fsync"] as const;
export type Durability = (typeof durabilities)[number];

/** Whether a store that keeps `kept` keeps `asked` as well. */
export const keeps = (kept: Durability, asked: Durability) =>
  durabilities.indexOf(asked) <= durabilities.indexOf(kept);

export interface LogRecord {
  offset: number;
  body: Buffer;
}

export interface ReadLimit {
  records: number;
  /** Stops after the record with which the sum of bodies reaches this; at least one record is returned. */
  bytes: number;
}

export interface LogPartition {
  readonly name: string;
  /** Offset of the oldest record still stored; equals `end` when empty. */
  readonly start: number;
  /** Offset that follows the newest readable record. */
  readonly end: number;
  /** Bytes on disk, over all segments. */
  readonly bytes: number;

  /**
   * Appends the bodies (each 1 byte to the driver's record limit) and resolves to the offset of the first. They are
   * not copied and must not change until then. Rejects with `overloaded` when more is pending than the driver
   * accepts, `message_too_large`, `durability_unavailable`, `disk_full`,
   * `log_write_failed`, `log_outcome_unknown`, `log_fenced`, `log_records_lost`, `store_unavailable`, `shutting_down`.
   */
  append(bodies: readonly Uint8Array[], durability: Durability): Promise<number>;

  /**
   * Resolves when no append is in doubt any more: the records of one that ended in `log_outcome_unknown` can be read
   * from now on, or never will be. To be asked before they are appended again. Rejects while that cannot be found out.
   */
  certain(): Promise<void>;

  /**
   * Records from `from` on, up to the limit; empty at `end`, and never without reason: fewer than the limit means
   * the end, or that the next one cannot be read. Rejects with `log_offset_out_of_range`; with `log_corrupt` when the
   * first record is damaged, whose `data.next` is the first offset behind the damage; with `store_unavailable`.
   */
  read(from: number, limit: ReadLimit): Promise<LogRecord[]>;

  /** Gives up records before `before`. What is freed is whole segments, so `start` may stay behind it. */
  trim(before: number): Promise<void>;

  /** Calls `listener` after `end` has moved. Returns the function that ends it. */
  onAppend(listener: () => void): () => void;
}

export interface PartitionOptions {
  /**
   * Of the writer, for a shared store: takes the partition over from one with a smaller epoch, and rejects with
   * `log_fenced` when there is one with a larger. Without it the opener takes it over from whoever has it.
   */
  epoch?: number | undefined;
}

export interface LogStore extends Service {
  /** True when other processes use this log too; false when it is this process's own. */
  readonly shared: boolean;
  /** The strongest durability that it keeps; an append that asks for more rejects with `durability_unavailable`. */
  readonly durability: Durability;
  /** Resolves when the store answers; rejects with `store_unavailable`. */
  ping(): Promise<void>;
  /**
   * Calls the listener with each partition that is closed because the store gave it to another writer
   * (`log_fenced`) or has lost records of it (`log_records_lost`).
   */
  onEnded(listener: (name: string, reason: HotSwapError) => void): void;
  /** Opens the partition, creating it when it does not exist. The same name gives the same object. */
  partition(name: string, options?: PartitionOptions): Promise<LogPartition>;
  /** Finishes the appends under way and closes the partition, which stays as it is. Idempotent. */
  letGo(name: string): Promise<void>;
  /** Names of all partitions that exist. */
  list(): Promise<string[]>;
  has(name: string): Promise<boolean>;
  /** Closes the partition and deletes its records. Idempotent. */
  remove(name: string): Promise<void>;
}
