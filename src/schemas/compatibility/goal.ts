/**
 * A goal asks for one value that is valid under some schemas and invalid under others. "Every document of the
 * writer is valid for the reader" is the goal (writer, not reader) having no value.
 */
import type { Json } from "../../core/json.ts";
import type { Part, Schema } from "./model.ts";
import type { Normaliser } from "./normalise.ts";
import type { Work } from "./work.ts";

/** The value is valid under the schema, or with `sign` false is not. */
export interface Literal {
  readonly schema: Schema;
  readonly sign: boolean;
}

/** The same of one part. */
export interface Atom {
  readonly part: Part;
  readonly sign: boolean;
}

/**
 * `empty` is a proof that there is no value. `found` names one. `unknown` is neither, and may name a value that
 * is worth a try.
 */
export type Outcome =
  | { status: "empty" }
  | { status: "found"; value: Json }
  | { status: "unknown"; reason: string; value?: Json };

export const empty: Outcome = { status: "empty" };
export const found = (value: Json): Outcome => ({ status: "found", value });
export const unknown = (reason: string, value?: Json): Outcome =>
  value === undefined ? { status: "unknown", reason } : { status: "unknown", reason, value };

/** What the theories of types need of the solver. */
export interface Solving {
  readonly normaliser: Normaliser;
  readonly work: Work;
  solve(goal: readonly Literal[]): Outcome;
}

/** The first outcome that names a value for certain; else an unknown one; empty when all are. */
export function firstOf(options: Iterable<() => Outcome>): Outcome {
  let best: Outcome = empty;
  for (const option of options) {
    const outcome = option();
    if (outcome.status === "found") return outcome;
    if (outcome.status === "unknown" && (best.status === "empty" || candidateOf(best) === undefined))
      best = outcome;
  }
  return best;
}

export function candidateOf(outcome: Outcome): Json | undefined {
  return outcome.status === "empty" ? undefined : outcome.value;
}

export const positive = (schema: Schema): Literal => ({ schema, sign: true });
export const negative = (schema: Schema): Literal => ({ schema, sign: false });
