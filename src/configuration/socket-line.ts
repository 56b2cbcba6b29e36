/**
 * The line of an instance as a WebSocket, over which it also says what it would otherwise say by a request, and is
 * answered in the order in which that came.
 *
 * Frames that were made once for many are written to the connection past `ws`, which writes nothing but whole frames at
 * once here: no extension is agreed on.
 */
import type { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import { asHotSwapError, statusOfKind, toProblem } from "../platform/http/problem.ts";
import type { Upgraded } from "../platform/http/route.ts";
import type { Answer } from "./answers.ts";
import type { Notice } from "./events.ts";
import type { Hearing } from "./hearing.ts";
import {
  answerFrame,
  errorFrame,
  readSaid,
  type Said,
  saysNothingNew,
  welcomeFrame,
} from "./instance-frames.ts";
import type { Heartbeat } from "./instances.schema.ts";
import type { Line } from "./lines.ts";

export type Hear = (beat: Heartbeat) => Answer | Promise<Answer>;

export interface SocketLineOptions {
  clock: Clock;
  /** How long to wait before coming back. */
  retryMs: number;
  heartbeatMs: number;
  pendingBytesMax: number;
  hear: Hear;
  hearing: Hearing;
  onError(error: unknown): void;
}

/** An instance has something to say when a version comes; who says much more would be in the way of others. */
const bounds = { everyMs: 100, atOnce: 50 };
const ping = Buffer.from([0x89, 0]);
const comingBack = 1001;

export class SocketLine implements Line {
  readonly #socket: WebSocket;
  readonly #wire: Duplex;
  readonly #requestId: string;
  readonly #options: SocketLineOptions;
  /** What was said and could not be taken at once. */
  #working: Promise<void> | undefined;
  /** Monotonic, as of a virtual schedule (stores/kv/gcra.ts). */
  #wholeAt = 0;

  constructor({ socket, wire, requestId }: Upgraded, options: SocketLineOptions) {
    this.#socket = socket;
    this.#wire = wire;
    this.#requestId = requestId;
    this.#options = options;
    socket.on("message", (data, isBinary) => this.#hear(data, isBinary));
    const { retryMs, heartbeatMs } = options;
    this.#write(welcomeFrame({ retryMs, heartbeatSeconds: heartbeatMs / 1_000 }));
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  send({ frame }: Notice): void {
    this.#write(frame);
  }

  keepAlive(): void {
    this.#write(ping);
  }

  end(): void {
    this.#socket.close(comingBack);
  }

  onClose(listener: () => void): void {
    this.#socket.once("close", listener);
  }

  #hear(data: RawData, isBinary: boolean): void {
    if (!this.isOpen) return;
    try {
      this.#admit();
      const bytes = data as Buffer;
      const said = readSaid(bytes, isBinary);
      const { hearing } = this.#options;
      if (hearing.isOpen) this.#take(said);
      else hearing.wait(bytes.length, () => this.#take(said));
    } catch (error) {
      this.#fail(error);
    }
  }

  #take(said: Said): void {
    if (!this.isOpen) return;
    try {
      const { hear } = this.#options;
      const answer = this.#working ? this.#working.then(() => hear(said.beat)) : hear(said.beat);
      if (answer instanceof Promise) this.#answerLater(said, answer);
      else this.#answer(said, answer);
    } catch (error) {
      this.#fail(error);
    }
  }

  #answerLater(said: Said, answer: Promise<Answer>): void {
    const working = answer
      .then((answer) => this.#answer(said, answer))
      .catch((error) => this.#fail(error))
      .finally(() => {
        if (this.#working === working) this.#working = undefined;
      });
    this.#working = working;
  }

  #answer({ type, beat }: Said, answer: Answer): void {
    const usualSeconds = this.#options.heartbeatMs / 1_000;
    if (type === "report" && saysNothingNew(answer, usualSeconds, beat)) return;
    this.#write(answerFrame(answer));
  }

  #admit(): void {
    const now = this.#options.clock.monotonic();
    const wholeAt = Math.max(this.#wholeAt, now) + bounds.everyMs;
    if (wholeAt - now > bounds.everyMs * bounds.atOnce) throw new HotSwapError("rate_limited");
    this.#wholeAt = wholeAt;
  }

  #write(frame: Buffer): void {
    if (!this.isOpen) return;
    if (this.#wire.writableLength > this.#options.pendingBytesMax) this.#socket.terminate();
    else this.#wire.write(frame);
  }

  #fail(cause: unknown): void {
    if (!this.isOpen) return;
    const error = asHotSwapError(cause);
    if (error.code === "internal") this.#options.onError(cause);
    const problem = toProblem(error, this.#requestId);
    this.#write(errorFrame(problem));
    this.#socket.close(4000 + statusOfKind[error.entry.kind], error.code);
  }
}
