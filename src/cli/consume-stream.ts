/**
 * From a topic to stdout over a stream: the server sends as long as there is credit, what has come is written in one
 * go, and acknowledged when the system has taken it. Payloads are shown as they were published, with every digit.
 */
import type { StreamConsumer, StreamDelivery } from "../../client/src/node.ts";
import { systemClock, type Timer } from "../core/clock.ts";
import type { ConsumeLinesOptions, ConsumptionCounts } from "./consumption.ts";
import type { Patience } from "./patience.ts";
import { written } from "./print.ts";

export type ConsumeStreamOptions = ConsumeLinesOptions;

export class StreamConsumption implements ConsumptionCounts {
  readonly #options: ConsumeStreamOptions;
  readonly #stopping = new AbortController();
  readonly #lineOf: (message: StreamDelivery) => string;
  #idle: Timer | undefined;
  #isConsuming = false;
  written = 0;
  bytes = 0;
  redelivered = 0;
  lateAcks = 0;

  constructor(options: ConsumeStreamOptions) {
    this.#options = options;
    this.#lineOf = options.format === "ndjson" ? wholeLine : payloadLine;
  }

  stop(): void {
    this.#stopping.abort();
  }

  async run(): Promise<void> {
    const { client, topic, subscription, consumer: name, count, batch, patience } = this.#options;
    const signal = AbortSignal.any([this.#stopping.signal, patience.signal]);
    const stream = client.stream(this.#whileConnected(patience));
    const consumer = stream.consume(topic, {
      subscription,
      consumer: name,
      consumerPriority: this.#options.consumerPriority,
      credit: batch * 2,
      ...(Number.isFinite(count) && { count }),
      signal,
      onConsuming: () => {
        this.#isConsuming = true;
        this.#awaitMessages();
      },
      onSettleFailure: () => {
        this.lateAcks += 1;
      },
    });
    try {
      await this.#write(consumer);
    } finally {
      this.#idle?.cancel();
      await stream.drain();
    }
    patience.signal.throwIfAborted();
  }

  async #write(consumer: StreamConsumer): Promise<void> {
    this.#awaitMessages();
    for await (const first of consumer) {
      this.#idle?.cancel();
      const page = [first, ...consumer.takeAvailable(this.#options.batch - 1)];
      let text = "";
      for (const message of page) {
        text += this.#lineOf(message);
        if (message.attempt > 1) this.redelivered += 1;
      }
      await written(text);
      this.written += page.length;
      this.bytes += text.length;
      if (this.#options.ack) for (const message of page) void message.ack();
      if (this.written >= this.#options.count) break;
      this.#awaitMessages();
    }
  }

  /** Silence counts only while the server could break it. */
  #whileConnected(patience: Patience) {
    const { signal, onOpen, onRetry } = patience.ofStream();
    return {
      signal,
      onOpen,
      onRetry: (error: unknown) => {
        this.#isConsuming = false;
        this.#idle?.cancel();
        onRetry(error);
      },
    };
  }

  /** Stops when none comes for so long. */
  #awaitMessages(): void {
    const { idleSeconds } = this.#options;
    if (idleSeconds === undefined || !this.#isConsuming) return;
    this.#idle?.cancel();
    this.#idle = systemClock.after(idleSeconds * 1000, () => this.stop(), { keepAlive: true });
  }
}

/** Line ends stand between the parts of JSON only, never inside of its strings. */
const onOneLine = (json: string) => json.replaceAll(/[\r\n]+/g, " ");

function wholeLine(message: StreamDelivery): string {
  const { receipt, leaseExpiresAt, payload, payloadBase64, ...shown } = message.toJSON();
  const head = JSON.stringify(shown).slice(0, -1);
  if (payloadBase64 !== undefined) return `${head},"payloadBase64":"${payloadBase64}"}\n`;
  return `${head},"payload":${onOneLine(message.payloadText)}}\n`;
}

function payloadLine(message: StreamDelivery): string {
  const raw = message.payloadText;
  const text = message.isJson && raw.startsWith('"') ? (JSON.parse(raw) as string) : onOneLine(raw);
  // A message must not steer the terminal that it is shown on.
  return `${process.stdout.isTTY ? text.replaceAll(/(?!\t)\p{Cc}/gu, "\u{fffd}") : text}\n`;
}
