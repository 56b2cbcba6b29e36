/**
 * Compiled schemas that are in use, by their number: a text never changes, so neither does its validator. Bounded
 * by what the generated code takes; what was pushed out is compiled again when it is asked for.
 */
import { LRUCache } from "lru-cache";
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import type { WorkerPool } from "./compile/pool.ts";
import { Validator } from "./compile/validator.ts";

export interface ValidatorOptions {
  pool: WorkerPool;
  clock: Clock;
  /** Of one document. */
  documentTimeoutMs: number;
}

const cacheBytes = 64 << 20;
/** Tables of the patterns, and what the engine makes of the code. */
const overheadBytes = 16 << 10;

export class Validators {
  readonly #options: ValidatorOptions;
  readonly #ready = new LRUCache<string, Validator>({
    maxSize: cacheBytes,
    sizeCalculation: ({ sizeBytes }) => sizeBytes + overheadBytes,
  });
  readonly #making = new Map<string, Promise<Validator>>();

  constructor(options: ValidatorOptions) {
    this.#options = options;
  }

  /** Of the schema of this number. Synchronous when it is there already. */
  get(tenant: string, number: number, text: string): Validator | Promise<Validator> {
    const key = `${tenant}\n${number}`;
    const ready = this.#ready.get(key);
    if (ready) return ready;
    const making = this.#making.get(key) ?? this.#make(key, text);
    this.#making.set(key, making);
    return making;
  }

  async #make(key: string, text: string): Promise<Validator> {
    try {
      const { pool, clock, documentTimeoutMs } = this.#options;
      const done = await pool.run({ kind: "compile", schema: text });
      if (done.kind !== "compiled") {
        throw new HotSwapError("schema_invalid", "The stored schema cannot be compiled by this version.");
      }
      const validator = new Validator(done.code, clock, documentTimeoutMs);
      this.#ready.set(key, validator);
      return validator;
    } finally {
      this.#making.delete(key);
    }
  }
}
