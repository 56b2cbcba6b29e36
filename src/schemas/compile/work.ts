/**
 * What a worker does with schemas, as pure functions of texts: checked, compiled, compared, applied. Runs in
 * worker.ts under a deadline; nothing here may be called on the main thread with what a user sent.
 */
import { type Clock, systemClock } from "../../core/clock.ts";
import type { FieldError } from "../../core/errors.ts";
import { canonicalJson, type Json } from "../../core/json.ts";
import { type Comparison, type Side, subsumes } from "../compatibility/subsumes.ts";
import { type Draft, SchemaDocument } from "../document.ts";
import { compile, faultsOf, generate } from "./ajv.ts";
import { Allowance, runtime, TooCostly } from "./runtime.ts";
import { violationsOf } from "./violations.ts";

export type Job =
  | { kind: "compile"; schema: string }
  /** Each pair: is every document of the one valid under the other? Indexes into `schemas`. */
  | { kind: "compare"; schemas: readonly string[]; pairs: readonly { writer: number; reader: number }[] }
  /** All violations of each document, which is JSON text. */
  | { kind: "validate"; schema: string; documents: readonly string[]; below: string };

export type Done =
  | { kind: "faulty"; faults: FieldError[] }
  | { kind: "compiled"; code: string; draft: Draft; canonical: string }
  | { kind: "compared"; comparisons: Comparison[] }
  | { kind: "validated"; results: (FieldError[] | null)[] };

/** Of one document in a job; the job has a deadline of its own. */
const documentMs = 1_000;

export function perform(job: Job, clock: Clock = systemClock): Done {
  switch (job.kind) {
    case "compile":
      return compileJob(job.schema, clock);
    case "compare": {
      const sides = job.schemas.map((text) => sideOf(text, clock));
      const comparisons = job.pairs.map(({ writer, reader }) => subsumes(sides[writer]!, sides[reader]!));
      return { kind: "compared", comparisons };
    }
    case "validate":
      return validateJob(job.schema, job.documents, job.below, clock);
  }
}

function compileJob(text: string, clock: Clock): Done {
  const schema = JSON.parse(text) as Json;
  const document = new SchemaDocument(schema);
  // The shape first: what it says about a keyword is clearer than what comes of it.
  const faults = document.draft && !isShallowFault(document) ? faultsOf(schema, document.draft) : [];
  const all = [...faults, ...document.faults];
  if (all.length > 0) return { kind: "faulty", faults: all };
  try {
    const code = generate(document, runtime(new Allowance(clock, documentMs)));
    return { kind: "compiled", code, draft: document.draft, canonical: canonicalJson(schema) };
  } catch (error) {
    return { kind: "faulty", faults: [{ pointer: "", message: (error as Error).message }] };
  }
}

/** A document that is no schema at all, or too large to be looked at by the metaschema. */
function isShallowFault({ faults }: SchemaDocument): boolean {
  return faults.some(({ message }) => message.startsWith("is beyond"));
}

/** Of a schema that was compiled before, so it has no faults. */
export function sideOf(text: string, clock: Clock): Side {
  const schema = JSON.parse(text) as Json;
  const document = new SchemaDocument(schema);
  const first = document.faults[0];
  if (first) throw new Error(`${first.pointer} ${first.message}`);
  const work = new Allowance(clock, documentMs);
  const validate = compile(document, runtime(work));
  return { document, validate: (value) => validate(value) === true };
}

function validateJob(text: string, documents: readonly string[], below: string, clock: Clock): Done {
  const schema = JSON.parse(text) as Json;
  const document = new SchemaDocument(schema);
  if (document.faults.length > 0) return { kind: "faulty", faults: document.faults };
  const work = new Allowance(clock, documentMs);
  const validate = compile(document, runtime(work), true);
  const results = documents.map((each): FieldError[] | null => {
    try {
      work.renew();
      return validate(JSON.parse(each)) ? null : violationsOf(validate.errors ?? [], below);
    } catch (error) {
      if (!(error instanceof TooCostly) && !(error instanceof RangeError)) throw error;
      return [{ pointer: below, message: "cannot be validated within its time" }];
    }
  });
  return { kind: "validated", results };
}
