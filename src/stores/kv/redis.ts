/**
 * The key-value store in Redis ≥ 7 (or Valkey), shared by all nodes. What expires does so by the server's
 * clock. A server without persistence forgets everything when it restarts; the port allows that.
 */
import type { Clock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import { RedisConnection, type RedisConnectionOptions } from "../redis.connection.ts";
import { checkKey, checkLimit, checkStep, checkValue, wholeTtlMs } from "./arguments.ts";
import { Channels } from "./channels.ts";
import type { GcraLimit, GcraResult, Kv, KvEvent, SetOptions, SubscribeOptions } from "./port.ts";
import { deleteIfEquals, gcraScript, incrementWithTtl, setIfEquals } from "./redis.scripts.ts";

export interface RedisKvOptions
  extends Pick<RedisConnectionOptions, "url" | "clock" | "timeoutMs" | "pendingMax"> {
  report?: (event: KvEvent) => void;
  /** Before every key and channel, so that several systems can share a server. */
  prefix?: string;
}

const versionMin = 7;

export class RedisKv implements Kv {
  readonly name = "kv";
  readonly shared = true;
  readonly #clock: Clock;
  readonly #connection: RedisConnection;
  readonly #channels: Channels;
  readonly #prefix: string;

  constructor(options: RedisKvOptions) {
    this.#clock = options.clock;
    this.#channels = new Channels(options.report ?? (() => {}));
    const { url, clock, timeoutMs, pendingMax, report } = options;
    this.#connection = new RedisConnection({
      url,
      clock,
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(pendingMax !== undefined && { pendingMax }),
      ...(report && { report }),
      what: "key-value store",
      subscriptions: this.#channels,
    });
    this.#prefix = options.prefix ?? "hotswap:";
  }

  async start(): Promise<void> {
    await this.#connection.open();
    const info = String(await this.#connection.command(["INFO", "server"]));
    const version = /^redis_version:(\S+)/m.exec(info)?.[1] ?? "unknown";
    if (!(Number.parseInt(version, 10) >= versionMin)) {
      await this.stop();
      throw new HotSwapError(
        "setting_invalid",
        `Redis ${version} is too old; ${versionMin} or newer is needed.`,
      );
    }
  }

  stop(): Promise<void> {
    return this.#connection.close();
  }

  async ping(timeoutMs: number): Promise<void> {
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = this.#clock.after(timeoutMs, () =>
      reject(new HotSwapError("store_unavailable", `Redis did not answer within ${timeoutMs} ms.`)),
    );
    try {
      await Promise.race([this.#connection.command(["PING"]), promise]);
    } finally {
      timer.cancel();
    }
  }

  async get(key: string): Promise<string | undefined> {
    return ((await this.#connection.command(["GET", this.#key(key)])) as string | null) ?? undefined;
  }

  async set(key: string, value: string, options: SetOptions = {}): Promise<boolean> {
    checkValue(value);
    const ttlMs = wholeTtlMs(options.ttlMs);
    const { when } = options;
    if (typeof when === "object") {
      const args = [when.equals, value, ttlMs === undefined ? "" : String(ttlMs)];
      return (await this.#connection.script(setIfEquals, [this.#key(key)], args)) === 1;
    }
    const command = ["SET", this.#key(key), value];
    if (ttlMs !== undefined) command.push("PX", String(ttlMs));
    if (when === "absent") command.push("NX");
    return (await this.#connection.command(command)) === "OK";
  }

  async delete(key: string, options: { equals?: string } = {}): Promise<boolean> {
    const removed =
      options.equals === undefined
        ? await this.#connection.command(["DEL", this.#key(key)])
        : await this.#connection.script(deleteIfEquals, [this.#key(key)], [options.equals]);
    return removed === 1;
  }

  async increment(key: string, by: number, options: { ttlMs?: number } = {}): Promise<number> {
    checkStep(by);
    const ttlMs = wholeTtlMs(options.ttlMs);
    const sum =
      ttlMs === undefined
        ? await this.#connection.command(["INCRBY", this.#key(key), String(by)])
        : await this.#connection.script(incrementWithTtl, [this.#key(key)], [String(by), String(ttlMs)]);
    return sum as number;
  }

  async gcra(key: string, limit: GcraLimit): Promise<GcraResult> {
    checkLimit(limit);
    const args = [String(limit.burst), String(limit.intervalMs), String(limit.cost)];
    const reply = await this.#connection.script(gcraScript, [this.#key(key)], args);
    return gcraReply(reply);
  }

  async publish(channel: string, message: string): Promise<void> {
    checkValue(message);
    await this.#connection.command(["PUBLISH", this.#key(channel), message]);
  }

  async subscribe(
    channel: string,
    listener: (message: string) => void,
    options?: SubscribeOptions,
  ): Promise<() => Promise<void>> {
    const name = this.#key(channel);
    const remove = this.#channels.add(name, listener, options);
    try {
      // Also when others subscribed before: their SUBSCRIBE may still be under way, this one comes after it.
      await this.#connection.subscribe(name);
    } catch (error) {
      remove();
      throw error;
    }
    return async () => {
      remove();
      if (!this.#channels.has(name)) await this.#connection.unsubscribe(name);
    };
  }

  #key(key: string): string {
    checkKey(key);
    return this.#prefix + key;
  }
}

/** What the script in redis.scripts.ts replies. */
export function gcraReply(reply: unknown): GcraResult {
  const [allowed, remaining, retryAfterMs, resetMs] = reply as [number, number, string, string];
  return { allowed: allowed === 1, remaining, retryAfterMs: Number(retryAfterMs), resetMs: Number(resetMs) };
}
