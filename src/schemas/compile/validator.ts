/**
 * A compiled schema, ready for the hot path: a function that was generated in a worker and is only loaded here.
 * A document costs no more than its allowance of time, whatever the schema is.
 */
import type { ValidateFunction } from "ajv";
import type { Clock } from "../../core/clock.ts";
import { type FieldError, HotSwapError } from "../../core/errors.ts";
import { Allowance, modulesFor, runtime, TooCostly } from "./runtime.ts";
import { violationsOf } from "./violations.ts";

export class Validator {
  /** Of the generated code, which is most of what it holds in memory. */
  readonly sizeBytes: number;
  readonly #work: Allowance;
  readonly #validate: ValidateFunction;

  constructor(code: string, clock: Clock, documentTimeoutMs: number) {
    this.sizeBytes = code.length;
    this.#work = new Allowance(clock, documentTimeoutMs);
    // The text comes from our own worker, which the library wrote; a schema's texts are literals in it.
    const load = new Function("require", "module", code);
    const module: { exports: unknown } = { exports: undefined };
    load(modulesFor(runtime(this.#work)), module);
    this.#validate = module.exports as ValidateFunction;
  }

  /**
   * What is wrong with the value, as places below `below`; undefined when nothing is. Throws `schema_too_costly`
   * when to find out takes too long.
   */
  violations(value: unknown, below: string): FieldError[] | undefined {
    this.#work.renew();
    try {
      if (this.#validate(value)) return undefined;
      return violationsOf(this.#validate.errors ?? [], below);
    } catch (error) {
      // Too slow, too deep, or a fault of generated code: a document that nobody could judge is not let in.
      const message =
        error instanceof TooCostly ? "cannot be validated within its time" : "cannot be validated";
      const fields = [{ pointer: below, message }];
      throw new HotSwapError("schema_too_costly", undefined, { fields, cause: error });
    }
  }
}
