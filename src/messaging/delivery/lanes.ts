/**
 * All lanes of one subscription: one a partition of its topic, and one of its own for dead letters that were replayed
 * to it. That one is made with the first replay; it is found again because the journal knows its number.
 */
import type { LogPartition } from "../../stores/log/port.ts";
import { Cursor } from "./cursor.ts";
import type { Journal } from "./journal.ts";
import { type Lane, openLane } from "./lane.ts";
import { priorityOfLane } from "./routing.ts";

/** Number of the lane for replays: beyond those that a topic may have. */
export const replayPartition = 4096;

export interface LanesOptions {
  journal: Journal;
  /** Partitions of the topic by number; may grow. */
  partitions: readonly LogPartition[];
  /** The offset at which the subscription begins in a partition that its journal does not know. */
  startOf(partition: number): number;
  /** Creates the partition for replays when there is none. */
  openReplays(): Promise<LogPartition>;
  onAppend(): void;
}

export class Lanes {
  readonly #options: LanesOptions;
  readonly #recovered: Map<number, Cursor>;
  /** Those of the topic first, by partition; the one for replays is last, or has been put between them. */
  readonly all: Lane[] = [];
  readonly #byPartition = new Map<number, Lane>();
  #levels: readonly (readonly Lane[])[] | undefined;
  #count = 0;
  #openingReplays: Promise<Lane> | undefined;

  constructor(options: LanesOptions, recovered: Map<number, Cursor>) {
    this.#options = options;
    this.#recovered = recovered;
  }

  of(partition: number): Lane | undefined {
    return this.#byPartition.get(partition);
  }

  /** What the journal writes into a snapshot. */
  get cursors(): Map<number, Cursor> {
    return new Map(this.all.map(({ partition, cursor }) => [partition, cursor]));
  }

  /** By priority, the most important first; the lane for replays goes before them. */
  get levels(): readonly (readonly Lane[])[] {
    if (this.#levels) return this.#levels;
    const own = this.all.filter(({ partition }) => partition !== replayPartition);
    const byPriority = Map.groupBy(own, ({ partition }) => priorityOfLane(partition));
    const levels = [...byPriority].sort(([one], [other]) => other - one).map(([, lanes]) => lanes);
    this.#levels = [this.all.filter(({ partition }) => partition === replayPartition), ...levels];
    return this.#levels;
  }

  /** Takes up what is new, and gives each new lane to `onLane`. */
  async add(onLane: (lane: Lane) => void): Promise<void> {
    while (this.#count < this.#options.partitions.length) {
      onLane(await this.#open(this.#count, this.#options.partitions[this.#count]!));
      this.#count += 1;
    }
    if (this.#recovered.has(replayPartition)) onLane(await this.replays());
  }

  /**
   * A log below `fsync` can lose its newest messages while the journal remembers having settled them. Their
   * offsets will be used again, so the journal must forget them, durably, before anything is published.
   */
  rewind(): boolean {
    const ahead = this.#options.partitions.filter((log, partition) =>
      this.#cursorOf(partition).rewind(log.end),
    );
    return ahead.length > 0;
  }

  /** New lanes of the topic's partitions, each beginning at its offset; nobody sees them yet. */
  openAt(offsets: readonly number[]): Promise<Lane[]> {
    const own = this.all.filter(({ partition }) => partition !== replayPartition);
    const { onAppend } = this.#options;
    return Promise.all(
      own.map(({ partition, log, cursor }) =>
        openLane(partition, log, new Cursor(offsets[partition] ?? cursor.next), onAppend),
      ),
    );
  }

  /** Puts lanes in the place of those of the same partitions, which count for nothing from then on. */
  replace(lanes: readonly Lane[]): void {
    for (const lane of lanes) {
      this.of(lane.partition)?.unlisten();
      this.all.splice(
        this.all.findIndex(({ partition }) => partition === lane.partition),
        1,
        lane,
      );
      this.#byPartition.set(lane.partition, lane);
      this.#recovered.set(lane.partition, lane.cursor);
    }
  }

  /** The lane for replays. */
  replays(): Promise<Lane> {
    this.#openingReplays ??= this.#openReplays().catch((error) => {
      this.#openingReplays = undefined;
      throw error;
    });
    return this.#openingReplays;
  }

  async #openReplays(): Promise<Lane> {
    const log = await this.#options.openReplays();
    // From now on every later life looks for it; a record without content says no more than that.
    if (!this.#recovered.has(replayPartition))
      await this.#options.journal.settle(replayPartition, {}, "fsync");
    return this.#open(replayPartition, log);
  }

  async #open(partition: number, log: LogPartition): Promise<Lane> {
    const lane = await openLane(partition, log, this.#cursorOf(partition), this.#options.onAppend);
    this.all.push(lane);
    this.#levels = undefined;
    this.#byPartition.set(partition, lane);
    return lane;
  }

  #cursorOf(partition: number): Cursor {
    const start = () => (partition === replayPartition ? 0 : this.#options.startOf(partition));
    const cursor = this.#recovered.get(partition) ?? new Cursor(start());
    this.#recovered.set(partition, cursor);
    return cursor;
  }
}
