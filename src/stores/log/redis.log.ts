/**
 * The message log in Redis ≥ 7, for several nodes that share it. What it keeps is what the server is set to
 * keep, so that is looked at on every new connection, and a server that keeps less than was asked for is
 * refused with the setting to mend.
 *
 * Every partition has one writer at a time, told by its epoch (redis.scripts.ts). Whoever opens a partition
 * takes it over.
 */
import { type Clock, systemClock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import { type Command, type ConnectionEvent, RedisConnection } from "../redis.connection.ts";
import { defaultLimits, type LogLimits } from "./context.ts";
import { type Durability, keeps, type LogPartition, type LogStore, type PartitionOptions } from "./port.ts";
import { RecentChunks, type RedisLogContext } from "./redis.context.ts";
import { fenced, RedisPartition } from "./redis.partition.ts";
import { TailCache } from "./tail.ts";

export interface RedisLogOptions {
  url: string;
  clock?: Clock;
  limits?: Partial<LogLimits>;
  /** What the server has to keep; default `fsync`. Appends that ask for more are refused. */
  durability?: Durability;
  /** Before every key, so that several systems can share a server. */
  prefix?: string;
  /** Bound on opening a connection, on silence while replies are due, and on doubt after a lost reply. */
  timeoutMs?: number;
  report?: (event: ConnectionEvent) => void;
}

const versionMin = 7;

export class RedisLog implements LogStore {
  readonly name = "log";
  readonly shared = true;
  readonly durability: Durability;
  readonly #context: RedisLogContext;
  readonly #prefix: string;
  readonly #partitions = new Map<string, Promise<RedisPartition>>();
  readonly #report: (event: ConnectionEvent) => void;
  readonly #listeners: ((name: string, reason: HotSwapError) => void)[] = [];
  #waiting: (() => void)[] = [];
  #state: "new" | "started" | "stopped" = "new";

  constructor(options: RedisLogOptions) {
    const { url, clock = systemClock, durability = "fsync", timeoutMs = 5000 } = options;
    const limits = { ...defaultLimits, ...options.limits };
    this.durability = durability;
    this.#prefix = options.prefix ?? "hotswap-log:";
    this.#report = options.report ?? (() => {});
    const connection = new RedisConnection({
      url,
      clock,
      timeoutMs,
      pendingMax: 100_000,
      what: "message log",
      binary: true,
      inspect: (command) => inspect(command, durability),
      report: (event) => this.#heard(event),
    });
    this.#context = {
      connection,
      clock,
      limits,
      durability,
      cache: new TailCache(limits.cacheBytes),
      recent: new RecentChunks(),
      doubtMs: timeoutMs,
      pendingBytes: 0,
      ended: (name, reason) => {
        for (const listener of this.#listeners) listener(name, reason);
      },
      whenReady: (withinMs) => this.#whenReady(withinMs),
    };
  }

  async start(): Promise<void> {
    await this.#context.connection.open();
    this.#state = "started";
  }

  async stop(): Promise<void> {
    if (this.#state !== "started") return;
    this.#state = "stopped";
    const reason = new HotSwapError("shutting_down", "The message log is stopping.");
    const closings = [...this.#partitions.values()].map(async (opening) => {
      const partition = await opening.catch(() => undefined); // whoever opened it has been told
      await partition?.close(reason);
    });
    await Promise.all(closings);
    await this.#context.connection.close();
  }

  async ping(): Promise<void> {
    await this.#context.connection.command(["PING"]);
  }

  async partition(name: string, { epoch }: PartitionOptions = {}): Promise<LogPartition> {
    this.#checkStarted();
    const known = this.#partitions.get(name);
    if (known && epoch === undefined) {
      const partition = await known;
      if (partition.isOpen) return partition;
      if (this.#partitions.get(name) !== known) return this.partition(name);
    }
    const opening = this.#open(name, known, epoch);
    this.#partitions.set(name, opening);
    opening.catch(() => {
      if (this.#partitions.get(name) === opening) this.#partitions.delete(name);
    });
    return opening;
  }

  /** As it is now, by whoever writes it. */
  async list(): Promise<string[]> {
    this.#checkStarted();
    const names = (await this.#context.connection.command(["SMEMBERS", this.#namesKey])) as Iterable<Buffer>;
    return Array.from(names, String);
  }

  onEnded(listener: (name: string, reason: HotSwapError) => void): void {
    this.#listeners.push(listener);
  }

  async letGo(name: string): Promise<void> {
    const opening = this.#partitions.get(name);
    this.#partitions.delete(name);
    const partition = await opening?.catch(() => undefined);
    await partition?.close(fenced(name));
  }

  async has(name: string): Promise<boolean> {
    this.#checkStarted();
    return (await this.#context.connection.command(["SISMEMBER", this.#namesKey, name])) === 1;
  }

  async remove(name: string): Promise<void> {
    this.#checkStarted();
    const opening = this.#partitions.get(name);
    this.#partitions.delete(name);
    const { connection } = this.#context;
    const partition = await opening?.catch(() => undefined);
    const closing = partition?.close(new HotSwapError("not_found", `Partition ${name} has been removed.`));
    await connection.command(["UNLINK", ...this.#keysOf(name)]);
    await connection.command(["SREM", this.#namesKey, name]);
    await closing;
  }

  async #open(
    name: string,
    before: Promise<RedisPartition> | undefined,
    epoch: number | undefined,
  ): Promise<RedisPartition> {
    const encoded = encodeURIComponent(name);
    if (name === "" || encoded.length > 200) {
      throw new HotSwapError("validation_failed", "A partition's name has 1 to 200 characters.");
    }
    const own = await before?.catch(() => undefined);
    if (own?.isOpen && own.epoch === epoch) return own;
    if (own?.isOpen && epoch !== undefined && own.epoch > epoch) throw fenced(name);
    await own?.close(fenced(name));
    const { connection } = this.#context;
    await connection.command(["SADD", this.#namesKey, name]);
    return RedisPartition.open(this.#context, name, this.#keysOf(name), epoch);
  }

  get #namesKey(): string {
    return `${this.#prefix}names`;
  }

  /** In one slot of a cluster; a name's braces are encoded. */
  #keysOf(name: string): readonly [string, string] {
    const tag = `${this.#prefix}{${encodeURIComponent(name)}}`;
    return [`${tag}:chunks`, `${tag}:state`];
  }

  #checkStarted(): void {
    if (this.#state === "started") return;
    if (this.#state === "new") throw new Error("the log has not been started");
    throw new HotSwapError("shutting_down", "The message log is stopping.");
  }

  #heard(event: ConnectionEvent): void {
    if (event.kind === "restored") for (const wake of this.#waiting.splice(0)) wake();
    this.#report(event);
  }

  #whenReady(withinMs: number): Promise<boolean> {
    const { clock, connection } = this.#context;
    if (connection.isReady) return Promise.resolve(true);
    if (withinMs <= 0 || this.#state !== "started") return Promise.resolve(false);
    return new Promise((resolve) => {
      const timer = clock.after(withinMs, () => resolve(false), { keepAlive: true });
      this.#waiting.push(() => {
        timer.cancel();
        resolve(true);
      });
    });
  }
}

/** Rejects with `setting_invalid` when the server would lose what was acknowledged, naming what to mend. */
async function inspect(command: Command, wanted: Durability): Promise<void> {
  const info = String(await command(["INFO", "everything"]));
  const fact = (name: string) => new RegExp(`^${name}:(\\S+)`, "m").exec(info)?.[1];
  const version = fact("redis_version") ?? "unknown";
  if (!(Number.parseInt(version, 10) >= versionMin)) {
    refuse(`Redis ${version} is too old; ${versionMin} or newer is needed.`);
  }
  if (fact("loading") === "1") throw new HotSwapError("store_unavailable", "Redis is loading its data.");
  if (fact("role") === "slave") throw new HotSwapError("store_unavailable", "This Redis is a replica.");
  const policy = fact("maxmemory_policy") ?? "noeviction";
  if (policy.startsWith("allkeys")) {
    refuse(`Redis throws messages away when it is full (${policy}). Set maxmemory-policy noeviction.`);
  }
  const kept = await durabilityOf(command, fact("aof_enabled") === "1");
  if (keeps(kept, wanted)) return;
  const mend = { fsync: "appendonly yes and appendfsync always", os: "appendonly yes", memory: "" }[wanted];
  refuse(
    `Redis keeps ${kept} at most, and HOTSWAP_LOG_DURABILITY asks for ${wanted}. ` +
      `Set ${mend} in Redis, or HOTSWAP_LOG_DURABILITY=${kept} and accept what that loses.`,
  );
}

/**
 * With `always`, replies wait for the sync of the file. Otherwise the file is written before the reply, but not
 * synced; with `everysec` the write may lag by two seconds when the disk does.
 */
async function durabilityOf(command: Command, hasFile: boolean): Promise<Durability> {
  if (!hasFile) return "memory";
  try {
    const reply = (await command(["CONFIG", "GET", "appendfsync"])) as Record<string, unknown>;
    return String(reply.appendfsync) === "always" ? "fsync" : "os";
  } catch (error) {
    if (error instanceof HotSwapError) throw error;
    return "os"; // a server that hides its configuration has not said that it syncs
  }
}

function refuse(detail: string): never {
  throw new HotSwapError("setting_invalid", detail);
}
