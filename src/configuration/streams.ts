/**
 * The streams of instances: one connection each, kept open for as long as it goes well. The body ends with the
 * connection and is not chunked, so that telling 10,000 instances is 10,000 writes of the same bytes. One timer keeps
 * all of them alive, a part at each tick. A reader that is too slow is ended, since it comes back and hears what it
 * missed.
 *
 * When everybody comes back at once, as many as the rate allows are let in, and each of the others is told a later time
 * than the one before, so that they come back one by one.
 */
import type { ServerResponse } from "node:http";
import type { Clock, Timer } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import type { Service } from "../core/lifecycle.ts";
import type { Random } from "../core/random.ts";
import { keepAlive, retry } from "./events.ts";
import type { Hub, Listener } from "./hub.ts";
import type { Known } from "./instances.ts";
import type { DeliveryMetrics } from "./metrics.ts";

export interface StreamsOptions {
  hub: Hub;
  clock: Clock;
  random: Random;
  metrics: DeliveryMetrics;
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
  readonly response: ServerResponse;
  readonly expiresAt: number;
  readonly #pendingBytesMax: number;

  constructor(known: Known, response: ServerResponse, expiresAt: number, pendingBytesMax: number) {
    this.known = known;
    this.response = response;
    this.expiresAt = expiresAt;
    this.#pendingBytesMax = pendingBytesMax;
  }

  get id(): string {
    return this.known.id;
  }

  get labels() {
    return this.known.labels;
  }

  get isOpen(): boolean {
    return !this.response.destroyed && !this.response.writableEnded;
  }

  send(event: Buffer): void {
    if (!this.isOpen) return;
    const { response } = this;
    if (response.writableLength > this.#pendingBytesMax) response.destroy();
    // The head has gone and the body is not chunked: the response would only cork the socket, and uncork it again.
    else (response.socket ?? response).write(event);
  }
}

export class Streams implements Service {
  readonly name = "configuration streams";
  readonly #options: StreamsOptions;
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
  }

  async start(): Promise<void> {
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const { response } of this.#open.values()) response.end();
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
  open(known: Known, response: ServerResponse, since: number, expiresAt: number, requestId: string): void {
    const { hub, random, pendingBytesMax, onError } = this.#options;
    const stream = new Stream(known, response, expiresAt, pendingBytesMax);
    const key = JSON.stringify([known.scope.tenant, known.id]);
    this.#open.get(key)?.response.end();
    this.#open.set(key, stream);
    const slot = this.#wheel[random.below(ticks)]!;
    slot.add(stream);
    this.#options.metrics.streams(this.#open.size);
    response.once("close", () => {
      slot.delete(stream);
      hub.remove(known.scope, stream);
      if (this.#open.get(key) === stream) this.#open.delete(key);
      this.#options.metrics.streams(this.#open.size);
    });
    response.removeHeader("transfer-encoding");
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
      "x-request-id": requestId,
      connection: "close",
    });
    response.write(retry(retryMs.least + random.below(retryMs.spread)));
    hub.add(known.scope, stream, since).catch((error) => {
      if (stream.isOpen) onError(error);
      response.end();
    });
  }

  /** The instance has gone, or is another one now; in the latter case it comes back. */
  end(tenant: string, id: string): void {
    this.#open.get(JSON.stringify([tenant, id]))?.response.end();
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
        stream.response.end(); // it comes back with a new token
      else stream.send(keepAlive);
    }
  }
}
