/**
 * Publishing over a stream: messages are gathered for a moment, sent as one frame, and their receipts come back in
 * order. The server's credit bounds what is under way; `ready` is the caller's back-pressure.
 *
 * When the connection breaks, what has no receipt is in doubt. It is sent again, in order and before what waits, when
 * that is safe: with `atLeastOnce`, or when every message in doubt has an idempotency key, which stays the same.
 * Otherwise it is rejected, and so is what waits behind it, as it would overtake.
 */
import {
  type Frame,
  messageIdOf,
  type OpenedTopic,
  type Outcome,
  readReceipts,
  writePublish,
} from "./frames.ts";
import type { Channel, Link, TextFrame } from "./link.ts";
import type { Durability, Json, NewMessage, PublishReceipt } from "./message.ts";
import { HotSwapConnectionError, HotSwapProblem, isSafeToRepeat, type ProblemBody } from "./problem.ts";
import type { PublisherOptions } from "./publisher.ts";
import { after, backoffMs } from "./time.ts";

export interface StreamPublisherOptions extends Omit<PublisherOptions, "signal"> {
  /** Gives each message a key of its own, so that none is stored twice by a repeat. Default false. */
  idempotencyKeys?: boolean;
}

/** A message whose payload is JSON text already, or bytes of another content type. */
export interface RawMessage extends Omit<NewMessage, "payload"> {
  payload: string | Uint8Array;
}

interface Entry {
  key: string | undefined;
  fields: string;
  payload: string | Uint8Array;
  isKeyed: boolean;
  attempts: number;
  resolve(receipt: PublishReceipt): void;
  reject(error: unknown): void;
}

interface Sent {
  id: number;
  entries: Entry[];
  bytes: number;
}

const frameLength = 512 << 10;

/** Its id is text only for who reads it. */
class Receipt implements PublishReceipt {
  readonly #opened: OpenedTopic;
  readonly partition: number;
  readonly offset: number;

  constructor(opened: OpenedTopic, partition: number, offset: number) {
    this.#opened = opened;
    this.partition = partition;
    this.offset = offset;
  }

  get messageId(): string {
    return messageIdOf(this.#opened.number, this.partition, this.offset);
  }

  get topic(): string {
    return this.#opened.topic;
  }

  get durability(): Durability {
    return this.#opened.durability;
  }

  toJSON(): PublishReceipt {
    const { messageId, topic, partition, offset, durability } = this;
    return { messageId, topic, partition, offset, durability };
  }
}

export class StreamPublisher<Payload = Json> implements Channel, AsyncDisposable {
  readonly #link: Link;
  readonly #topic: string;
  readonly #options: Required<StreamPublisherOptions>;
  readonly #number: number;
  readonly #keyPrefix = crypto.getRandomValues(new Uint32Array(3)).join("-");
  #keyCount = 0;
  #opened: OpenedTopic | undefined;
  #queue: Entry[] = [];
  #sent: Sent[] = [];
  /** Refused for now: they go first once everything that is under way is answered. */
  #refused: Entry[] = [];
  #resting = false;
  #nextId = 1;
  #pending = 0;
  #failures = 0;
  #cancelLinger: (() => void) | undefined;
  #waiters: { below: number; resolve: () => void }[] = [];
  #failure: Error | undefined;

  constructor(link: Link, topic: string, options: StreamPublisherOptions) {
    this.#link = link;
    this.#topic = topic;
    this.#options = {
      maxBatch: 500,
      lingerMs: 1,
      maxInFlight: 10_000,
      atLeastOnce: false,
      idempotencyKeys: false,
      ...options,
    };
    this.#number = link.attach(this);
  }

  /** Messages without an answer yet. */
  get pending(): number {
    return this.#pending;
  }

  /** True while `ready` would wait. */
  get full(): boolean {
    return this.#pending >= this.#options.maxInFlight;
  }

  /** Back-pressure: resolves when there is room for more. */
  ready(): Promise<void> {
    return this.full ? this.#pendingBelow(Math.ceil(this.#options.maxInFlight / 2)) : Promise.resolve();
  }

  /** Resolves with the server's receipt for this message. */
  publish(message: NewMessage<Payload>): Promise<PublishReceipt> {
    const { payload, ...rest } = message;
    return this.publishRaw({ ...rest, payload: JSON.stringify(payload) });
  }

  /** The payload goes as it is, so that no digit of it changes. */
  publishRaw({ key, payload, ...fields }: RawMessage): Promise<PublishReceipt> {
    if (this.#failure) return Promise.reject(this.#failure);
    let isKeyed = "idempotencyKey" in fields;
    let text = "";
    if (this.#options.idempotencyKeys && !isKeyed) {
      isKeyed = true;
      text = JSON.stringify({ ...fields, idempotencyKey: `${this.#keyPrefix}-${this.#keyCount++}` });
    } else if (hasMembers(fields)) text = JSON.stringify(fields);
    return new Promise((resolve, reject) => {
      this.#queue.push({ key, fields: text, payload, isKeyed, attempts: 0, resolve, reject });
      this.#pending += 1;
      if (this.#queue.length >= this.#options.maxBatch) this.#flush();
      else this.#cancelLinger ??= after(this.#options.lingerMs, () => this.#flush());
    });
  }

  /** Resolves when every message so far has its answer, good or bad. The publisher can be used further. */
  async drain(): Promise<void> {
    this.#flush();
    await this.#pendingBelow(1);
  }

  /** Drains, and gives up the channel. */
  async close(): Promise<void> {
    await this.drain();
    this.#link.text({ type: "close", channel: this.#number });
    this.#link.detach(this.#number);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  onOpen(number: number): void {
    this.#link.text({ type: "open", channel: number, topic: this.#topic });
  }

  onText(frame: TextFrame): void {
    if (frame.type === "opened") {
      this.#opened = frame as unknown as OpenedTopic;
      this.#flush();
    } else if (frame.type === "drain")
      this.#opened = undefined; // what is under way is still answered
    else if (frame.error) this.onFailure(new HotSwapProblem(frame.error.status ?? 500, frame.error));
  }

  onFrame(frame: Frame): void {
    const sent = this.#sent.shift();
    if (!sent || sent.id !== frame.id) throw new TypeError("a receipt for what was not sent");
    this.#failures = 0;
    this.#link.credit.messages += sent.entries.length;
    this.#link.credit.bytes += sent.bytes;
    const outcomes = readReceipts(frame);
    for (let index = 0; index < sent.entries.length; index++)
      this.#settle(sent.entries[index]!, outcomes[index]!);
    if (this.#refused.length > 0) this.#rest();
    else this.#flush();
  }

  onLost(error: Error): void {
    this.#opened = undefined;
    const inDoubt = this.#sent.flatMap(({ entries }) => entries);
    this.#sent = [];
    const attempts = this.#link.retry.attempts;
    this.#failures += 1;
    const isSafe = this.#options.atLeastOnce || inDoubt.every(({ isKeyed }) => isKeyed);
    this.#queue = [...this.#refused, ...inDoubt, ...this.#queue];
    this.#refused = [];
    if (isSafe && this.#failures < attempts) return;
    const lost =
      error instanceof HotSwapConnectionError
        ? error
        : new HotSwapConnectionError("lost", error.message, error);
    this.#rejectAll(inDoubt.length > 0 ? lost : error);
  }

  onFailure(error: Error): void {
    this.#failure = error;
    this.#queue = [...this.#refused, ...this.#sent.flatMap(({ entries }) => entries), ...this.#queue];
    this.#refused = [];
    this.#sent = [];
    this.#rejectAll(error);
  }

  #rejectAll(error: Error): void {
    for (const entry of this.#queue.splice(0)) {
      entry.reject(error);
      this.#settled();
    }
  }

  #settle(entry: Entry, outcome: Outcome): void {
    if ("offset" in outcome)
      entry.resolve(new Receipt(this.#opened ?? this.#unknown, outcome.partition, outcome.offset));
    else if ("receipt" in outcome) entry.resolve(JSON.parse(outcome.receipt) as PublishReceipt);
    else {
      const problem = new HotSwapProblem(500, JSON.parse(outcome.problem) as ProblemBody);
      entry.attempts += 1;
      if (isSafeToRepeat(problem) && entry.attempts < this.#link.retry.attempts) {
        this.#refused.push(entry);
        return;
      }
      entry.reject(problem);
    }
    this.#settled();
  }

  /** Waits until nothing is under way, and a while longer; then what was refused goes first. */
  #rest(): void {
    if (this.#resting || this.#sent.length > 0) return;
    this.#resting = true;
    const { attempts } = this.#refused[0]!;
    after(backoffMs(this.#link.retry, attempts - 1), () => {
      this.#resting = false;
      this.#queue = this.#refused.splice(0).concat(this.#queue);
      this.#flush();
    });
  }

  #flush(): void {
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    while (this.#queue.length > 0 && this.#opened && this.#refused.length === 0 && !this.#resting) {
      const entries = this.#take();
      if (entries.length === 0) return; // no credit: receipts bring it
      const id = this.#nextId++ >>> 0;
      const frame = writePublish(this.#number, id, entries);
      this.#link.credit.messages -= entries.length;
      this.#link.credit.bytes -= frame.length;
      this.#sent.push({ id, entries, bytes: frame.length });
      this.#link.frame(frame);
    }
  }

  /** The oldest that fit into one frame and into the credit. A character may take three bytes. */
  #take(): Entry[] {
    const { credit } = this.#link;
    const most = Math.min(this.#options.maxBatch, credit.messages, this.#queue.length);
    const room = Math.min(frameLength, (credit.bytes - 64) / 3);
    let length = 0;
    let count = 0;
    for (; count < most; count++) {
      const { payload, fields, key } = this.#queue[count]!;
      length += payload.length + fields.length + (key?.length ?? 0) + 16;
      if (length > room && (count > 0 || this.#sent.length > 0)) break;
    }
    if (count === this.#queue.length) return this.#queue.splice(0);
    return count === 0 ? [] : this.#queue.splice(0, count);
  }

  get #unknown(): OpenedTopic {
    return { topic: this.#topic, number: "", durability: "fsync" };
  }

  #settled(): void {
    this.#pending -= 1;
    while (this.#waiters.length > 0 && this.#pending < this.#waiters[0]!.below)
      this.#waiters.shift()!.resolve();
  }

  #pendingBelow(below: number): Promise<void> {
    if (this.#pending < below) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push({ below, resolve });
      this.#waiters.sort((a, b) => b.below - a.below);
    });
  }
}

function hasMembers(fields: object): boolean {
  for (const name in fields) if (fields[name as keyof typeof fields] !== undefined) return true;
  return false;
}
