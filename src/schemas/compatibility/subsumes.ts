/**
 * Is every document that is valid under `writer` valid under `reader`? Proven, refuted with a document, or not
 * decided with the reason. A document is shown only after a real validator has found it valid under the one and
 * invalid under the other; of those found, made smaller as long as it stays one.
 */
import { canonicalJson, type Json } from "../../core/json.ts";
import type { SchemaDocument } from "../document.ts";
import { candidateOf, negative, positive } from "./goal.ts";
import { Normaliser } from "./normalise.ts";
import { Solver } from "./solver.ts";
import { Exhausted, Work } from "./work.ts";

export type Comparison =
  | { verdict: "compatible" }
  | { verdict: "incompatible"; counterexample: Json }
  | { verdict: "unknown"; reason: string };

/** Says whether a document is valid, by the validator that will be used. */
export type Validate = (value: Json) => boolean;

export interface Side {
  document: SchemaDocument;
  validate: Validate;
}

/** Steps of one proof: a second or two. */
const workMax = 400_000;
const candidatesMax = 12;

export function subsumes(writer: Side, reader: Side, steps = workMax): Comparison {
  const breaks = (value: Json) => judge(() => writer.validate(value) && !reader.validate(value));
  const work = new Work(steps);
  let best: Json | undefined;
  let candidates = 0;
  let reason = "";
  try {
    const normaliser = new Normaliser();
    const goal = [
      positive(normaliser.schema(writer.document, writer.document.root)),
      negative(normaliser.schema(reader.document, reader.document.root)),
    ];
    const outcome = new Solver(normaliser, work).explore(goal, (candidate) => {
      const value = candidateOf(candidate)!;
      if (candidate.status === "unknown" && reason === "") reason = candidate.reason;
      if (!breaks(value)) return false;
      if (best === undefined || sizeOf(value) < sizeOf(best)) best = value;
      candidates += 1;
      return candidates >= candidatesMax;
    });
    if (outcome.status === "empty") return { verdict: "compatible" };
    if (outcome.status === "unknown" && reason === "") reason = outcome.reason;
  } catch (error) {
    if (!(error instanceof Exhausted)) throw error;
    reason = error.message;
  }
  if (best !== undefined) return { verdict: "incompatible", counterexample: shrink(best, breaks) };
  return { verdict: "unknown", reason: reason || "the checker and the validator disagree about a document" };
}

/** A document that the validator cannot finish with shows nothing. */
function judge(test: () => boolean): boolean {
  try {
    return test();
  } catch {
    return false;
  }
}

const sizeOf = (value: Json) => canonicalJson(value).length;
const attemptsMax = 2_000;

/** Goes on to a smaller document as long as one still breaks. */
function shrink(value: Json, breaks: (value: Json) => boolean): Json {
  let current = value;
  let attempts = 0;
  for (;;) {
    const smaller = smallerOf(current).find((candidate) => {
      attempts += 1;
      return attempts < attemptsMax && sizeOf(candidate) < sizeOf(current) && breaks(candidate);
    });
    if (smaller === undefined) return current;
    current = smaller;
  }
}

/** Documents with something left out or made simpler, the boldest first. */
function smallerOf(value: Json): Json[] {
  if (typeof value === "string") {
    if (value === "") return [];
    return ["", value.slice(0, value.length >> 1), value.slice(0, -1)].filter((text) => text.isWellFormed());
  }
  if (typeof value === "number") return [0, 1, Math.trunc(value)];
  if (Array.isArray(value)) {
    const shorter: Json[] = value.length > 0 ? [[], ...value.map((_, i) => value.toSpliced(i, 1))] : [];
    return shorter.concat(value.flatMap((item, i) => smallerOf(item).map((inner) => value.with(i, inner))));
  }
  if (typeof value !== "object" || value === null) return [];
  const entries = Object.entries(value);
  const without = entries.map((_, i) => Object.fromEntries(entries.toSpliced(i, 1)));
  const inner = entries.flatMap(([name, member]) =>
    smallerOf(member).map((smaller): Json => ({ ...value, [name]: smaller })),
  );
  return [...(entries.length > 0 ? [{}] : []), ...without, ...inner];
}
