/** Messages: publishing, consuming, and what a consumer says about them. */
import { type ConsumeOptions, Consumer, type PullOptions } from "./consumer.ts";
import type {
  Json,
  LeasedMessage,
  Message,
  Nack,
  NewMessage,
  PublishReceipt,
  SettleAnswer,
} from "./message.ts";
import { Publisher, type PublisherOptions } from "./publisher.ts";
import { type CallOptions, path, type Transport } from "./transport.ts";

export class Messages {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Publishes one message. It is repeated only when the server surely did not take it; a
   * `HotSwapConnectionError` of "lost" or "timeout" leaves open whether it did.
   */
  publish<Payload = Json>(
    topic: string,
    message: NewMessage<Payload>,
    options: CallOptions = {},
  ): Promise<PublishReceipt> {
    const body = { topic, ...message };
    return this.#transport.json({ method: "POST", path: "/api/v1/messages/publish", body, ...options });
  }

  /** Publishes messages with one request; all or none are accepted. Receipts are in the order given. */
  async publishBatch<Payload = Json>(
    topic: string,
    messages: readonly NewMessage<Payload>[],
    options: CallOptions = {},
  ): Promise<PublishReceipt[]> {
    const body = { topic, messages };
    const request = { method: "POST", path: "/api/v1/messages/publish", body, ...options } as const;
    return (await this.#transport.json<{ messages: PublishReceipt[] }>(request)).messages;
  }

  /** For many messages: gathers them, keeps their order, and limits what is on the way. */
  publisher<Payload = Json>(topic: string, options: PublisherOptions = {}): Publisher<Payload> {
    return new Publisher(this.#transport, topic, options);
  }

  /** Messages as they come, for `for await`. Leaving the loop hands back what was not looked at. */
  consume<Payload = Json>(topic: string, options: ConsumeOptions = {}): Consumer<Payload> {
    return new Consumer(this, this.#transport.retry, topic, options);
  }

  /** Leases up to `limit` messages with one request; empty when none came in time. */
  async pull<Payload = Json>(topic: string, options: PullOptions = {}): Promise<LeasedMessage<Payload>[]> {
    const { subscription, limit, consumer, consumerPriority, waitSeconds = 0, ...call } = options;
    const answer = await this.#transport.json<{ messages: LeasedMessage<Payload>[] }>({
      method: "GET",
      path: path`/api/v1/messages/consume/${topic}`,
      query: { subscription, limit, consumer, consumerPriority, wait: waitSeconds },
      timeoutMs: (waitSeconds + 30) * 1000,
      ...call,
    });
    return answer.messages;
  }

  get<Payload = Json>(messageId: string, options: CallOptions = {}): Promise<Message<Payload>> {
    return this.#transport.json({ method: "GET", path: path`/api/v1/messages/${messageId}`, ...options });
  }

  /** Done: these messages are not delivered again. */
  ack(receipts: readonly string[], options: CallOptions = {}): Promise<SettleAnswer> {
    return this.#settle("ack", { receipts }, options);
  }

  /** Not done: these messages are delivered again. */
  nack(items: readonly Nack[], options: CallOptions = {}): Promise<SettleAnswer> {
    return this.#settle("nack", { items }, options);
  }

  /** Still at work: the leases run for `seconds` from now. */
  extend(receipts: readonly string[], seconds: number, options: CallOptions = {}): Promise<SettleAnswer> {
    return this.#settle("extend", { receipts, seconds }, options);
  }

  /** Repeating is harmless: what is settled already stays so. */
  #settle(verb: string, body: unknown, options: CallOptions): Promise<SettleAnswer> {
    const request = { method: "POST", path: `/api/v1/messages/${verb}`, body, idempotent: true } as const;
    return this.#transport.json({ ...request, ...options });
  }
}
