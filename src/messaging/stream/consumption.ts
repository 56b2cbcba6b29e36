/**
 * One subscription consumed over a stream: leases messages as long as the client has granted credit for them, and
 * sends them in as few frames as its byte credit and the size of a frame allow. What was leased and cannot be sent
 * any more is given back at once.
 *
 * Credit is spent when a frame is sent and grows by the client's `credit` frames only. The last message may
 * overdraw the bytes, or one that is larger than the whole credit could never be delivered.
 */
import type { Clock } from "../../core/clock.ts";
import type { ConsumerName } from "../delivery/consumers.ts";
import type { Delivery, Received } from "../delivery/delivered.ts";
import type { LiveSubscription } from "../delivery/subscription.ts";
import type { LiveTopic } from "../delivery/topic.ts";
import { parseReceipt } from "../ids.ts";
import { hasFields } from "../message.ts";
import { fieldsText, showReceived } from "../show.ts";
import { type Tracer, traceDelivery } from "../traces.ts";
import { creditMax } from "./control.ts";
import { invalid, writeMessages } from "./frames.ts";

export interface ConsumptionOptions {
  channel: number;
  topic: LiveTopic;
  live: LiveSubscription;
  /** Of the subscription. */
  number: number;
  name: string;
  who: ConsumerName;
  tracer: Tracer;
  encoding: "json" | "binary";
  /** Messages of one frame. */
  batch: number;
  clock: Clock;
  /** Resolves when there is room for more on the way to the client. */
  send(frame: Buffer | string): Promise<void> | undefined;
  /** Told once when it ends by itself. */
  onEnd(error: unknown): void;
}

const waitMs = 30_000;
const frameBytes = 1 << 20;

/** Credit that comes without a word about bytes. */
const bytesUsual = 8 << 20;

export class Consumption {
  readonly channel: number;
  readonly number: number;
  readonly live: LiveSubscription;
  /** Messages that were sent and of which nothing was said over binary frames. */
  unsettled = 0;
  readonly #options: ConsumptionOptions;
  readonly #closing = new AbortController();
  #messages = 0;
  #bytes = 0;
  /** Of a message, as the last ones were. */
  #usualBytes = 1;
  #credited: (() => void) | undefined;

  constructor(options: ConsumptionOptions) {
    this.#options = options;
    this.channel = options.channel;
    this.number = options.number;
    this.live = options.live;
  }

  get topicNumber(): number {
    return this.#options.topic.spec.number;
  }

  start(messages: number, bytes?: number): void {
    this.grant(messages, bytes);
    this.#run()
      .catch((error) => {
        if (!this.#closing.signal.aborted) this.#options.onEnd(error);
      })
      .finally(() => this.live.leave(this.#options.who));
  }

  grant(messages: number, bytes: number = bytesUsual): void {
    this.#messages += messages;
    this.#bytes += bytes;
    this.#bytes = Math.min(this.#bytes, creditMax.bytes);
    if (this.#messages > creditMax.messages) {
      throw invalid(`a channel may have credit for ${creditMax.messages} messages`);
    }
    this.#credited?.();
  }

  /** Nothing more is delivered; what was may still be settled. */
  close(): void {
    this.#closing.abort();
    this.#credited?.();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    const { live, who } = this.#options;
    while (!signal.aborted) {
      if (this.#messages < 1 || this.#bytes < 1) await this.#credit();
      else {
        const received = await live.receive(this.#wanted(), waitMs, signal, who);
        if (received.deliveries.length > 0) await this.#deliver(received);
      }
    }
  }

  /** As many as the credit of bytes is likely to carry: what is leased beyond it could not be sent. */
  #wanted(): number {
    const carried = Math.ceil(this.#bytes / this.#usualBytes);
    return Math.min(this.#messages, this.#options.batch, carried);
  }

  async #deliver({ deliveries, expiresAt }: Received): Promise<void> {
    const { signal } = this.#closing;
    const bytes = deliveries.reduce((sum, { body }) => sum + body.length, 0);
    this.#usualBytes = Math.max(1, bytes / deliveries.length);
    for (let from = 0; from < deliveries.length; ) {
      if (this.#options.clock.now() >= expiresAt) return; // taken back meanwhile
      // On lease for a reader who takes its time, they would be counted as tried, and others might have had them.
      if (signal.aborted || this.#bytes < 1) return this.#release(deliveries.slice(from));
      const to = this.#cut(deliveries, from);
      const room = this.#send(
        from === 0 && to === deliveries.length ? deliveries : deliveries.slice(from, to),
        expiresAt,
      );
      if (room) await room;
      from = to;
    }
  }

  /** Where the frame that begins at `from` ends: one fence, within its size and the credit, one message at least. */
  #cut(deliveries: readonly Delivery[], from: number): number {
    const limit = Math.min(frameBytes, this.#bytes);
    const { fence } = deliveries[from]!;
    let bytes = deliveries[from]!.body.length;
    let to = from + 1;
    for (; to < deliveries.length && deliveries[to]!.fence === fence; to++) {
      bytes += deliveries[to]!.body.length;
      if (bytes > limit) break;
    }
    return to;
  }

  #send(deliveries: Delivery[], expiresAt: number): Promise<void> | undefined {
    const { channel, topic, name: subscription, who, encoding, tracer, send } = this.#options;
    const write = () =>
      encoding === "binary"
        ? writeMessages(channel, deliveries[0]!.fence, { deliveries, expiresAt }, (i) =>
            extras(deliveries[i]!),
          )
        : textFrame(channel, showReceived(topic.spec, { deliveries, expiresAt }));
    const routed = { strategy: topic.spec.routing.strategy, consumer: who.name };
    const outgoing = { topic: topic.spec.name, subscription, ...routed, deliveries };
    const frame = tracer.enabled ? traceDelivery(tracer, outgoing, "consumer", write) : write();
    this.#messages -= deliveries.length;
    this.unsettled += deliveries.length;
    this.#bytes -= frame.length;
    return send(frame);
  }

  async #release(deliveries: readonly Delivery[]): Promise<void> {
    const items = deliveries.map(({ receipt }) => ({ receipt: parseReceipt(receipt), release: true }));
    await this.live.nack(items);
  }

  #credit(): Promise<void> {
    return new Promise((resolve) => {
      this.#credited = () => {
        this.#credited = undefined;
        resolve();
      };
    });
  }
}

/** `{"messages":…}` with the frame's own members before it. */
function textFrame(channel: number, messages: Buffer): string {
  return `{"type":"messages","channel":${channel},${messages.toString("utf8", 1)}`;
}

/** What a delivery has that most do not, as in text. */
function extras({ body, lastReason }: Delivery): string {
  if (!hasFields(body) && lastReason === undefined) return "";
  const reason = lastReason === undefined ? "" : `"lastReason":${JSON.stringify(lastReason)},`;
  return `{${`${hasFields(body) ? fieldsText(body) : ""}${reason}`.slice(0, -1)}}`;
}
