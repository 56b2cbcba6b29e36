/**
 * Publishing over one connection: the credit that bounds what is under way, and the answers, which are written in the
 * order in which their frames came, however long each one took.
 */
import { HotSwapError } from "../../core/errors.ts";
import type { LiveTopic } from "../delivery/topic.ts";
import { type MessageLimits, receiptText } from "../messages.ts";
import { rawElements, rawMembers } from "../raw-json.ts";
import { type FrameHead, type Published, readPublish, writeReceipts } from "./frames.ts";
import { messageOfEntry, messageOfText, publishEach } from "./publication.ts";
import type { Remote } from "./remote.ts";

export interface PublishingParts {
  /** Messages and bytes that a client may have sent without having their receipts. */
  credit: { messages: number; bytes: number };
  limits: MessageLimits;
  requestId: string;
  /** Why nothing is taken any more. */
  refusal(): HotSwapError | undefined;
  send(frame: Buffer | string): void;
  /** An answer is owed. */
  onBegin(): void;
  /** It has been written. */
  onEnd(): void;
  /** Another node serves the topic by now. */
  onMoved(topic: LiveTopic): void;
  onFailure(error: unknown): void;
}

export class Publishing {
  readonly #parts: PublishingParts;
  readonly #credit: { messages: number; bytes: number };
  /** The newest answer; each waits for the one before it. */
  #answered: Promise<void> = Promise.resolve();

  constructor(parts: PublishingParts) {
    this.#parts = parts;
    this.#credit = { ...parts.credit };
  }

  frame(topic: LiveTopic, frame: Buffer, head: FrameHead): void {
    const { limits } = this.#parts;
    const entries = readPublish(frame, head);
    this.#spend(entries.length, frame.length);
    const work = this.#publish(topic, entries, (entry, index) => messageOfEntry(entry, index, limits));
    this.#answer(work, entries.length, frame.length, (published) =>
      writeReceipts(head.channel, head.id, published),
    );
  }

  /** `count` messages in a frame of text. */
  text(topic: LiveTopic, text: Buffer, { id, count }: { id: number | undefined; count: number }): void {
    const { limits } = this.#parts;
    this.#spend(count, text.length);
    const texts = rawElements(rawMembers(text).get("messages")!);
    const work = this.#publish(topic, texts, (one, index) => messageOfText(one, index, limits));
    this.#answer(work, count, text.length, (published) => receiptsText(topic, id, published));
  }

  /** A frame whose topic another node serves. */
  there(
    remote: Remote,
    frame: Buffer,
    isBinary: boolean,
    { count, id }: { count: number; id?: number | undefined },
  ): void {
    this.#spend(count, frame.length);
    this.#answer(remote.publish(frame, isBinary, id), count, frame.length, (receipts) => receipts);
  }

  #publish<Given>(topic: LiveTopic, given: readonly Given[], read: Parameters<typeof publishEach<Given>>[2]) {
    const { requestId, refusal, onMoved } = this.#parts;
    return publishEach(topic, given, read, { requestId, refusal: refusal(), onMoved: () => onMoved(topic) });
  }

  /** Writes what the work came to, after all answers before it, and gives the credit back. */
  #answer<Outcome>(
    work: Promise<Outcome>,
    messages: number,
    bytes: number,
    frameOf: (outcome: Outcome) => Buffer | string,
  ): void {
    const { onBegin, onEnd, onFailure, send } = this.#parts;
    onBegin();
    const before = this.#answered;
    this.#answered = (async () => {
      const outcome = await work;
      await before;
      this.#credit.messages += messages;
      this.#credit.bytes += bytes;
      send(frameOf(outcome));
      onEnd();
    })();
    this.#answered.catch(onFailure);
  }

  #spend(messages: number, bytes: number): void {
    this.#credit.messages -= messages;
    this.#credit.bytes -= bytes;
    if (this.#credit.messages < 0 || this.#credit.bytes < 0) throw new HotSwapError("credit_exceeded");
  }
}

function receiptsText(topic: LiveTopic, id: number | undefined, published: readonly Published[]): string {
  const receipts = published.map((one) => {
    if ("offset" in one) return receiptText(topic, one);
    return "problem" in one ? `{"error":${one.problem}}` : one.receipt;
  });
  return `{"type":"receipts"${id === undefined ? "" : `,"id":${id}`},"receipts":[${receipts.join(",")}]}`;
}
