/** The message log. See README.md for its formats, its invariants and what it does when a disk or a server fails. */
import { HotSwapError } from "../../core/errors.ts";
import { DiskLog, type LogOptions } from "./disk.log.ts";
import type { LogStore } from "./port.ts";
import type { RedisLogOptions } from "./redis.log.ts";

export type { LogLimits } from "./context.ts";
export type { LogOptions } from "./disk.log.ts";
export {
  type Durability,
  durabilities,
  keeps,
  type LogPartition,
  type LogRecord,
  type LogStore,
  type ReadLimit,
} from "./port.ts";
export type { RedisLogOptions } from "./redis.log.ts";

/** A log over a folder, or over another disk. `start` it before use. */
export function openLog(options: LogOptions): LogStore {
  return new DiskLog(options);
}

/** A log in Redis. `start` it before use. The Redis client is loaded only here. */
export async function openRedisLog(options: RedisLogOptions): Promise<LogStore> {
  const scheme = /^(rediss?|unix):\/\//.exec(options.url)?.[1];
  if (!scheme || (scheme !== "unix" && !URL.canParse(options.url))) {
    // The value may hold a password, so it is not repeated here.
    throw new HotSwapError(
      "setting_invalid",
      "The URL of the message log must begin with redis://, rediss:// or unix:// and be valid.",
    );
  }
  const { RedisLog } = await import("./redis.log.ts");
  return new RedisLog(options);
}
