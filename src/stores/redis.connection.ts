/**
 * One connection to Redis, kept alive: it is either ready, or being opened again with growing delays. While
 * it is not ready every call rejects at once; nothing is queued for later, since a caller that waits for a
 * dead store is a second failure.
 *
 * A server that stopped answering without closing the connection (a frozen process, a dropped route) is
 * noticed by a watchdog: replies come in order, so no reply for `timeoutMs` while some are due means that
 * there is nobody. It looks twice, so that a pause of this process is not taken for one of the server. The
 * client's own reconnecting is off, so that there is one path for every kind of loss.
 *
 * Commands and subscriptions share the connection (RESP3). The keys of a command lie in one slot: Cluster and
 * Sentinel need another client here and nothing else.
 */
import { createHash } from "node:crypto";
import { createClient, ErrorReply, RESP_TYPES } from "redis";
import type { Clock, Timer } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";

/** An operation that Redis has no command for, as Lua: it runs whole or not at all. */
export interface Script {
  text: string;
  sha1: string;
}

export function script(text: string): Script {
  return { text, sha1: createHash("sha1").update(text).digest("hex") };
}

export type ConnectionEvent = { kind: "lost"; error: unknown } | { kind: "restored" };

/** What is to be subscribed on every new connection, and who is told. */
export interface Subscriptions {
  readonly names: string[];
  deliver(channel: string, message: string): void;
  /** The subscriptions are live again; messages in between are lost. */
  resumed(): void;
}

export type Argument = string | Buffer;
export type Command = (args: Argument[]) => Promise<unknown>;

export interface RedisConnectionOptions {
  /** redis://[user:password@]host[:port][/database], rediss:// for TLS, unix:///path[?db=number]. */
  url: string;
  clock: Clock;
  /** Bound on opening a connection, and on the silence of the server while replies are due. */
  timeoutMs?: number;
  /** Calls that may wait for their replies at once; beyond it they are refused. */
  pendingMax?: number;
  report?: (event: ConnectionEvent) => void;
  /** What errors call it: "key-value store". */
  what: string;
  /** Text in replies comes as bytes. */
  binary?: boolean;
  subscriptions?: Subscriptions;
  /** Looks at the server behind each new connection, and rejects when it will not do. */
  inspect?: (command: Command) => Promise<void>;
}

const makeClient = (url: string, connectTimeout: number, commandsQueueMaxLength: number, binary: boolean) =>
  createClient({
    url,
    RESP: 3,
    name: "hotswap",
    socket: { connectTimeout, reconnectStrategy: false },
    commandOptions: { timeout: 0, ...(binary && { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } }) },
    commandsQueueMaxLength,
    disableOfflineQueue: true,
    maintNotifications: "disabled",
  });

type Client = ReturnType<typeof makeClient>;

const reopenDelayMaxMs = 2000;

export class RedisConnection {
  readonly #options: RedisConnectionOptions;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #pendingMax: number;
  readonly #report: (event: ConnectionEvent) => void;
  /** Defined exactly while ready. */
  #client: Client | undefined;
  #stopped = false;
  #reopening: Timer | undefined;
  #pending = 0;
  #replies = 0;
  #watchdog: Timer | undefined;

  constructor(options: RedisConnectionOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs ?? 2000;
    this.#pendingMax = options.pendingMax ?? 10_000;
    this.#report = options.report ?? (() => {});
  }

  /** Rejects when the server cannot be reached now; it does not go on trying then. */
  async open(): Promise<void> {
    this.#stopped = false;
    this.#client = await this.#connect();
  }

  async close(): Promise<void> {
    this.#stopped = true;
    this.#reopening?.cancel();
    this.#watchdog?.cancel();
    this.#watchdog = undefined;
    this.#client?.destroy();
    this.#client = undefined;
  }

  get isReady(): boolean {
    return this.#client !== undefined;
  }

  /** Rejects with `store_unavailable`, or with a plain error for a command that the server calls wrong. */
  async command(args: Argument[]): Promise<unknown> {
    const client = this.#client;
    if (!client) throw this.#unavailable("The connection to the store is lost.");
    if (this.#pending >= this.#pendingMax) throw this.#unavailable("Too many calls wait for the store.");
    this.#pending++;
    if (!this.#watchdog) this.#watch(0);
    try {
      return await client.sendCommand(args);
    } catch (error) {
      throw this.#translated(client, error);
    } finally {
      this.#pending--;
      this.#replies++;
    }
  }

  async script({ sha1, text }: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await this.command(["EVALSHA", sha1, ...rest]);
    } catch (error) {
      if (!(error instanceof ErrorReply && error.message.startsWith("NOSCRIPT"))) throw error;
      return await this.command(["EVAL", text, ...rest]);
    }
  }

  /** Resolves when the channel is subscribed. It has to be among the names of `subscriptions` by then. */
  async subscribe(channel: string): Promise<void> {
    const client = this.#client;
    if (!client) throw this.#unavailable("The connection to the store is lost.");
    try {
      await this.#guarded(client, client.subscribe(channel, this.#onMessage));
    } catch (error) {
      throw this.#translated(client, error);
    }
  }

  /** Without a connection there is nothing to take back. */
  async unsubscribe(channel: string): Promise<void> {
    const client = this.#client;
    if (client) await this.#guarded(client, client.unsubscribe(channel, this.#onMessage)).catch(() => {});
  }

  readonly #onMessage = (message: string, channel: string): void =>
    this.#options.subscriptions?.deliver(channel, message);

  async #connect(): Promise<Client> {
    const { url, binary = false, subscriptions, inspect, what } = this.#options;
    const client = makeClient(url, this.#timeoutMs, this.#pendingMax, binary);
    client.on("error", () => {}); // every loss comes as "terminated" too
    client.on("terminated", (cause) => this.#lost(client, cause));
    try {
      await this.#guarded(client, client.connect());
      await inspect?.((args) => this.#guarded(client, client.sendCommand(args)));
      const channels = subscriptions?.names ?? [];
      if (channels.length > 0) await this.#guarded(client, client.subscribe(channels, this.#onMessage));
      return client;
    } catch (error) {
      client.destroy();
      if (error instanceof HotSwapError) throw error;
      const refused = error instanceof ErrorReply && /^(WRONGPASS|NOAUTH|NOPERM)/.test(error.message);
      const why = refused ? "refuses the user or password of its URL" : "cannot be reached";
      throw this.#unavailable(`The ${what} ${why}.`, error);
    }
  }

  /** For the little that happens outside `command`: gives up the connection when it takes too long. */
  async #guarded<Value>(client: Client, work: Promise<Value>): Promise<Value> {
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = this.#clock.after(this.#timeoutMs, () => {
      reject(new Error("the server does not answer"));
      this.#drop(client, "the server does not answer");
    });
    try {
      return await Promise.race([work, promise]);
    } finally {
      timer.cancel();
    }
  }

  #drop(client: Client, reason: string): void {
    client.destroy();
    this.#lost(client, new Error(reason));
  }

  #lost(client: Client, error: unknown): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#report({ kind: "lost", error });
    this.#reopen(0);
  }

  #reopen(attempt: number): void {
    const delayMs = attempt === 0 ? 0 : Math.min(50 * 2 ** attempt, reopenDelayMaxMs);
    this.#reopening = this.#clock.after(delayMs, async () => {
      try {
        const client = await this.#connect();
        if (this.#stopped || this.#client) return client.destroy(); // closed, and perhaps opened, meanwhile
        this.#client = client;
        this.#report({ kind: "restored" });
        this.#options.subscriptions?.resumed();
      } catch (error) {
        // The loss has been reported, and that it lasts is seen by every call; not so what is wrong now.
        if (error instanceof HotSwapError && error.code !== "store_unavailable") {
          this.#report({ kind: "lost", error });
        }
        if (!this.#stopped) this.#reopen(attempt + 1);
      }
    });
  }

  /** `silentLooks`: how many looks in a row have found that nothing came. */
  #watch(silentLooks: number): void {
    const before = this.#replies;
    this.#watchdog = this.#clock.after(this.#timeoutMs / 2, () => {
      this.#watchdog = undefined;
      if (this.#pending === 0) return;
      if (this.#replies > before) this.#watch(0);
      else if (silentLooks === 0) this.#watch(1);
      else if (this.#client) this.#drop(this.#client, "the server does not answer");
    });
  }

  #translated(client: Client, error: unknown): unknown {
    const { what } = this.#options;
    if (!(error instanceof ErrorReply)) return this.#unavailable(`The ${what} did not answer.`, error);
    const reason = /^[A-Z]+/.exec(error.message)?.[0] ?? "";
    // A primary that became a replica: the address may lead to another server now.
    if (reason === "READONLY") this.#drop(client, "the server is a replica now");
    if (!refusals.has(reason)) return error;
    return this.#unavailable(`The ${what} refuses to work.`, new Refusal(error));
  }

  #unavailable(detail: string, cause?: unknown): HotSwapError {
    const text = detail.replace("the store", `the ${this.#options.what}`);
    return new HotSwapError("store_unavailable", text, { retryAfterMs: 1000, cause });
  }
}

/** The cause of `store_unavailable` when the server itself has said no, so that nothing has happened. */
export class Refusal extends Error {
  constructor(reply: Error) {
    super(reply.message, { cause: reply });
  }
}

/** Replies by which the server says that it cannot serve anybody now, whatever the command. */
const refusals = new Set(
  "READONLY LOADING OOM MISCONF MASTERDOWN NOREPLICAS CLUSTERDOWN TRYAGAIN BUSY NOAUTH NOPERM".split(" "),
);
