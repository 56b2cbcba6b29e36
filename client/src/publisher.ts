/**
 * Publishing many messages in order. They are gathered and sent as NDJSON, one line each, and the server
 * answers one line each in the same order. Over a duplex wire one request streams both ways at once; over
 * fetch one batch at a time goes out while the next one gathers. So order is kept either way.
 *
 * A session is one such request. When it fails and the server surely took nothing of what is unanswered,
 * those messages go first in the next session; otherwise they, and all that wait behind them, are rejected.
 */
import type { Json, NewMessage, PublishReceipt } from "./message.ts";
import { type Entry, Queue, Session } from "./outbox.ts";
import {
  HotSwapConnectionError,
  HotSwapProblem,
  isSafeToRepeat,
  isTransient,
  type ProblemBody,
} from "./problem.ts";
import { after, nowMs } from "./time.ts";
import type { Transport } from "./transport.ts";

export interface PublisherOptions {
  /** Messages sent together. Default 500. */
  maxBatch?: number;
  /** How long a message may wait for company. Default 1. */
  lingerMs?: number;
  /** Messages that are not answered yet, above which `ready` waits. Default 10,000. */
  maxInFlight?: number;
  /**
   * Also repeat messages of which nobody knows whether the server took them (the connection was lost). Then
   * none is lost, but some may be stored twice. Default false: such messages are rejected.
   */
  atLeastOnce?: boolean;
  signal?: AbortSignal | undefined;
}

/** A session ends after this, so that neither a token nor a balancer's choice stays for ever. */
const sessionMs = 10_000;
/** A session with nothing to send ends after this. */
const idleMs = 20;
const chunkLength = 1 << 20;

export class Publisher<Payload = Json> implements AsyncDisposable {
  readonly #transport: Transport;
  readonly #topic: string;
  readonly #options: Required<Omit<PublisherOptions, "signal">>;
  readonly #signal: AbortSignal | undefined;
  readonly #queue = new Queue();
  #pending = 0;
  #running = false;
  #draining = 0;
  /** Wakes the sending side, and the number of queued messages that it wants to be woken for. */
  #wake: (() => void) | undefined;
  #wakeLength = 1;
  #waiters: { below: number; resolve: () => void }[] = [];

  constructor(transport: Transport, topic: string, { signal, ...options }: PublisherOptions) {
    this.#transport = transport;
    this.#topic = topic;
    this.#options = { maxBatch: 500, lingerMs: 1, maxInFlight: 10_000, atLeastOnce: false, ...options };
    this.#signal = signal;
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
    return this.publishText(JSON.stringify(message));
  }

  /** A message that is JSON text already, on one line. It is sent as it is, so that no number changes. */
  publishText(text: string): Promise<PublishReceipt> {
    const line = `${text}\n`;
    return new Promise((resolve, reject) => {
      this.#queue.push({ line, attempts: 0, resolve, reject });
      this.#pending += 1;
      if (!this.#running) void this.#run();
      else if (this.#queue.length >= this.#wakeLength) this.#wake?.();
    });
  }

  /** Resolves when every message so far has its answer, good or bad. The publisher can be used further. */
  async drain(): Promise<void> {
    this.#draining += 1;
    this.#wake?.();
    await this.#pendingBelow(1);
    this.#draining -= 1;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain();
  }

  async #run(): Promise<void> {
    this.#running = true;
    await this.#linger();
    for (let failures = 0; this.#queue.length > 0; ) {
      const session = new Session();
      const failure = await this.#send(session).then(
        () => session.refusal,
        (error: unknown) => error,
      );
      session.over = true;
      this.#wake?.(); // the body's generator, when it still waits for messages
      if (session.answered > session.refused.length) failures = 0;
      if (failure !== undefined) await this.#recover(session, failure, failures++);
    }
    this.#running = false;
  }

  /** After a failed session: puts back what may be sent again and waits, or rejects everything. */
  async #recover(session: Session, failure: unknown, failures: number): Promise<void> {
    this.#queue.putBack(session.remaining());
    const repeat = isSafeToRepeat(failure) || (this.#options.atLeastOnce && isTransient(failure));
    try {
      if (!repeat || failures + 1 >= this.#transport.retry.attempts) throw failure;
      await this.#transport.pause(failures, failure, this.#signal);
    } catch (error) {
      for (const entry of this.#queue.take(this.#queue.length)) this.#settle(() => entry.reject(error));
    }
  }

  async #send(session: Session): Promise<void> {
    const request = {
      method: "POST",
      path: "/api/v1/messages/publish",
      query: { topic: this.#topic },
      headers: { "content-type": "application/x-ndjson", accept: "application/x-ndjson" },
      signal: this.#signal,
    } as const;
    const body = this.#transport.wire.duplex ? this.#stream(session) : this.#chunk(session);
    const response = await this.#transport.open(request, body);
    let rest = "";
    for await (const part of response.chunks()) {
      const end = part.lastIndexOf("\n") + 1;
      if (end > 0) this.#answer(session, rest + part.slice(0, end));
      rest = end > 0 ? part.slice(end) : rest + part;
    }
    this.#answer(session, rest);
    if (session.unanswered > 0) {
      throw new HotSwapConnectionError("lost", "the answer ended before every message was answered");
    }
  }

  /** Takes whole lines, each the answer to the oldest message that has none. */
  #answer(session: Session, lines: string): void {
    const text = lines.trim();
    if (text === "") return;
    // A line feed cannot stand inside of JSON strings, so many lines are parsed at once.
    const answers: (PublishReceipt & { error?: ProblemBody })[] = JSON.parse(
      `[${text.replaceAll("\n", ",")}]`,
    );
    for (const answer of answers) {
      const entry = session.next();
      if (!entry) break; // more answers than messages: nobody waits for them
      if (!answer.error) this.#settle(() => entry.resolve(answer));
      else this.#refuse(session, entry, new HotSwapProblem(answer.error.status ?? 500, answer.error));
    }
    if (this.#wakeLength === 1) this.#wake?.();
  }

  #refuse(session: Session, entry: Entry, problem: HotSwapProblem): void {
    entry.attempts += 1;
    if (isSafeToRepeat(problem) && entry.attempts < this.#transport.retry.attempts) {
      session.refused.push(entry);
      session.refusal = problem;
    } else this.#settle(() => entry.reject(problem));
  }

  #settle(outcome: () => void): void {
    outcome();
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

  /** Gives messages time to come together, unless there are enough of them or somebody waits for the end. */
  async #linger(): Promise<void> {
    const { lingerMs, maxBatch } = this.#options;
    if (this.#draining === 0 && this.#queue.length < maxBatch) await this.#change(lingerMs, maxBatch);
  }

  /** Resolves when `length` messages wait, when (for a length of 1) an answer came, or after `atMostMs`. */
  #change(atMostMs: number, length: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = after(atMostMs, () => this.#wake?.());
      this.#wakeLength = length;
      this.#wake = () => {
        this.#wake = undefined;
        cancel();
        resolve();
      };
    });
  }

  #chunk(session: Session): string {
    const entries = this.#queue.take(this.#options.maxBatch, chunkLength);
    session.add(entries);
    let text = "";
    for (const entry of entries) text += entry.line;
    return text;
  }

  /** The body of a duplex session: chunks as messages come, until it is idle, old or over. */
  async *#stream(session: Session): AsyncGenerator<string> {
    const until = nowMs() + sessionMs;
    let idleUntil = nowMs() + idleMs;
    while (!session.over && session.refusal === undefined && nowMs() < until) {
      const isEmpty = this.#queue.length === 0;
      if (!isEmpty && session.unanswered < this.#options.maxInFlight) {
        yield this.#chunk(session);
        if (!session.over) await this.#linger();
        idleUntil = nowMs() + idleMs;
        continue;
      }
      // Even without the answers: what stands between may hold them back until the request has ended.
      if (isEmpty && (this.#draining > 0 || nowMs() >= idleUntil)) return;
      await this.#change((isEmpty ? idleUntil : until) - nowMs(), 1);
    }
  }
}
