/**
 * The checker against the validator: for pairs from a seed, a verdict "compatible" must stand against every
 * document that is tried, and a counter-example must be one.
 */
import { systemClock } from "../../core/clock.ts";
import type { Json } from "../../core/json.ts";
import { seededRandom } from "../../core/random.ts";
import { faultsOf } from "../compile/ajv.ts";
import { sideOf } from "../compile/work.ts";
import { SchemaDocument } from "../document.ts";
import { holds } from "./evaluate.ts";
import { Fuzzer } from "./fuzz.testing.ts";
import { Normaliser } from "./normalise.ts";
import { type Comparison, type Side, subsumes } from "./subsumes.ts";
import { Work } from "./work.ts";

export interface Tally {
  compatible: number;
  incompatible: number;
  unknown: number;
  /** Incompatible by a document that the fuzzer found, where the checker did not decide. */
  missed: number;
  /** Pairs with a schema that is refused. */
  refused: number;
  reasons: Map<string, number>;
}

/** Throws with the seed of the pair when the checker is wrong. */
export function checkPairs(seed: number, pairs: number, documents = 60): Tally {
  const tally: Tally = {
    compatible: 0,
    incompatible: 0,
    unknown: 0,
    missed: 0,
    refused: 0,
    reasons: new Map(),
  };
  for (let i = 0; i < pairs; i++) checkPair(seed + i, documents, tally);
  return tally;
}

function checkPair(seed: number, documents: number, tally: Tally): void {
  const fuzzer = new Fuzzer(seededRandom(seed));
  const { writer, reader } = fuzzer.pair();
  const texts = [writer, reader].map((schema) => JSON.stringify(schema));
  if ([writer, reader].some(isRefused)) {
    tally.refused += 1;
    return;
  }
  const [from, to] = texts.map((text) => sideOf(text, systemClock));
  const breaks = (value: Json) => from!.validate(value) && !to!.validate(value);
  const comparison = subsumes(from!, to!, 300_000);
  tally[comparison.verdict] += 1;
  const made = fuzzer.documents(writer, reader, documents);
  const broken = made.find(breaks);
  const misread = misreadOf(from!, made) ?? misreadOf(to!, made);
  if (misread) throw new Error(`seed ${seed}: ${misread}`);
  const wrong = isWrong(comparison, broken, breaks);
  if (wrong) throw new Error(`seed ${seed}: ${wrong}\nwriter ${texts[0]}\nreader ${texts[1]}`);
  if (comparison.verdict !== "unknown") return;
  if (broken !== undefined) tally.missed += 1;
  tally.reasons.set(comparison.reason, (tally.reasons.get(comparison.reason) ?? 0) + 1);
}

function isWrong(
  comparison: Comparison,
  broken: Json | undefined,
  breaks: (value: Json) => boolean,
): string | undefined {
  if (comparison.verdict === "compatible" && broken !== undefined)
    return `said to be compatible, and ${JSON.stringify(broken)} breaks it`;
  if (comparison.verdict === "incompatible" && !breaks(comparison.counterexample))
    return `${JSON.stringify(comparison.counterexample)} does not break it`;
  return undefined;
}

const isRefused = (schema: Json) => {
  const document = new SchemaDocument(schema);
  return document.faults.length > 0 || faultsOf(schema, document.draft).length > 0;
};

/** What the model says of a document must be what the validator says. */
function misreadOf(side: Side, values: readonly Json[]): string | undefined {
  const { document } = side;
  const normaliser = new Normaliser();
  const schema = normaliser.schema(document, document.root);
  for (const value of values) {
    const truth = holds(schema, value, new Work(1e6));
    if (truth !== undefined && truth !== side.validate(value))
      return `${JSON.stringify(value)} is ${truth} by the model of ${JSON.stringify(document.root)}`;
  }
  return undefined;
}
