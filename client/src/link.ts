/**
 * The one connection of a stream: made when something first needs it, and made again with jittered back-off for as
 * long as something does. Channels open themselves anew on each connection. What will not pass by itself (a token
 * that is refused, a frame that cannot be read) ends them all.
 */
import { Frame } from "./frames.ts";
import { HotSwapConnectionError, HotSwapProblem, isTransient, type ProblemBody } from "./problem.ts";
import type { Socket } from "./socket.ts";
import { backoffMs, every, sleep } from "./time.ts";
import type { Transport } from "./transport.ts";

/** A frame of text, as the server sends it. */
export interface TextFrame {
  type: string;
  id?: number;
  channel?: number;
  error?: ProblemBody;
  [member: string]: unknown;
}

export interface Channel {
  /** On a new connection: opens itself with `number`. */
  onOpen(number: number): void;
  onText(frame: TextFrame): void;
  onFrame(frame: Frame): void;
  /** The connection is gone; another one is being made. */
  onLost(error: Error): void;
  /** There will be none. */
  onFailure(error: Error): void;
}

export interface Credit {
  messages: number;
  bytes: number;
}

export interface LinkOptions {
  signal?: AbortSignal | undefined;
  /** Told before each new try after a connection that failed or broke. */
  onRetry?: ((error: unknown, attempt: number) => void) | undefined;
  /** Told when there is a connection again. */
  onOpen?: (() => void) | undefined;
}

const protocol = "hotswap.v1";
const renewEveryMs = 300_000;
/** These say that something passes, though the request that HTTP would make of it is not repeated. */
const passing = new Set(["stream_idle", "token_expired", "credit_exceeded"]);

export class Link {
  readonly #transport: Transport;
  readonly #options: LinkOptions;
  readonly #channels = new Map<number, Channel>();
  readonly #closing = new AbortController();
  #socket: Socket | undefined;
  #isOpen = false;
  #running = false;
  #nextChannel = 1;
  /** What the server said before it ended the connection. */
  #lastProblem: HotSwapProblem | undefined;
  #token: string | undefined;
  /** What may still be published on this connection. */
  credit: Credit = { messages: 0, bytes: 0 };
  frameBytes = 0;

  constructor(transport: Transport, options: LinkOptions) {
    this.#transport = transport;
    this.#options = options;
    options.signal?.addEventListener("abort", () => this.close(), { signal: this.#closing.signal });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get retry() {
    return this.#transport.retry;
  }

  attach(channel: Channel): number {
    const number = this.#nextChannel++;
    this.#channels.set(number, channel);
    if (this.#isOpen) channel.onOpen(number);
    else if (!this.#running) void this.#run();
    return number;
  }

  detach(number: number): void {
    this.#channels.delete(number);
  }

  text(frame: object): void {
    if (this.#isOpen) this.#socket?.send(JSON.stringify(frame));
  }

  frame(bytes: Uint8Array<ArrayBuffer>): void {
    this.#socket?.send(bytes);
  }

  close(): void {
    this.#closing.abort();
    this.#socket?.close();
  }

  async #run(): Promise<void> {
    this.#running = true;
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted && this.#channels.size > 0; ) {
      const error = await this.#connect(() => {
        failures = 0;
      });
      if (signal.aborted || this.#channels.size === 0) break;
      for (const channel of [...this.#channels.values()]) channel.onLost(error);
      failures += 1;
      const passes = isTransient(error) || (error instanceof HotSwapProblem && passing.has(error.code));
      if (!passes) {
        this.#failAll(error);
        break;
      }
      this.#options.onRetry?.(error, failures);
      const { retryAfterMs } = error as Partial<HotSwapProblem>;
      await sleep(backoffMs(this.retry, failures - 1, retryAfterMs), signal).catch(() => {}); // closing
    }
    this.#running = false;
    if (signal.aborted) {
      const reason = this.#options.signal?.aborted ? this.#options.signal.reason : undefined;
      this.#failAll(reason ?? new HotSwapConnectionError("lost", "the stream was closed"));
    }
  }

  #failAll(error: Error): void {
    for (const channel of [...this.#channels.values()]) channel.onFailure(error);
    this.#channels.clear();
  }

  /** Resolves when the connection is over, with the reason. */
  async #connect(onOpen: () => void): Promise<Error> {
    let endRenewing: (() => void) | undefined;
    try {
      this.#token = await this.#transport.token();
      const url = this.#transport.socketUrl("/api/v1/messages/stream");
      return await new Promise<Error>((resolve) => {
        this.#lastProblem = undefined;
        this.#socket = this.#transport.openSocket(
          { url, protocol, token: this.#token },
          {
            onOpen: () => {
              endRenewing = every(renewEveryMs, () => void this.#renew());
            },
            onMessage: (data) => {
              if (typeof data !== "string") this.#onFrame(new Frame(data));
              else if (this.#onText(JSON.parse(data) as TextFrame)) onOpen();
            },
            onClose: (code, reason, error) => resolve((error as Error) ?? this.#reasonOf(code, reason, url)),
          },
        );
      });
    } catch (error) {
      return error as Error; // no token could be had
    } finally {
      endRenewing?.();
      this.#isOpen = false;
      this.#socket = undefined;
    }
  }

  #reasonOf(code: number, reason: string, url: string): Error {
    if (this.#lastProblem) return this.#lastProblem;
    if (code > 4000) return new HotSwapProblem(code - 4000, { code: reason });
    return new HotSwapConnectionError("lost", `the stream to ${new URL(url).host} broke (${code})`);
  }

  #onFrame(frame: Frame): void {
    this.#channels.get(frame.channel)?.onFrame(frame);
  }

  /** True when it opened the connection. */
  #onText(frame: TextFrame): boolean {
    if (frame.type === "welcome") {
      this.credit = { ...(frame.publish as Credit) };
      this.frameBytes = frame.frameBytes as number;
      this.#isOpen = true;
      this.#options.onOpen?.();
      for (const [number, channel] of this.#channels) channel.onOpen(number);
      return true;
    }
    if (frame.channel !== undefined) this.#channels.get(frame.channel)?.onText(frame);
    else if (frame.error) {
      this.#lastProblem = new HotSwapProblem(frame.error.status ?? 500, frame.error);
      if (frame.type === "drain") for (const channel of this.#channels.values()) channel.onText(frame);
    }
    return false;
  }

  /** Asks for a token now and then, so that the connection outlives the one that opened it. */
  async #renew(): Promise<void> {
    const token = await this.#transport.token().catch(() => undefined); // asked again next time
    if (token === undefined || token === this.#token) return;
    this.#token = token;
    this.text({ type: "token", token });
  }
}
