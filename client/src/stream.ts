/**
 * One WebSocket for any number of publishers and consumers: the fast way in and out. It connects when it is first
 * used and again whenever it must.
 *
 *   await using stream = hotswap.stream();
 *   const publisher = stream.publisher("orders");
 *   for await (const message of stream.consume("orders")) void message.ack();
 */
import { Link, type LinkOptions } from "./link.ts";
import type { Json } from "./message.ts";
import { type StreamConsumeOptions, StreamConsumer } from "./stream-consumer.ts";
import { StreamPublisher, type StreamPublisherOptions } from "./stream-publisher.ts";
import type { Transport } from "./transport.ts";

export type StreamOptions = LinkOptions;

export class Stream implements AsyncDisposable {
  readonly #link: Link;
  readonly #publishers = new Set<StreamPublisher<never>>();
  readonly #consumers = new Set<StreamConsumer<never>>();

  constructor(transport: Transport, options: StreamOptions) {
    this.#link = new Link(transport, options);
  }

  publisher<Payload = Json>(topic: string, options: StreamPublisherOptions = {}): StreamPublisher<Payload> {
    const publisher = new StreamPublisher<Payload>(this.#link, topic, options);
    this.#publishers.add(publisher as StreamPublisher<never>);
    return publisher;
  }

  consume<Payload = Json>(topic: string, options: StreamConsumeOptions = {}): StreamConsumer<Payload> {
    const consumer = new StreamConsumer<Payload>(this.#link, topic, options);
    this.#consumers.add(consumer as unknown as StreamConsumer<never>);
    return consumer;
  }

  /** Ends every loop, waits for every receipt and ack, and closes the connection. */
  async drain(): Promise<void> {
    const ends = [...this.#consumers, ...this.#publishers].map((one) => one.close());
    await Promise.allSettled(ends);
    this.#link.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain();
  }
}
