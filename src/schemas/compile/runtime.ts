/**
 * What a compiled validator calls while it runs, and the bound on its work. Generated code counts every call of a
 * subschema and every turn of a loop; when a document has kept it busy for longer than allowed it ends with
 * `TooCostly`. Schemas with exponentially many ways to look at one document exist, and nothing in them shows it.
 */
import { createRequire } from "node:module";
import type { Clock } from "../../core/clock.ts";
import { canonicalJson } from "../../core/json.ts";
import { isMultipleOf } from "../decimal.ts";
import { Automaton, type Meter } from "../patterns/automaton.ts";

export class TooCostly extends Error {}

/** Steps between two looks at the clock. */
const stride = 1_024;

export class Allowance implements Meter {
  /** Counted down by generated code. */
  left = stride;
  readonly #clock: Clock;
  readonly #limitMs: number;
  #endsAt = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock;
    this.#limitMs = limitMs;
  }

  /** Before each document. */
  renew(): void {
    this.left = stride;
    this.#endsAt = this.#clock.monotonic() + this.#limitMs;
  }

  spend(steps: number): void {
    this.left -= steps;
    if (this.left < 0) this.refill();
  }

  /** Throws TooCostly when the time is up. */
  refill(): void {
    if (this.#clock.monotonic() > this.#endsAt) throw new TooCostly();
    this.left = stride;
  }
}

export interface Runtime {
  work: Allowance;
  pattern(source: string): Automaton;
  isMultipleOf(value: number, step: number): boolean;
  isUnique(items: readonly unknown[]): boolean;
}

export function runtime(work: Allowance): Runtime {
  return {
    work,
    pattern: (source) => new Automaton(source, undefined, work),
    isMultipleOf,
    // Linear in the text, where comparing all pairs would be quadratic.
    isUnique(items) {
      const seen = new Set<string>();
      for (const item of items) {
        const text = canonicalJson(item);
        work.spend(1 + (text.length >> 6));
        if (seen.has(text)) return false;
        seen.add(text);
      }
      return true;
    },
  };
}

const require = createRequire(import.meta.url);
/** What the library's own generated code asks for. */
const library = new Set(["ajv/dist/runtime/equal", "ajv/dist/runtime/ucs2length"]);

/** The modules of generated code: this runtime, and two of the library's; nothing else. */
export function modulesFor(runtime: Runtime): (name: string) => unknown {
  return (name) => {
    if (name === "hotswap") return runtime;
    if (library.has(name)) return require(name);
    throw new Error(`generated code asks for ${name}`);
  };
}
