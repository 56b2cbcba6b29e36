/** What a publisher has no answer for yet: messages that wait, and those of the request under way. */
import type { PublishReceipt } from "./message.ts";
import type { HotSwapProblem } from "./problem.ts";

export interface Entry {
  /** The message as one line of NDJSON. */
  line: string;
  attempts: number;
  resolve(receipt: PublishReceipt): void;
  reject(error: unknown): void;
}

/** First in, first out, without the cost of shifting an array for each message. */
export class Queue {
  #entries: Entry[] = [];
  #head = 0;

  get length(): number {
    return this.#entries.length - this.#head;
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
  }

  /** The oldest entries: at most `count`, and no more than reach `textLength` characters together. */
  take(count: number, textLength = Number.POSITIVE_INFINITY): Entry[] {
    const start = this.#head;
    const end = Math.min(this.#entries.length, start + count);
    for (let taken = 0; this.#head < end && taken < textLength; this.#head++) {
      taken += this.#entries[this.#head]!.line.length;
    }
    const entries = this.#entries.slice(start, this.#head);
    if (this.#head > 4096 && this.#head * 2 > this.#entries.length) this.putBack([]);
    return entries;
  }

  /** Puts entries before all others. */
  putBack(entries: Entry[]): void {
    this.#entries = entries.concat(this.#entries.slice(this.#head));
    this.#head = 0;
  }
}

/** What one request carries: batches in the order sent, and how far the answers have come. */
export class Session {
  /** Messages that the server refused for now; they go first in the next session. */
  readonly refused: Entry[] = [];
  refusal: HotSwapProblem | undefined;
  /** Nothing more is to be sent. */
  over = false;
  answered = 0;
  #sent = 0;
  #batches: Entry[][] = [];
  #batch = 0;
  #position = 0;

  get unanswered(): number {
    return this.#sent - this.answered;
  }

  add(entries: Entry[]): void {
    this.#batches.push(entries);
    this.#sent += entries.length;
  }

  /** The oldest message without an answer, which it now gets. */
  next(): Entry | undefined {
    while (this.#batch < this.#batches.length) {
      const entry = this.#batches[this.#batch]![this.#position++];
      if (entry) {
        this.answered += 1;
        return entry;
      }
      this.#batches[this.#batch++] = []; // lets go of what is done
      this.#position = 0;
    }
    return undefined;
  }

  /** Everything that the next session has to send again, in order. */
  remaining(): Entry[] {
    const remaining = [...this.refused];
    for (let entry = this.next(); entry; entry = this.next()) remaining.push(entry);
    return remaining;
  }
}
