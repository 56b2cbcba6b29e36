/**
 * From a topic to stdout. One page of messages is written while the next one is asked for, never two at
 * once, so that pages come in the order in which the server gave them; a page is acknowledged when the system
 * has taken all of it. What was taken but not written when the command ends is given back.
 */
import type { LeasedMessage } from "../../client/src/node.ts";
import { systemClock } from "../core/clock.ts";
import { StreamConsumption } from "./consume-stream.ts";
import type { ConsumeLinesOptions, ConsumptionCounts } from "./consumption.ts";
import { durationText, grouped, written } from "./print.ts";
import { Progress } from "./progress.ts";

/** Acknowledgements under way; above this they come faster than the server takes them. */
const acksAtMost = 4;
const waitSecondsMax = 20;

export async function consumeLines(options: ConsumeLinesOptions): Promise<void> {
  // Only an answer to a request says that there is nothing more; a stream just stays silent.
  const byStream = options.idleSeconds !== 0;
  const consumption = byStream ? new StreamConsumption(options) : new Consumption(options);
  const { topic, patience } = options;
  const read = () => ({ count: consumption.written, bytes: consumption.bytes });
  // On one terminal the lines themselves show how it goes on.
  const progress = process.stdout.isTTY ? undefined : new Progress(`sub ${topic}`, read);
  if (progress) patience.say = (text) => progress.say(`hotswap: ${text}`);
  const stop = () => consumption.stop();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const started = systemClock.monotonic();
  try {
    await consumption.run();
  } finally {
    progress?.end();
    process.stderr.write(`${summary(consumption, systemClock.monotonic() - started)}\n`);
  }
}

function summary({ written, redelivered, lateAcks }: ConsumptionCounts, ms: number): string {
  const rate = grouped(Math.round(written / Math.max(ms / 1000, 0.001)));
  const notes = [
    ...(redelivered > 0 ? [`${grouped(redelivered)} of them not for the first time`] : []),
    ...(lateAcks > 0 ? [`${grouped(lateAcks)} acknowledged too late, which come again`] : []),
  ];
  return [`${grouped(written)} messages in ${durationText(ms)} (${rate}/s)`, ...notes].join(", ");
}

class Consumption {
  readonly #options: ConsumeLinesOptions;
  readonly #stopping = new AbortController();
  readonly #signal: AbortSignal;
  readonly #acks = new Set<Promise<void>>();
  readonly #lineOf: (message: LeasedMessage) => string;
  #idleLeft: number;
  #asked = 0;
  written = 0;
  bytes = 0;
  redelivered = 0;
  lateAcks = 0;

  constructor(options: ConsumeLinesOptions) {
    this.#options = options;
    this.#signal = AbortSignal.any([this.#stopping.signal, options.patience.signal]);
    this.#lineOf = options.format === "ndjson" ? wholeLine : payloadLine;
    this.#idleLeft = options.idleSeconds ?? Number.POSITIVE_INFINITY;
  }

  stop(): void {
    this.#stopping.abort();
  }

  async run(): Promise<void> {
    const { count, idleSeconds = Number.POSITIVE_INFINITY } = this.#options;
    let coming = this.#ask();
    while (this.written < count) {
      const { page, waitSeconds, alone } = await coming;
      if (this.#stopping.signal.aborted) {
        await this.#release(page);
        break;
      }
      // Messages behind one that is still held here are not seen, so emptiness counts only without such.
      if (page.length > 0) this.#idleLeft = idleSeconds;
      else if (alone) this.#idleLeft -= waitSeconds;
      else await this.#settled(0);
      if (this.#idleLeft <= 0 && page.length === 0 && alone) break;
      coming = this.#ask();
      coming.catch(() => {}); // is thrown when its page is needed
      await this.#write(page);
      await this.#settled(acksAtMost);
    }
    await this.#settled(0);
    this.#options.patience.signal.throwIfAborted();
  }

  /** The next page; empty when nothing came in time, or there is nothing more to ask for. */
  async #ask() {
    const { messages, topic, subscription, count, batch } = this.#options;
    const alone = this.#acks.size === 0 && this.#asked === this.written;
    const waitSeconds = Math.min(this.#idleLeft, waitSecondsMax);
    const limit = Math.min(batch, count - this.#asked);
    if (limit <= 0) return { page: [], waitSeconds, alone };
    const { consumer, consumerPriority } = this.#options;
    const who = { consumer, consumerPriority };
    const options = { subscription, ...who, limit, waitSeconds, signal: this.#signal };
    const page = await messages.pull(topic, options).catch((error) => {
      if (this.#stopping.signal.aborted) return [];
      throw error;
    });
    this.#asked += page.length;
    return { page, waitSeconds, alone };
  }

  async #write(page: LeasedMessage[]): Promise<void> {
    if (page.length === 0) return;
    let text = "";
    for (const message of page) {
      text += this.#lineOf(message);
      if (message.attempt > 1) this.redelivered += 1;
    }
    await written(text);
    this.written += page.length;
    this.bytes += text.length;
    if (this.#options.ack) this.#ack(page);
  }

  #ack(page: LeasedMessage[]): void {
    const { messages, patience } = this.#options;
    const receipts = page.map(({ receipt }) => receipt);
    const ack = messages
      .ack(receipts, { signal: patience.signal })
      .then(({ failed }) => {
        this.lateAcks += failed.length;
      })
      .finally(() => this.#acks.delete(ack));
    ack.catch(() => {}); // is thrown where acks are waited for
    this.#acks.add(ack);
  }

  async #settled(atMost: number): Promise<void> {
    while (this.#acks.size > atMost) await Promise.race(this.#acks);
  }

  async #release(page: LeasedMessage[]): Promise<void> {
    if (page.length === 0) return;
    const items = page.map(({ receipt }) => ({ receipt, delayMs: 0, reason: "released" }));
    // What cannot be given back comes back by itself, at its deadline.
    await this.#options.messages.nack(items, { signal: this.#options.patience.signal }).catch(() => {});
  }
}

function wholeLine({ receipt, leaseExpiresAt, ...message }: LeasedMessage): string {
  return `${JSON.stringify(message)}\n`;
}

function payloadLine({ payload }: LeasedMessage): string {
  const text = typeof payload === "string" ? payload : JSON.stringify(payload);
  // A message must not steer the terminal that it is shown on.
  return `${process.stdout.isTTY ? text.replaceAll(/(?!\t)\p{Cc}/gu, "\u{fffd}") : text}\n`;
}
