/**
 * Lines on their way into a topic: bounded in number and in bytes, counted, each with its receipt. What the
 * server refuses stops the publication, unless it is to go on; what is under way then is still waited for.
 */
import { writeSync } from "node:fs";
import { HotSwapProblem, type PublishReceipt, type StreamPublisher } from "../../client/src/node.ts";
import { HotSwapError } from "../core/errors.ts";
import type { MessageText, TextMessage } from "./message-text.ts";

export interface PublicationOptions {
  publisher: StreamPublisher;
  toText: MessageText;
  /** Told of each line that was refused. When it returns false nothing more is sent. */
  onRefusal: (line: number, error: unknown) => boolean;
  /** A descriptor that gets one JSON object a line for each line that the server has stored. */
  receipts?: number | undefined;
}

/** On the way at once, in characters; the publisher itself bounds the number. */
const lengthMax = 32 << 20;

export class Publication {
  readonly #options: PublicationOptions;
  lines = 0;
  blank = 0;
  acknowledged = 0;
  /** Refused by the server, or not fit to be sent. */
  rejected = 0;
  bytesAcknowledged = 0;
  stopped = false;
  #length = 0;
  #resume: (() => void) | undefined;
  #receiptLines = "";

  constructor(options: PublicationOptions) {
    this.#options = options;
  }

  /** Sent, but never answered: they may be stored or not. */
  get unanswered(): number {
    return this.lines - this.blank - this.acknowledged - this.rejected;
  }

  get full(): boolean {
    return this.#length > lengthMax || this.#options.publisher.full;
  }

  async room(): Promise<void> {
    await this.#options.publisher.ready();
    while (this.#length > lengthMax) await new Promise<void>((resolve) => (this.#resume = resolve));
  }

  add(line: string): void {
    const number = ++this.lines;
    let message: TextMessage | undefined;
    try {
      message = this.#options.toText(line);
    } catch (error) {
      if (!(error instanceof HotSwapError)) throw error;
      this.#refuse(number, error);
      return;
    }
    if (message === undefined) {
      this.blank += 1;
      return;
    }
    const { length } = message.payload;
    this.#length += length;
    this.#options.publisher.publishRaw(message).then(
      (receipt) => {
        this.#leave(length);
        this.acknowledged += 1;
        this.bytesAcknowledged += length;
        if (this.#options.receipts !== undefined) this.#note(number, receipt);
      },
      (error: unknown) => {
        this.#leave(length);
        if (error instanceof HotSwapProblem) this.#refuse(number, error);
        else this.stopped = true; // the server is away; whoever waits for it says so
      },
    );
  }

  async end(): Promise<void> {
    await this.#options.publisher.drain();
    this.#writeReceipts();
  }

  #leave(length: number): void {
    this.#length -= length;
    if (this.#length <= lengthMax / 2) this.#resume?.();
  }

  #refuse(line: number, error: unknown): void {
    this.rejected += 1;
    if (!this.#options.onRefusal(line, error)) this.stopped = true;
  }

  #note(line: number, { messageId, partition, offset, scheduledFor }: PublishReceipt): void {
    if (this.#receiptLines === "") setImmediate(() => this.#writeReceipts());
    const place =
      scheduledFor === undefined
        ? `"partition":${partition},"offset":${offset}`
        : `"scheduledFor":"${scheduledFor}"`;
    this.#receiptLines += `{"line":${line},"messageId":"${messageId}",${place}}\n`;
  }

  /** At once and whole: what is in the file is stored, also when this process is killed. */
  #writeReceipts(): void {
    const { receipts } = this.#options;
    const bytes = Buffer.from(this.#receiptLines);
    this.#receiptLines = "";
    if (receipts === undefined) return;
    for (let done = 0; done < bytes.length; ) done += writeSync(receipts, bytes, done);
  }
}
