/** What the partitions of one Redis log share: the connection, limits, and budgets over all of them. */
import type { Clock } from "../../core/clock.ts";
import type { HotSwapError } from "../../core/errors.ts";
import type { RedisConnection } from "../redis.connection.ts";
import type { LogLimits } from "./context.ts";
import type { Durability } from "./port.ts";
import type { Block } from "./record.ts";
import type { TailCache } from "./tail.ts";

export interface RedisLogContext {
  readonly connection: RedisConnection;
  readonly clock: Clock;
  readonly limits: LogLimits;
  readonly cache: TailCache;
  readonly recent: RecentChunks;
  /** The strongest that the server keeps. */
  readonly durability: Durability;
  /** Milliseconds for which an append whose reply was lost waits for the connection to find out. */
  readonly doubtMs: number;
  pendingBytes: number;
  /** Told of each partition that the store has taken away. */
  ended(name: string, reason: HotSwapError): void;
  /** Resolves when the connection is ready, or after `withinMs`: to whether it is. */
  whenReady(withinMs: number): Promise<boolean>;
}

const remembered = 32;

/** The chunks that were fetched last, for readers that take them record by record. */
export class RecentChunks {
  readonly #chunks: { owner: object; block: Block }[] = [];

  find(owner: object, offset: number): Block | undefined {
    const found = this.#chunks.find(
      (chunk) =>
        chunk.owner === owner && offset >= chunk.block.base && offset < chunk.block.base + chunk.block.count,
    );
    return found?.block;
  }

  add(owner: object, block: Block): void {
    this.#chunks.unshift({ owner, block });
    if (this.#chunks.length > remembered) this.#chunks.pop();
  }

  forget(owner: object): void {
    const kept = this.#chunks.filter((chunk) => chunk.owner !== owner);
    this.#chunks.splice(0, this.#chunks.length, ...kept);
  }
}
