/**
 * Consuming over a stream with `for await`: the server sends what it has as long as there is credit, which the loop
 * gives back as it goes on. A broken connection is mended for as long as it takes; the leases stay, and what was
 * not acknowledged on the old connection is on the new one.
 *
 * Leaving the loop, aborting the signal or closing hands back what was not looked at and sends what was said; only
 * then is the consumer done. Delivery is at least once.
 */
import { type Claim, type Frame, frameKind, type MessagesFrame, readMessages, receiptOf } from "./frames.ts";
import type { Channel, Link, TextFrame } from "./link.ts";
import type { Json } from "./message.ts";
import { HotSwapProblem } from "./problem.ts";
import { type DeliveryContext, StreamDelivery } from "./stream-delivery.ts";
import { StreamSettler } from "./stream-settler.ts";
import { every, nowMs } from "./time.ts";

export interface StreamConsumeOptions {
  /** Default "default", which every queue topic has. */
  subscription?: string;
  /** Who consumes, as `explain` shows it; the same name is the same consumer. Default: one of its own. */
  consumer?: string | undefined;
  /** 0..9: larger goes first with the strategies `priority` and `direct`. */
  consumerPriority?: number | undefined;
  /** Messages that may be here and not yet looked at. Default 1,000, at most 10,000. */
  credit?: number;
  /** The same in bytes; the last frame may overdraw it. Default 16 MiB, at most 64. */
  creditBytes?: number;
  /** Take so many in all; the loop ends by itself. */
  count?: number;
  /** Keep leases alive while their messages are worked on, each at most `capSeconds`. Default: not. */
  keepLease?: { seconds: number; capSeconds: number } | undefined;
  /** Acks sent together (default 500), and how long one may wait for others (default 5). */
  ackBatch?: number;
  ackLingerMs?: number;
  /** Aborting ends the loop quietly. */
  signal?: AbortSignal | undefined;
  /** Told when the server has opened the subscription, on each connection: silence then says that nothing is there. */
  onConsuming?: (() => void) | undefined;
  /** Told of each ack or nack that did not count, mostly `lease_lost`: the message will come again. */
  onSettleFailure?: ((receipt: string, error: unknown) => void) | undefined;
}

/** Above this, acks come faster than the server takes them, and the loop waits. */
const acksAtMost = 20_000;

export class StreamConsumer<Payload = Json>
  implements Channel, AsyncIterableIterator<StreamDelivery<Payload>>, AsyncDisposable
{
  readonly #link: Link;
  readonly #options: StreamConsumeOptions & { credit: number; creditBytes: number };
  readonly #settler: StreamSettler;
  readonly #context: DeliveryContext;
  readonly #number: number;
  /** Kept over connections, so that who comes back is not taken for another. */
  readonly #name = `consumer-${crypto.getRandomValues(new Uint32Array(1))[0]!.toString(36)}`;
  /** On lease and when they came; kept only where leases are kept alive. */
  readonly #leases = new Map<Claim, number>();
  #endKeeping: (() => void) | undefined;
  #frames: (MessagesFrame & { size: number })[] = [];
  #position = 0;
  /** What is here and not looked at; the bytes of a frame until the last of its messages is. */
  #buffered = { messages: 0, bytes: 0 };
  /** What the server may still send; bytes below 0 when it has overdrawn them. */
  #granted = { messages: 0, bytes: 0 };
  /** Looked at, and not yet given back as credit. */
  #spent = { messages: 0, bytes: 0 };
  #left: number;
  #arrival: (() => void) | undefined;
  #failure: Error | undefined;
  #closing = false;
  #closed: Promise<void> | undefined;

  constructor(link: Link, topic: string, options: StreamConsumeOptions) {
    this.#link = link;
    this.#options = {
      ...options,
      credit: options.credit ?? 1_000,
      creditBytes: options.creditBytes ?? 16 << 20,
    };
    this.#left = options.count ?? Number.POSITIVE_INFINITY;
    const context: DeliveryContext = {
      topic,
      topicNumber: "",
      subscriptionNumber: "",
      ack: (claim) => this.#release(claim, this.#settler.ack(claim)),
      nack: (claim, how) => this.#release(claim, this.#settler.nack(claim, how)),
      extend: (claim, seconds) => this.#settler.extend([claim], seconds),
    };
    this.#context = context;
    this.#settler = new StreamSettler(() => this.#number, {
      size: options.ackBatch ?? 500,
      lingerMs: options.ackLingerMs ?? 5,
      send: (frame) => this.#send(frame),
      receiptOf: (claim) => receiptOf(context.subscriptionNumber, claim),
      onFailure: options.onSettleFailure,
    });
    options.signal?.addEventListener("abort", () => void this.close(), { once: true });
    this.#number = link.attach(this);
    if (options.signal?.aborted) void this.close();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<StreamDelivery<Payload>, undefined>> {
    for (;;) {
      if (this.#settler.pending > acksAtMost) await this.flush();
      const delivery = this.#closing ? undefined : this.#take();
      if (delivery) return { done: false, value: delivery };
      if (this.#closing || this.#left === 0) return this.return();
      if (this.#failure) {
        await this.close();
        throw this.#failure;
      }
      await new Promise<void>((resolve) => {
        this.#arrival = resolve;
      });
      this.#arrival = undefined;
    }
  }

  /** What is here already, without waiting: a whole page of it. */
  takeAvailable(atMost: number): StreamDelivery<Payload>[] {
    const taken: StreamDelivery<Payload>[] = [];
    while (taken.length < atMost && !this.#closing) {
      const delivery = this.#take();
      if (!delivery) break;
      taken.push(delivery);
    }
    return taken;
  }

  async return(): Promise<IteratorResult<StreamDelivery<Payload>, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  /** Resolves when the server knows of every ack and nack so far. */
  flush(): Promise<void> {
    return this.#settler.flush();
  }

  /** Ends the loop, hands back what was not looked at, and flushes. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  onOpen(number: number): void {
    const { topic } = this.#context;
    const { subscription = "default", consumer = this.#name, consumerPriority } = this.#options;
    this.#granted = { messages: 0, bytes: 0 };
    const credit = this.#closing ? this.#granted : this.#grant();
    const who = { consumer, ...(consumerPriority !== undefined && { consumerPriority }) };
    const frame = { type: "consume", channel: number, topic, subscription, encoding: "binary" };
    this.#link.text({ ...frame, ...who, ...credit });
  }

  onText(frame: TextFrame): void {
    if (frame.type === "consuming") {
      const { number, topicNumber } = frame as unknown as { number: string; topicNumber: string };
      this.#context.subscriptionNumber = number;
      this.#context.topicNumber = topicNumber;
      this.#settler.repeat();
      this.#options.onConsuming?.();
    } else if (frame.type === "drain") {
      this.#handBackAll(); // they would come again anyway, and now another consumer may have them
      this.#settler.depart();
    } else if (frame.error && frame.id !== undefined) this.#settler.onRefused(frame.id, frame.error);
    else if (frame.error) {
      this.#link.detach(this.#number);
      this.onFailure(new HotSwapProblem(frame.error.status ?? 500, frame.error));
    }
  }

  onFrame(frame: Frame): void {
    if (frame.kind === frameKind.settled) this.#settler.onSettled(frame);
    else if (frame.kind === frameKind.messages) this.#arrived(frame);
  }

  #arrived(frame: Frame): void {
    const came = readMessages(frame);
    this.#granted.messages -= came.messages.length;
    this.#granted.bytes -= frame.bytes.length;
    if (this.#closing) {
      for (const message of came.messages) this.#handBack(came, message);
      return;
    }
    this.#frames.push({ ...came, size: frame.bytes.length });
    this.#buffered.messages += came.messages.length;
    this.#buffered.bytes += frame.bytes.length;
    this.#arrival?.();
  }

  onLost(): void {} // what is under way is said again

  onFailure(error: Error): void {
    this.#failure = error;
    this.#settler.failAll(error);
    this.#arrival?.();
  }

  #take(): StreamDelivery<Payload> | undefined {
    const frame = this.#frames[0];
    if (!frame) return undefined;
    const message = frame.messages[this.#position++]!;
    if (this.#position === frame.messages.length) {
      this.#frames.shift();
      this.#position = 0;
      this.#buffered.bytes -= frame.size;
      this.#spent.bytes += frame.size;
    }
    this.#buffered.messages -= 1;
    this.#left -= 1;
    this.#spent.messages += 1;
    const { credit, creditBytes } = this.#options;
    if (this.#spent.messages * 4 >= credit || this.#spent.bytes * 4 >= creditBytes) this.#giveBack();
    const delivery = new StreamDelivery<Payload>(this.#context, message, frame.fence, frame.expiresAt);
    if (this.#options.keepLease) this.#keep(delivery);
    return delivery;
  }

  /** All that may be asked for beyond what is here or promised, which it is from now on. */
  #grant(): { messages: number; bytes: number } {
    const { credit, creditBytes } = this.#options;
    const [buffered, granted] = [this.#buffered, this.#granted];
    const messages = Math.max(0, Math.min(credit, this.#left) - buffered.messages - granted.messages);
    const bytes = Math.max(0, creditBytes - buffered.bytes - granted.bytes);
    granted.messages += messages;
    granted.bytes += bytes;
    this.#spent = { messages: 0, bytes: 0 };
    return { messages, bytes };
  }

  #giveBack(): void {
    const credit = this.#grant();
    if (credit.messages + credit.bytes > 0)
      this.#link.text({ type: "credit", channel: this.#number, ...credit });
  }

  async #close(): Promise<void> {
    this.#closing = true;
    this.#arrival?.();
    if (this.#link.isOpen && !this.#failure) this.#link.text({ type: "close", channel: this.#number });
    this.#handBackAll();
    if (!this.#failure) await this.flush();
    this.#endKeeping?.();
    this.#link.detach(this.#number);
  }

  #handBackAll(): void {
    for (const frame of this.#frames.splice(0)) {
      for (const message of frame.messages.slice(this.#position)) this.#handBack(frame, message);
      this.#position = 0;
    }
    this.#buffered = { messages: 0, bytes: 0 };
  }

  #handBack({ fence }: MessagesFrame, { partition, offset }: { partition: number; offset: number }): void {
    void this.#settler.nack({ partition, offset, fence }, { release: true });
  }

  #send(frame: Uint8Array<ArrayBuffer>): boolean {
    if (!this.#link.isOpen) return false;
    this.#link.frame(frame);
    return true;
  }

  #keep(claim: Claim): void {
    const { seconds, capSeconds } = this.#options.keepLease!;
    this.#leases.set(claim, nowMs());
    this.#endKeeping ??= every((seconds * 1000) / 3, () => {
      const oldest = nowMs() - capSeconds * 1000;
      for (const [held, since] of this.#leases) if (since < oldest) this.#leases.delete(held);
      // What fails here shows when the message is acknowledged; the next turn tries again.
      if (this.#leases.size > 0) void this.#settler.extend([...this.#leases.keys()], seconds).catch(() => {});
    });
  }

  #release(claim: Claim, settled: Promise<void>): Promise<void> {
    this.#leases.delete(claim);
    return settled;
  }
}
