/** The door of the key-value store: which driver runs is a matter of the URL. */
import type { Clock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import { MemoryKv } from "./memory.ts";
import type { Kv, KvEvent } from "./port.ts";

export type { GcraLimit, GcraResult, Kv, KvEvent, SetOptions, SubscribeOptions } from "./port.ts";

export interface OpenKvOptions {
  /** redis://, rediss:// or unix:///path of a Redis; "memory" or nothing for a store in this process. */
  url?: string | undefined;
  clock: Clock;
  /** Keys that the store in this process holds at most. */
  keysMax?: number;
  /** Before every key in Redis. */
  prefix?: string;
  /** Bound on opening a connection to Redis, and on its silence while a call waits. */
  timeoutMs?: number;
  report?: (event: KvEvent) => void;
}

/** The store, not started. The Redis client is loaded only when a URL asks for it. */
export async function openKv({ url, ...options }: OpenKvOptions): Promise<Kv> {
  if (!url || url === "memory") return new MemoryKv(options);
  const scheme = /^(rediss?|unix):\/\//.exec(url)?.[1];
  if (!scheme || (scheme !== "unix" && !URL.canParse(url))) {
    // The value may hold a password, so it is not repeated here.
    throw new HotSwapError(
      "setting_invalid",
      "The URL of the key-value store must begin with redis://, rediss:// or unix:// and be valid.",
    );
  }
  const { RedisKv } = await import("./redis.ts");
  return new RedisKv({ url, ...options });
}
