/**
 * Pushes one subscription to its webhook: leases messages like any consumer, posts them, and says what became of
 * them. Several requests run side by side; the order of each key stays, because a message is leased only when those
 * before it are done or in the same request.
 */
import { createHash } from "node:crypto";
import type { Clock, Timer } from "../../core/clock.ts";
import { HotSwapError, hasCode } from "../../core/errors.ts";
import {
  activeSpan,
  formatTraceparent,
  runOutsideSpans,
  type TraceContext,
} from "../../platform/telemetry/index.ts";
import type { Delivery } from "../delivery/delivered.ts";
import type { TopicSpec } from "../delivery/spec.ts";
import type { LiveSubscription } from "../delivery/subscription.ts";
import { formatMessageId, parseReceipt } from "../ids.ts";
import { type Tracer, traceDelivery } from "../traces.ts";
import { type Address, checkTarget, pin, type Resolve } from "./address.ts";
import { contentOf, type PushFormat } from "./content.ts";
import { after, type Outcome, type Pace, type Patience, probe } from "./pace.ts";
import { Poster } from "./post.ts";
import { signatures } from "./signature.ts";

export interface PushTarget {
  url: string;
  format: PushFormat;
  /** Messages of one request; 1: each its own. */
  batch: number;
  /** Requests at once. */
  concurrency: number;
  timeoutSeconds: number;
}

export interface PusherOptions {
  topic: () => TopicSpec;
  subscription: string;
  tracer: Tracer;
  live: () => Promise<LiveSubscription>;
  target: PushTarget;
  secrets: readonly string[];
  pace: Pace;
  patience: Patience;
  privateAllowed: boolean;
  resolve: Resolve;
  clock: Clock;
  /** Counts a request by what came of it. */
  count(outcome: Outcome["kind"]): void;
  /** Keeps a pace that has changed its status, for people to see and for the next start. */
  keep(pace: Pace): Promise<void>;
  onError(error: unknown): void;
}

interface Posted {
  outcome: Outcome;
  retryAfterMs?: number | undefined;
}

const waitMs = 30_000;
/** Before it is tried again when the subscription itself cannot be read. */
const troubleMs = 1_000;

const webhook = { name: "webhook", via: "push" } as const;

export class Pusher {
  readonly #options: PusherOptions;
  readonly #url: URL;
  readonly #poster: Poster;
  readonly #closing = new AbortController();
  #pace: Pace;
  #timer: Timer | undefined;
  #wake: (() => void)[] = [];
  #workers: Promise<void> = Promise.resolve();
  #keeping: Promise<void> = Promise.resolve();

  constructor(options: PusherOptions) {
    this.#options = options;
    this.#url = checkTarget(options.target.url, options.privateAllowed);
    this.#poster = new Poster(this.#url, options.clock, options.target.concurrency);
    this.#pace = options.pace;
  }

  get pace(): Pace {
    return this.#pace;
  }

  start(): void {
    this.#arm();
    const { concurrency } = this.#options.target;
    // What it pushes is no part of the request that set it up.
    const workers = runOutsideSpans(() =>
      Array.from({ length: concurrency }, (_, index) => this.#work(index)),
    );
    this.#workers = Promise.all(workers).then(() => {});
  }

  /** Resolves when no request is under way; what was has been given back. */
  async stop(): Promise<void> {
    this.#closing.abort();
    this.#timer?.cancel();
    this.#wakeAll();
    await this.#workers;
    this.#poster.close();
    await this.#keeping;
  }

  async #work(index: number): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        // Of the workers only the first tries whether the receiver is back.
        if (this.#pace.status === "active" || (this.#pace.status === "probing" && index === 0))
          await this.#push();
        else await this.#change();
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof HotSwapError && error.entry.kind === "not_found") return; // was deleted
        if (!hasCode(error, "topic_moved")) this.#options.onError(error); // else another node pushes
        await this.#rest();
      }
    }
  }

  async #push(): Promise<void> {
    const { signal } = this.#closing;
    const { live: open, target } = this.#options;
    const live = await open();
    const { deliveries } = await live.receive(target.batch, waitMs, signal, webhook);
    if (deliveries.length === 0) return;
    const receipts = deliveries.map(({ receipt }) => parseReceipt(receipt));
    const { outcome, retryAfterMs } = await this.#deliver(deliveries);
    if (signal.aborted && outcome.kind !== "ok") {
      await live.nack(receipts.map((receipt) => ({ receipt, release: true })));
      return;
    }
    this.#options.count(outcome.kind);
    this.#setPace(after(this.#pace, outcome, this.#options.clock.now(), this.#options.patience));
    if (outcome.kind === "ok") await live.ack(receipts);
    else
      await live.nack(
        receipts.map((receipt) => ({ receipt, reason: reasonFor(outcome), delayMs: retryAfterMs })),
      );
  }

  #deliver(deliveries: readonly Delivery[]): Promise<Posted> {
    const { topic, subscription, tracer } = this.#options;
    const { name, routing } = topic();
    return traceDelivery(
      tracer,
      { topic: name, subscription, strategy: routing.strategy, consumer: webhook.name, deliveries },
      "client",
      async (trace) => {
        const posted = await this.#post(deliveries, trace);
        if (trace && posted.outcome.kind !== "ok") activeSpan()?.fail(new Error(reasonFor(posted.outcome)));
        return posted;
      },
    );
  }

  async #post(deliveries: readonly Delivery[], trace: TraceContext | undefined): Promise<Posted> {
    const { topic, target, secrets, privateAllowed, resolve, clock } = this.#options;
    const spec = topic();
    const { body, headers } = contentOf(target.format, spec, deliveries, target.batch > 1);
    const id = requestId(spec.number, deliveries);
    const timestamp = Math.floor(clock.now() / 1000);
    try {
      const address: Address = await pin(this.#url, privateAllowed, resolve);
      const { status, retryAfterMs } = await this.#poster.post({
        address,
        headers: {
          ...headers,
          ...(trace && { traceparent: formatTraceparent(trace) }),
          ...(trace?.state && { tracestate: trace.state }),
          "webhook-id": id,
          "webhook-timestamp": String(timestamp),
          "webhook-signature": signatures(secrets, { id, timestamp, body }),
        },
        body,
        timeoutMs: target.timeoutSeconds * 1000,
        signal: this.#closing.signal,
      });
      if (status >= 200 && status < 300) return { outcome: { kind: "ok" } };
      if (status === 410) return { outcome: { kind: "gone" } };
      return { outcome: { kind: "failed", reason: `the receiver answered ${status}` }, retryAfterMs };
    } catch (error) {
      return { outcome: { kind: "failed", reason: reasonOf(error) } };
    }
  }

  #setPace(pace: Pace): void {
    if (pace === this.#pace) return;
    const hasChanged = pace.status !== this.#pace.status;
    this.#pace = pace;
    if (!hasChanged) return;
    this.#arm();
    this.#wakeAll();
    this.#keeping = this.#keeping.then(() => this.#options.keep(pace)).catch(this.#options.onError);
  }

  #arm(): void {
    const { clock } = this.#options;
    this.#timer?.cancel();
    const { resumesAt } = this.#pace;
    if (resumesAt === null || this.#closing.signal.aborted) return;
    this.#timer = clock.after(Math.max(0, resumesAt - clock.now()), () => this.#setPace(probe(this.#pace)));
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #rest(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake.push(resolve);
      this.#options.clock.after(troubleMs, resolve);
    });
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/**
 * The same for the same messages, however often they are sent, so that a receiver can leave out what it has seen; a
 * batch that was put together in another way has another id.
 */
function requestId(topic: number, deliveries: readonly Delivery[]): string {
  const ids = deliveries.map(({ partition, offset }) => formatMessageId(topic, partition, offset));
  if (ids.length === 1) return `msg_${ids[0]}`;
  return `batch_${createHash("sha256").update(ids.join()).digest("base64url").slice(0, 24)}`;
}

const reasonFor = (outcome: Outcome) =>
  outcome.kind === "failed" ? outcome.reason : "the receiver answered 410: it wants no more";

/** For people, and without anything of the inside: what Node says of a connection names addresses. */
function reasonOf(error: unknown): string {
  if (error instanceof HotSwapError) return error.message;
  const { code, message } = error as NodeJS.ErrnoException;
  return code ? `the receiver cannot be reached (${code})` : message.slice(0, 200);
}
