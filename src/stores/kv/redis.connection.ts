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
 * Commands and subscriptions share the connection (RESP3). All commands touch one key: Cluster and Sentinel
 * need another client here and nothing else.
 */
import { createClient, ErrorReply } from "redis";
import type { Clock, Timer } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import { Channels } from "./channels.ts";
import type { KvEvent, SubscribeOptions } from "./port.ts";
import type { Script } from "./redis.scripts.ts";

export interface RedisConnectionOptions {
  /** redis://[user:password@]host[:port][/database], rediss:// for TLS, unix:///path[?db=number]. */
  url: string;
  clock: Clock;
  /** Bound on opening a connection, and on the silence of the server while replies are due. */
  timeoutMs?: number;
  /** Calls that may wait for their replies at once; beyond it they are refused. */
  pendingMax?: number;
  report?: (event: KvEvent) => void;
}

const makeClient = (url: string, connectTimeout: number, commandsQueueMaxLength: number) =>
  createClient({
    url,
    RESP: 3,
    name: "hotswap",
    socket: { connectTimeout, reconnectStrategy: false },
    commandOptions: { timeout: 0 },
    commandsQueueMaxLength,
    disableOfflineQueue: true,
    maintNotifications: "disabled",
  });

type Client = ReturnType<typeof makeClient>;

const reopenDelayMaxMs = 2000;

export class RedisConnection {
  readonly #clock: Clock;
  readonly #url: string;
  readonly #timeoutMs: number;
  readonly #pendingMax: number;
  readonly #report: (event: KvEvent) => void;
  readonly #channels: Channels;
  /** Defined exactly while ready. */
  #client: Client | undefined;
  #stopped = false;
  #reopening: Timer | undefined;
  #pending = 0;
  #replies = 0;
  #watchdog: Timer | undefined;

  constructor(options: RedisConnectionOptions) {
    this.#clock = options.clock;
    this.#url = options.url;
    this.#timeoutMs = options.timeoutMs ?? 2000;
    this.#pendingMax = options.pendingMax ?? 10_000;
    this.#report = options.report ?? (() => {});
    this.#channels = new Channels(this.#report);
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

  /** Rejects with `store_unavailable`, or with a plain error for a command that the server calls wrong. */
  async command(args: string[]): Promise<unknown> {
    const client = this.#client;
    if (!client) throw unavailable("The connection to the key-value store is lost.");
    if (this.#pending >= this.#pendingMax) throw unavailable("Too many calls wait for the key-value store.");
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

  async script(script: Script, key: string, args: string[]): Promise<unknown> {
    try {
      return await this.command(["EVALSHA", script.sha1, "1", key, ...args]);
    } catch (error) {
      if (!(error instanceof ErrorReply && error.message.startsWith("NOSCRIPT"))) throw error;
      return await this.command(["EVAL", script.text, "1", key, ...args]);
    }
  }

  async subscribe(
    channel: string,
    listener: (message: string) => void,
    options?: SubscribeOptions,
  ): Promise<() => Promise<void>> {
    const client = this.#client;
    if (!client) throw unavailable("The connection to the key-value store is lost.");
    const remove = this.#channels.add(channel, listener, options);
    try {
      // Also when others subscribed before: their SUBSCRIBE may still be under way, this one comes after it.
      await this.#guarded(client, client.subscribe(channel, this.#onMessage));
    } catch (error) {
      remove();
      throw this.#translated(client, error);
    }
    return async () => {
      remove();
      const current = this.#client;
      // Without a connection there is nothing to take back: only what is in #channels is subscribed again.
      if (!current || this.#channels.has(channel)) return;
      await this.#guarded(current, current.unsubscribe(channel, this.#onMessage)).catch(() => {});
    };
  }

  readonly #onMessage = (message: string, channel: string): void => this.#channels.deliver(channel, message);

  async #connect(): Promise<Client> {
    const client = makeClient(this.#url, this.#timeoutMs, this.#pendingMax);
    client.on("error", () => {}); // every loss comes as "terminated" too
    client.on("terminated", (cause) => this.#lost(client, cause));
    try {
      await this.#guarded(client, client.connect());
      const channels = this.#channels.names;
      if (channels.length > 0) await this.#guarded(client, client.subscribe(channels, this.#onMessage));
      return client;
    } catch (error) {
      client.destroy();
      const refused = error instanceof ErrorReply && /^(WRONGPASS|NOAUTH|NOPERM)/.test(error.message);
      const what = refused ? "refuses the user or password of its URL" : "cannot be reached";
      throw unavailable(`The key-value store ${what}.`, error);
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
        this.#channels.resumed();
      } catch {
        // The loss has been reported; that it lasts is seen in `ping`.
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
    if (!(error instanceof ErrorReply)) return unavailable("The key-value store did not answer.", error);
    const reason = /^[A-Z]+/.exec(error.message)?.[0] ?? "";
    // A primary that became a replica: the address may lead to another server now.
    if (reason === "READONLY") this.#drop(client, "the server is a replica now");
    return refusals.has(reason) ? unavailable("The key-value store refuses to work.", error) : error;
  }
}

/** Replies by which the server says that it cannot serve anybody now, whatever the command. */
const refusals = new Set(
  "READONLY LOADING OOM MISCONF MASTERDOWN NOREPLICAS CLUSTERDOWN TRYAGAIN BUSY NOAUTH NOPERM".split(" "),
);

function unavailable(detail: string, cause?: unknown): HotSwapError {
  return new HotSwapError("store_unavailable", detail, { retryAfterMs: 1000, cause });
}
