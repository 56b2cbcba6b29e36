/** A message that came over a stream: views on its frame, made into values when they are read. */
import { type Claim, type IncomingMessage, messageIdOf, receiptOf } from "./frames.ts";
import type { Json, LeasedMessage, Nack } from "./message.ts";

/** What the messages of a channel have in common. */
export interface DeliveryContext {
  topic: string;
  /** Number of the topic and of the subscription, as ids and receipts have them. */
  topicNumber: string;
  subscriptionNumber: string;
  ack(delivery: Claim): Promise<void>;
  nack(delivery: Claim, options: Omit<Nack, "receipt">): Promise<void>;
  extend(delivery: Claim, seconds: number): Promise<void>;
}

const decoder = new TextDecoder();
const noHeaders = Object.freeze({});

export class StreamDelivery<Payload = Json> implements LeasedMessage<Payload>, Claim {
  readonly #context: DeliveryContext;
  readonly #message: IncomingMessage;
  readonly #expiresAt: number;
  readonly fence: number;
  #payload: Payload | undefined;

  constructor(context: DeliveryContext, message: IncomingMessage, fence: number, expiresAt: number) {
    this.#context = context;
    this.#message = message;
    this.#expiresAt = expiresAt;
    this.fence = fence;
  }

  get messageId(): string {
    return messageIdOf(this.#context.topicNumber, this.partition, this.offset);
  }

  get topic(): string {
    return this.#context.topic;
  }

  get partition(): number {
    return this.#message.partition;
  }

  get offset(): number {
    return this.#message.offset;
  }

  get attempt(): number {
    return this.#message.attempt;
  }

  get key(): string | null {
    const { key } = this.#message;
    return key.length === 0 ? null : decoder.decode(key);
  }

  get headers(): Record<string, string> {
    const { headers } = this.#message;
    return headers.length === 0 ? noHeaders : JSON.parse(decoder.decode(headers));
  }

  /** The bytes that were published. */
  get payloadBytes(): Uint8Array<ArrayBuffer> {
    return this.#message.payload;
  }

  /** The text that was published, with every digit of its numbers. */
  get payloadText(): string {
    return decoder.decode(this.#message.payload);
  }

  /** Media type of the payload; undefined for JSON. */
  get contentType(): string | undefined {
    return this.extras.contentType as string | undefined;
  }

  /** The JSON that was published; of another content type, its bytes. */
  get payload(): Payload {
    this.#payload ??= this.#read();
    return this.#payload;
  }

  get publishedAt(): string {
    return new Date(this.#message.publishedAt).toISOString();
  }

  get receipt(): string {
    return receiptOf(this.#context.subscriptionNumber, this);
  }

  get leaseExpiresAt(): string {
    return new Date(this.#expiresAt).toISOString();
  }

  /** What has no member of its own here, such as `contentType` and `lastReason`. */
  get extras(): Record<string, unknown> {
    const { extras } = this.#message;
    return extras.length === 0 ? noHeaders : JSON.parse(decoder.decode(extras));
  }

  /** Done. Resolves when the server knows; need not be awaited. */
  ack(): Promise<void> {
    return this.#context.ack(this);
  }

  /** Not done: deliver it again, after the subscription's back-off unless `delayMs` says otherwise. */
  nack(options: Omit<Nack, "receipt"> = {}): Promise<void> {
    return this.#context.nack(this, options);
  }

  /** Still at work: the lease runs for `seconds` from now. */
  extend(seconds: number): Promise<void> {
    return this.#context.extend(this, seconds);
  }

  /** With all its members, as text would show it. */
  toJSON(): Record<string, unknown> {
    const { messageId, topic, partition, offset, key, publishedAt, headers, attempt } = this;
    const { receipt, leaseExpiresAt, extras } = this;
    const payload = this.isJson
      ? { payload: this.payload }
      : { payloadBase64: toBase64(this.#message.payload) };
    const place = { messageId, topic, partition, offset, key, publishedAt, headers, ...payload };
    return { ...place, attempt, receipt, leaseExpiresAt, ...extras };
  }

  /** Whether the payload is JSON text. */
  get isJson(): boolean {
    const type = (this.contentType ?? "application/json").split(";", 1)[0]!.trim().toLowerCase();
    return type === "application/json" || type.endsWith("+json");
  }

  #read(): Payload {
    const { payload } = this.#message;
    return (this.isJson ? JSON.parse(decoder.decode(payload)) : payload) as Payload;
  }
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192)
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}
