/**
 * The streams of instances: one connection each, kept open for as long as it goes well; by server-sent events or a
 * WebSocket (lines.ts, socket-line.ts). One timer keeps all of them alive, a part at each tick.
 *
 * When everybody comes back at once, as many as the rate allows are let in, and each of the others is told a later time
 * than the one before, so that they come back one by one.
 */
import type { ServerResponse } from "node:http";
import type { Clock, Timer } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import type { Service } from "../core/lifecycle.ts";
import type { Random } from "../core/random.ts";
import type { Upgraded } from "../platform/http/route.ts";
import type { Notice } from "./events.ts";
import { Hearing } from "./hearing.ts";
import type { Hub, Listener } from "./hub.ts";
import type { Known } from "./instances.ts";
import { EventLine, type Line } from "./lines.ts";
import type { DeliveryMetrics } from "./metrics.ts";
import { type Hear, SocketLine } from "./socket-line.ts";

export interface StreamsOptions {
  hub: Hub;
  clock: Clock;
  random: Random;
  metrics: DeliveryMetrics;
  heartbeatMs: number;
  connectsPerSecond: number;
  streamsMax: number;
  /** What may wait for a reader. */
  pendingBytesMax: number;
  onError(error: unknown): void;
}

const ticks = 15;
const tickMs = 1_000;
const retryMs = { least: 500, spread: 2_500 };
const patienceMaxMs = 60_000;

class Stream implements Listener {
  readonly told = new Map<string, number | null>();
  readonly known: Known;
  readonly line: Line;
  /** Of the token, in epoch seconds. */
  readonly expiresAt: number;

  constructor(known: Known, line: Line, expiresAt: number) {
    this.known = known;
    this.line = line;
    this.expiresAt = expiresAt;
  }

  get id(): string {
    return this.known.id;
  }

  get labels() {
    return this.known.labels;
  }

  get isOpen(): boolean {
    return this.line.isOpen;
  }

  send(notice: Notice): void {
    this.line.send(notice);
  }
}

export class Streams implements Service {
  readonly name = "configuration streams";
  readonly #options: StreamsOptions;
  readonly #hearing: Hearing;
  /** By tenant and instance; one each. */
  readonly #open = new Map<string, Stream>();
  readonly #wheel = Array.from({ length: ticks }, () => new Set<Stream>());
  #tick = 0;
  #timer: Timer | undefined;
  /** Monotonic, as of a virtual schedule (stores/kv/gcra.ts): when the rate is whole again. */
  #wholeAt = 0;
  #refused = 0;
  #stopped = false;

  constructor(options: StreamsOptions) {
    this.#options = options;
    this.#hearing = new Hearing(() => options.hub.isTelling);
  }

  async start(): Promise<void> {
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const { line } of this.#open.values()) line.end();
  }

  /** Throws `overloaded`, with a time to come back. */
  admit(): void {
    const { clock, connectsPerSecond, streamsMax } = this.#options;
    const intervalMs = 1_000 / connectsPerSecond;
    const now = clock.monotonic();
    const before = Math.max(this.#wholeAt, now);
    const waitMs = before - now - 1_000;
    if (waitMs < 0 && this.#open.size < streamsMax) {
      this.#wholeAt = before + intervalMs;
      if (waitMs < -500) this.#refused = 0;
      return;
    }
    this.#refused += 1;
    const retryAfterMs = Math.min(patienceMaxMs, Math.max(0, waitMs) + this.#refused * intervalMs);
    throw new HotSwapError("overloaded", "Too many instances connect at once.", { retryAfterMs });
  }

  /** Takes the response over. `since`: the revision up to which the instance knows everything; 0 is nothing. */
  openEvents(
    known: Known,
    response: ServerResponse,
    { since, expiresAt, requestId }: { since: number; expiresAt: number; requestId: string },
  ): void {
    const { pendingBytesMax } = this.#options;
    const line = new EventLine(response, { requestId, retryMs: this.#retryMs(), pendingBytesMax });
    this.#add(known, line, since, expiresAt);
  }

  /** The same of a connection over which the instance may also speak. */
  openSocket(known: Known, upgraded: Upgraded, since: number, hear: Hear): void {
    const { clock, heartbeatMs, pendingBytesMax, onError } = this.#options;
    const line = new SocketLine(upgraded, {
      ...{ clock, retryMs: this.#retryMs(), heartbeatMs, pendingBytesMax, onError },
      ...{ hear, hearing: this.#hearing },
    });
    this.#add(known, line, since, upgraded.principal.expiresAt);
  }

  /** The instance has gone, or is another one now; in the latter case it comes back. */
  end(tenant: string, id: string): void {
    this.#open.get(JSON.stringify([tenant, id]))?.line.end();
  }

  #add(known: Known, line: Line, since: number, expiresAt: number): void {
    const { hub, random, metrics, onError } = this.#options;
    const stream = new Stream(known, line, expiresAt);
    const key = JSON.stringify([known.scope.tenant, known.id]);
    this.#open.get(key)?.line.end();
    this.#open.set(key, stream);
    const slot = this.#wheel[random.below(ticks)]!;
    slot.add(stream);
    metrics.streams(this.#open.size);
    line.onClose(() => {
      slot.delete(stream);
      hub.remove(known.scope, stream);
      if (this.#open.get(key) === stream) this.#open.delete(key);
      metrics.streams(this.#open.size);
    });
    hub.add(known.scope, stream, since).catch((error) => {
      if (stream.isOpen) onError(error);
      line.end();
    });
  }

  #retryMs(): number {
    return Math.round(retryMs.least + this.#options.random.below(retryMs.spread));
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#timer = this.#options.clock.after(tickMs, () => {
      this.#keepAlive();
      this.#arm();
    });
  }

  #keepAlive(): void {
    this.#tick = (this.#tick + 1) % ticks;
    const nowSeconds = this.#options.clock.now() / 1_000;
    for (const stream of this.#wheel[this.#tick]!) {
      if (stream.expiresAt <= nowSeconds)
        stream.line.end(); // it comes back with a new token
      else stream.line.keepAlive();
    }
  }
}
