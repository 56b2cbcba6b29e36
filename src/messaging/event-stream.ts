/**
 * Messages as server-sent events. A page that listens cannot answer, so there are two ways to say what is done:
 *
 * - `ack=receipts`: the page settles over HTTP, with the receipts that the events carry;
 * - `ack=auto`: an event counts as done when its connection has been well for a while after it was written, or when
 *   the next connection says by Last-Event-ID that it came.
 *
 * When a connection ends, what was sent and is not done is kept for a moment. Who comes back with Last-Event-ID goes
 * on right behind it; otherwise it is given back, and comes again to whoever listens. Nothing is lost either way.
 */
import type { ServerResponse } from "node:http";
import type { Clock, Timer } from "../core/clock.ts";
import { write } from "../platform/http/write.ts";
import type { ConsumerName } from "./delivery/consumers.ts";
import type { Delivery, Received } from "./delivery/delivered.ts";
import type { TopicSpec } from "./delivery/spec.ts";
import type { LiveSubscription } from "./delivery/subscription.ts";
import { parseReceipt, type Receipt } from "./ids.ts";
import { showReceived } from "./show.ts";
import { type Tracer, traceDelivery } from "./traces.ts";

export type AckMode = "auto" | "receipts";

export interface EventStreamOptions {
  response: ServerResponse;
  topic: Pick<TopicSpec, "name" | "number" | "routing">;
  subscription: string;
  live: LiveSubscription;
  tracer: Tracer;
  mode: AckMode;
  /** Who listens, as the registry of consumers shows it. */
  who: ConsumerName;
  /** Messages taken at once. */
  limit: number;
  /** Aborted when the client is gone or the server stops. */
  signal: AbortSignal;
  clock: Clock;
  tails: Tails;
  onError(error: unknown): void;
}

interface Sent {
  receipts: Receipt[];
  /** Monotonic milliseconds from which on they count as arrived. */
  doneAt: number;
}

const heartbeatMs = 15_000;
/** How long a connection must have been well after a message was written. */
const wellMs = 2_000;

export async function sendEvents(options: EventStreamOptions): Promise<void> {
  const { response, live, mode, who, limit, clock, tails } = options;
  const sent: Sent[] = [];
  const takenOver = new AbortController();
  const close = tails.open({ live, mode, sent, takenOver });
  const signal = AbortSignal.any([options.signal, takenOver.signal]);
  try {
    await write(response, "retry: 1000\n\n");
    while (!signal.aborted) {
      const waitMs = patience(mode, sent, clock.monotonic());
      const received = await live.receive(limit, waitMs, signal, who);
      if (received.deliveries.length > 0) {
        sent.push(sentOf(received, clock)); // before it is written: what half arrives comes again
        await write(response, tracedText(options, received));
      } else if (waitMs === heartbeatMs) await write(response, ":\n\n");
      if (mode === "auto" && !response.destroyed && !signal.aborted)
        await settle(live, sent, clock.monotonic());
    }
  } finally {
    close();
    live.leave(who);
  }
}

/** Until the next thing to do: to count something as done, or to show that the connection lives. */
function patience(mode: AckMode, sent: readonly Sent[], now: number): number {
  if (mode === "receipts" || sent.length === 0) return heartbeatMs;
  return Math.min(heartbeatMs - 1, Math.max(0, sent[0]!.doneAt - now));
}

/** A lease that is shorter than what a connection needs to prove itself counts at half of its time. */
function sentOf({ deliveries, expiresAt }: Received, clock: Clock): Sent {
  const leaseMs = Math.max(0, expiresAt - clock.now());
  return {
    receipts: deliveries.map(({ receipt }) => parseReceipt(receipt)),
    doneAt: clock.monotonic() + Math.min(wellMs, leaseMs / 2),
  };
}

async function settle(live: LiveSubscription, sent: Sent[], now: number): Promise<void> {
  const done: Receipt[] = [];
  while (sent.length > 0 && sent[0]!.doneAt <= now) done.push(...sent.shift()!.receipts);
  if (done.length > 0) await live.ack(done);
}

function tracedText(options: EventStreamOptions, received: Received): string {
  const { topic, subscription, who, tracer } = options;
  const text = () => eventsText(topic, received);
  const routed = { strategy: topic.routing.strategy, consumer: who.name };
  const outgoing = { topic: topic.name, subscription, ...routed, deliveries: received.deliveries };
  return tracer.enabled ? traceDelivery(tracer, outgoing, "consumer", text) : text();
}

/** Payloads may hold line ends between their parts; each line of them is a line of the event. */
function eventsText(topic: { name: string; number: number }, { deliveries, expiresAt }: Received): string {
  return deliveries
    .map((delivery: Delivery) => {
      const text = showReceived(topic, { deliveries: [delivery], expiresAt }).toString("utf8");
      const message = text.slice(`{"messages":[`.length, -"]}".length);
      return `id: ${delivery.receipt}\nevent: message\ndata: ${message.replaceAll(/\r\n|\r|\n/g, "\ndata: ")}\n\n`;
    })
    .join("");
}

/** A connection, with what it has sent and not settled. */
interface Listener {
  live: LiveSubscription;
  mode: AckMode;
  sent: Sent[];
  /** Ends the connection, whose client has come back on another one. */
  takenOver: AbortController;
}

const resumeMs = 5_000;

/** What was sent and is not done, on connections that live and for a moment on those that have ended. */
export class Tails {
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #listeners = new Map<Listener, Timer | undefined>();

  constructor(clock: Clock, onError: (error: unknown) => void) {
    this.#clock = clock;
    this.#onError = onError;
  }

  /** Returns what is to be called when the connection has ended. */
  open(listener: Listener): () => void {
    this.#listeners.set(listener, undefined);
    return () => {
      if (!this.#listeners.has(listener) || listener.sent.length === 0) this.#listeners.delete(listener);
      else
        this.#listeners.set(
          listener,
          this.#clock.after(resumeMs, () => this.#end(listener, 0)),
        );
    };
  }

  /** Goes on behind the event: what came before is done, where that is the mode; the rest is free again. */
  resume(subscription: number, lastEventId: string): void {
    let last: Receipt;
    try {
      last = parseReceipt(lastEventId);
    } catch {
      return; // an id of something else: there is nothing to go on from
    }
    if (last.subscription !== subscription) return;
    for (const listener of this.#listeners.keys()) {
      const receipts = listener.sent.flatMap((one) => one.receipts);
      const index = receipts.findIndex((receipt) => isSame(receipt, last));
      if (index < 0) continue;
      this.#end(listener, index + 1);
      return;
    }
  }

  #end(listener: Listener, arrived: number): void {
    this.#listeners.get(listener)?.cancel();
    this.#listeners.delete(listener);
    listener.takenOver.abort();
    const { live, mode } = listener;
    const receipts = listener.sent.splice(0).flatMap((one) => one.receipts);
    const rest = receipts.slice(arrived).map((receipt) => ({ receipt, release: true }));
    const done = mode === "auto" ? live.ack(receipts.slice(0, arrived)) : Promise.resolve([]);
    // A page that settles by receipts may still work on them, unless it has come back without them.
    const back = mode === "auto" || arrived > 0 ? live.nack(rest) : Promise.resolve([]);
    Promise.all([done, back]).catch(this.#onError);
  }
}

function isSame(one: Receipt, other: Receipt): boolean {
  return one.partition === other.partition && one.offset === other.offset && one.fence === other.fence;
}
