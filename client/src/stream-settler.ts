/**
 * Acks, nacks and extensions of a stream: many statements become few frames, and each gets its own answer. What has
 * no answer when the connection breaks is said again on the next one: settling twice is harmless.
 */
import {
  type Claim,
  type Frame,
  type NackItem,
  readSettled,
  writeAck,
  writeExtend,
  writeNack,
} from "./frames.ts";
import type { Nack } from "./message.ts";
import { HotSwapProblem, type ProblemBody } from "./problem.ts";
import { after } from "./time.ts";

export interface SettlerOptions {
  size: number;
  lingerMs: number;
  /** False when there is no connection; then it is kept for the next. */
  send(frame: Uint8Array<ArrayBuffer>): boolean;
  receiptOf(claim: Claim): string;
  /** Told of every statement that failed, whether or not its promise is awaited. */
  onFailure: ((receipt: string, error: unknown) => void) | undefined;
}

interface Statement {
  claim: Claim;
  resolve(): void;
  reject(error: unknown): void;
}

interface Batch {
  id: number;
  statements: Statement[];
  frame(channel: number, id: number): Uint8Array<ArrayBuffer>;
}

export class StreamSettler {
  readonly #options: SettlerOptions;
  readonly #channel: () => number;
  readonly #underWay = new Map<number, Batch>();
  #acks: Statement[] = [];
  #nacks: (Statement & NackItem)[] = [];
  #cancelLinger: (() => void) | undefined;
  #nextId = 1;
  #idle: (() => void)[] = [];

  constructor(channel: () => number, options: SettlerOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  /** Statements without an answer. */
  get pending(): number {
    let count = this.#acks.length + this.#nacks.length;
    for (const { statements } of this.#underWay.values()) count += statements.length;
    return count;
  }

  ack(claim: Claim): Promise<void> {
    const added = new Promise<void>((resolve, reject) => {
      this.#acks.push({ claim, resolve, reject });
    });
    added.catch(() => {}); // most callers do not await each; `onFailure` and `flush` are theirs
    this.#gathered(this.#acks.length);
    return added;
  }

  nack(claim: Claim, how: Omit<Nack, "receipt">): Promise<void> {
    const added = new Promise<void>((resolve, reject) => {
      this.#nacks.push({ ...how, claim, resolve, reject });
    });
    added.catch(() => {});
    this.#gathered(this.#nacks.length);
    return added;
  }

  extend(claims: readonly Claim[], seconds: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const statements = claims.map((claim) => ({ claim, resolve, reject }));
      this.#send(statements, (channel, id) => writeExtend(channel, id, claims, seconds));
    });
  }

  /** Sends what is gathered; resolves when everything so far has its answer. */
  async flush(): Promise<void> {
    this.#depart();
    while (this.#underWay.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  depart(): void {
    this.#depart();
  }

  /** On a new connection: says again what had no answer. */
  repeat(): void {
    for (const batch of this.#underWay.values()) this.#options.send(batch.frame(this.#channel(), batch.id));
  }

  onSettled(frame: Frame): void {
    const batch = this.#end(frame.id);
    if (!batch) return;
    const { failed } = readSettled(frame);
    const codes = new Map(failed.map(({ partition, offset, code }) => [`${partition}/${offset}`, code]));
    for (const statement of batch.statements) {
      const { partition, offset } = statement.claim;
      const code = codes.size > 0 ? codes.get(`${partition}/${offset}`) : undefined;
      if (code === undefined) statement.resolve();
      else this.#fail(statement, new HotSwapProblem(code === "lease_lost" ? 409 : 400, { code }));
    }
  }

  onRefused(id: number, problem: ProblemBody): void {
    const batch = this.#end(id);
    const error = new HotSwapProblem(problem.status ?? 500, problem);
    for (const statement of batch?.statements ?? []) this.#fail(statement, error);
  }

  /** There will be no answer any more. */
  failAll(error: Error): void {
    this.#cancelLinger?.();
    const statements = [...this.#acks.splice(0), ...this.#nacks.splice(0)];
    for (const id of [...this.#underWay.keys()]) statements.push(...this.#end(id)!.statements);
    for (const statement of statements) this.#fail(statement, error);
  }

  #gathered(count: number): void {
    if (count >= this.#options.size) this.#depart();
    else this.#cancelLinger ??= after(this.#options.lingerMs, () => this.#depart());
  }

  #depart(): void {
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    const acks = this.#acks;
    const nacks = this.#nacks;
    this.#acks = [];
    this.#nacks = [];
    if (acks.length > 0) {
      const claims = acks.map(({ claim }) => claim);
      this.#send(acks, (channel, id) => writeAck(channel, id, claims));
    }
    if (nacks.length > 0) this.#send(nacks, (channel, id) => writeNack(channel, id, nacks));
  }

  #send(statements: Statement[], frame: Batch["frame"]): void {
    const id = this.#nextId++ >>> 0;
    this.#underWay.set(id, { id, statements, frame });
    this.#options.send(frame(this.#channel(), id));
  }

  #end(id: number): Batch | undefined {
    const batch = this.#underWay.get(id);
    this.#underWay.delete(id);
    if (this.#underWay.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
    return batch;
  }

  #fail(statement: Statement, error: unknown): void {
    statement.reject(error);
    this.#options.onFailure?.(this.#options.receiptOf(statement.claim), error);
  }
}
