/**
 * Acks and nacks, gathered: many small statements about messages become few requests. `add` resolves when
 * the server has taken the statement and rejects when it was refused (`lease_lost`) or could not be made.
 */

import type { SettleAnswer } from "./message.ts";
import { HotSwapProblem } from "./problem.ts";
import { after } from "./time.ts";

interface Statement<Item> {
  item: Item;
  receipt: string;
  resolve(): void;
  reject(error: unknown): void;
}

export interface SettlementOptions {
  size: number;
  lingerMs: number;
  /** Told of every statement that failed, whether or not its promise is awaited. */
  onFailure?: ((receipt: string, error: unknown) => void) | undefined;
}

export class Settlement<Item> {
  readonly #send: (items: Item[]) => Promise<SettleAnswer>;
  readonly #options: SettlementOptions;
  readonly #underWay = new Set<Promise<void>>();
  #gathered: Statement<Item>[] = [];
  #cancelLinger: (() => void) | undefined;

  constructor(send: (items: Item[]) => Promise<SettleAnswer>, options: SettlementOptions) {
    this.#send = send;
    this.#options = options;
  }

  add(item: Item, receipt: string): Promise<void> {
    const added = new Promise<void>((resolve, reject) => {
      this.#gathered.push({ item, receipt, resolve, reject });
    });
    // Most callers do not await each ack; `onFailure` and `flush` are theirs. No crash for lack of a handler.
    added.catch(() => {});
    if (this.#gathered.length >= this.#options.size) this.#depart();
    else this.#cancelLinger ??= after(this.#options.lingerMs, () => this.#depart());
    return added;
  }

  /** Requests that have no answer yet; a consumer slows down by it. */
  get underWay(): number {
    return this.#underWay.size;
  }

  /** Resolves when one request less is under way. */
  async relief(): Promise<void> {
    await Promise.race(this.#underWay);
  }

  /** Resolves when every statement so far has its answer, good or bad. */
  async flush(): Promise<void> {
    this.#depart();
    await Promise.all(this.#underWay);
  }

  #depart(): void {
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    if (this.#gathered.length === 0) return;
    const journey = this.#settle(this.#gathered).finally(() => this.#underWay.delete(journey));
    this.#gathered = [];
    this.#underWay.add(journey);
  }

  async #settle(statements: Statement<Item>[]): Promise<void> {
    let failed: Map<string, unknown>;
    try {
      const answer = await this.#send(statements.map(({ item }) => item));
      failed = new Map(answer.failed.map((failure) => [failure.receipt, new HotSwapProblem(409, failure)]));
    } catch (error) {
      failed = new Map(statements.map(({ receipt }) => [receipt, error]));
    }
    for (const { receipt, resolve, reject } of statements) {
      const failure = failed.size > 0 ? failed.get(receipt) : undefined;
      if (failure === undefined) resolve();
      else {
        reject(failure);
        this.#options.onFailure?.(receipt, failure);
      }
    }
  }
}
