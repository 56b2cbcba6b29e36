/**
 * Looks for a value that meets a goal, or proves that there is none.
 *
 * For each type of value by itself, schemas are taken apart until only parts about that type are left (`atoms`);
 * alternatives branch. What is left at the end of a branch is decided by the theory of the type. Members of
 * objects and items of arrays are goals of their own.
 *
 * Schemas may lead back to themselves. A goal that comes up again below itself is taken to have no value
 * there: of the values that meet it the smallest contains no other that does. What is proven under such an
 * assumption is remembered only once the goal that it is about is decided.
 *
 * Every `empty` is a proof: constraints may be left out on the way to one, never added. A value is held against
 * all atoms before it is `found`; where something opaque decides, it is `unknown` with the value.
 */
import type { Json } from "../../core/json.ts";
import { solveArray } from "./arrays.ts";
import { partHolds } from "./evaluate.ts";
import {
  type Atom,
  candidateOf,
  empty,
  firstOf,
  found,
  type Literal,
  type Outcome,
  type Solving,
  unknown,
} from "./goal.ts";
import { concerns, type Part, type Schema, type ValueType } from "./model.ts";
import type { Normaliser } from "./normalise.ts";
import { solveNumber } from "./numbers.ts";
import { solveObject } from "./objects.ts";
import { solveString } from "./strings.ts";
import type { Work } from "./work.ts";

type Item = Literal | Atom;
/** Told of each value that a branch comes to; true ends the search. */
type Watch = (outcome: Outcome) => boolean;

/** Small values first. */
const order: readonly ValueType[] = ["integer", "string", "array", "object", "null", "boolean", "fraction"];
const depthMax = 48;

interface Branch {
  type: ValueType;
  atoms: readonly Atom[];
  signs: ReadonlyMap<Schema, boolean>;
  /** Each a list of alternatives of which one must hold. */
  choices: readonly (readonly (readonly Item[])[])[];
}

export class Solver implements Solving {
  readonly normaliser: Normaliser;
  readonly work: Work;
  readonly #known = new Map<string, Outcome>();
  /** Goals under way, with their depth. */
  readonly #active = new Map<string, number>();
  /** The outermost goal under way that something was assumed of. */
  #assumed = Number.POSITIVE_INFINITY;
  #watch: Watch | undefined;

  constructor(normaliser: Normaliser, work: Work) {
    this.normaliser = normaliser;
    this.work = work;
  }

  /** As `solve`, and tells `watch` of every value at the root on the way, until it says true. */
  explore(goal: readonly Literal[], watch: Watch): Outcome {
    this.#watch = watch;
    return this.solve(goal);
  }

  solve(goal: readonly Literal[]): Outcome {
    const watch = this.#watch;
    this.#watch = undefined;
    const key = keyOf(goal);
    const known = this.#known.get(key);
    if (known) return known;
    const depth = this.#active.size;
    const above = this.#active.get(key);
    if (above !== undefined) {
      this.#assumed = Math.min(this.#assumed, above);
      return empty;
    }
    if (depth >= depthMax) return unknown("the schemas lead deeper than is followed");
    this.work.spend(1);
    const outer = this.#assumed;
    this.#assumed = Number.POSITIVE_INFINITY;
    this.#active.set(key, depth);
    const outcome = this.#search(goal, watch);
    this.#active.delete(key);
    const isIndependent = this.#assumed >= depth;
    if (isIndependent || outcome.status === "found") this.#known.set(key, outcome);
    this.#assumed = isIndependent ? outer : Math.min(outer, this.#assumed);
    return outcome;
  }

  #search(goal: readonly Literal[], watch: Watch | undefined): Outcome {
    const start = { atoms: [], signs: new Map(), choices: [] };
    const isTold = (outcome: Outcome): Outcome => {
      if (!watch || candidateOf(outcome) === undefined) return outcome;
      return watch(outcome) ? found(candidateOf(outcome)!) : unknown("", candidateOf(outcome)!);
    };
    return firstOf(order.map((type) => () => this.#branch({ ...start, type }, goal, isTold)));
  }

  /** Takes the items apart, then tries the alternatives of the choice that has fewest. */
  #branch(from: Branch, items: readonly Item[], told: (outcome: Outcome) => Outcome): Outcome {
    this.work.spend(1);
    const branch = this.#take(from, items);
    if (!branch) return empty;
    const choices = simplify(branch);
    if (!choices) return empty;
    const [smallest, ...others] = choices.sort((a, b) => a.length - b.length);
    if (!smallest) return told(this.#leaf(branch.type, branch.atoms));
    const rest = { ...branch, choices: others };
    return firstOf(smallest.map((alternative) => () => this.#branch(rest, alternative, told)));
  }

  /** Undefined when the items contradict one another, or the type. */
  #take(from: Branch, items: readonly Item[]): Branch | undefined {
    const { type } = from;
    const atoms = [...from.atoms];
    const signs = new Map(from.signs);
    const choices = [...from.choices];
    const queue = [...items];
    for (let item = queue.pop(); item; item = queue.pop()) {
      this.work.spend(1);
      if ("schema" in item) {
        const { schema, sign } = item;
        const known = signs.get(schema);
        if (known === sign) continue;
        if (known !== undefined) return undefined;
        signs.set(schema, sign);
        const parts = schema.parts.filter((part) => concerns(part, type));
        if (sign) for (const part of parts) queue.push({ part, sign });
        else {
          const alternatives = parts.flatMap((part) => denials(part, type));
          if (alternatives.length === 0) return undefined;
          if (!alternatives.some((alternative) => alternative.length === 0)) choices.push(alternatives);
        }
        continue;
      }
      const { part, sign } = item;
      if (!sign) {
        if (atoms.some((atom) => atom.sign && atom.part === part)) return undefined;
        atoms.push(item);
        continue;
      }
      switch (part.kind) {
        case "types":
          if (!part.allowed.includes(type)) return undefined;
          break;
        case "all":
          for (const schema of part.schemas) queue.push({ schema, sign: true });
          break;
        case "not":
          queue.push({ schema: part.schema, sign: false });
          break;
        case "any":
        case "one":
        case "if":
        case "dependent":
          choices.push(affirmations(part));
          break;
        default:
          if (atoms.some((atom) => !atom.sign && atom.part === part)) return undefined;
          atoms.push(item);
      }
    }
    return { type, atoms, signs, choices };
  }

  #leaf(type: ValueType, atoms: readonly Atom[]): Outcome {
    const finite = finiteValues(type, atoms);
    if (finite) return this.#among(finite, atoms);
    const outcome = this.#theory(type, atoms);
    const value = candidateOf(outcome);
    if (value === undefined) return outcome;
    const truth = this.#verify(value, atoms);
    if (truth === true) return found(value);
    const reason = truth === undefined ? opaqueReason(atoms) : "no value was found that meets everything";
    return unknown(reason, value);
  }

  #theory(type: ValueType, atoms: readonly Atom[]): Outcome {
    if (type === "string") return solveString(atoms, this.work);
    if (type === "array") return solveArray(atoms, this);
    if (type === "object") return solveObject(atoms, this);
    return solveNumber(type, atoms, (value) => {
      const isType = Number.isFinite(value) && Number.isInteger(value) === (type === "integer");
      return isType && this.#verify(value, atoms) !== false;
    });
  }

  #among(values: readonly Json[], atoms: readonly Atom[]): Outcome {
    let best: Outcome = empty;
    for (const value of values) {
      const truth = this.#verify(value, atoms);
      if (truth === true) return found(value);
      if (truth === undefined) best = unknown(opaqueReason(atoms), value);
    }
    return best;
  }

  #verify(value: Json, atoms: readonly Atom[]): boolean | undefined {
    let result: boolean | undefined = true;
    for (const { part, sign } of atoms) {
      const truth = partHolds(part, value, this.work);
      if (truth === undefined) result = undefined;
      else if (truth !== sign) return false;
    }
    return result;
  }
}

function keyOf(goal: readonly Literal[]): string {
  const signed = goal.map(({ schema, sign }) => (sign ? schema.id : -schema.id));
  return [...new Set(signed)].sort((a, b) => a - b).join();
}

/** What makes the part true, as alternatives. */
function affirmations(part: Part): Item[][] {
  const is = (schema: Schema, sign: boolean): Literal => ({ schema, sign });
  switch (part.kind) {
    case "any":
      return part.schemas.map((schema) => [is(schema, true)]);
    case "one":
      return part.schemas.map((schema, i) => [
        is(schema, true),
        ...part.schemas.flatMap((other, j) => (i === j ? [] : [is(other, false)])),
      ]);
    case "if":
      return [
        [is(part.condition, true), is(part.yes, true)],
        [is(part.condition, false), is(part.no, true)],
      ];
    case "dependent":
      return [[{ part: { kind: "required", name: part.name }, sign: false }], [is(part.schema, true)]];
    default:
      return [[{ part, sign: true }]];
  }
}

/** What makes the part false for a value of this type, as alternatives; an empty one is always so. */
function denials(part: Part, type: ValueType): Item[][] {
  const is = (schema: Schema, sign: boolean): Literal => ({ schema, sign });
  switch (part.kind) {
    case "types":
      return part.allowed.includes(type) ? [] : [[]];
    case "all":
      return part.schemas.map((schema) => [is(schema, false)]);
    case "any":
      return [part.schemas.map((schema) => is(schema, false))];
    case "one":
      return [
        part.schemas.map((schema) => is(schema, false)),
        ...part.schemas.flatMap((one, i) =>
          part.schemas.slice(i + 1).map((other) => [is(one, true), is(other, true)]),
        ),
      ];
    case "not":
      return [[is(part.schema, true)]];
    case "if":
      return [
        [is(part.condition, true), is(part.yes, false)],
        [is(part.condition, false), is(part.no, false)],
      ];
    case "dependent":
      return [[{ part: { kind: "required", name: part.name }, sign: true }, is(part.schema, false)]];
    default:
      return [[{ part, sign: false }]];
  }
}

/** Leaves out alternatives that contradict what is settled, and choices that are met; undefined at a dead end. */
function simplify({ choices, signs }: Branch): (readonly (readonly Item[])[])[] | undefined {
  const open: (readonly (readonly Item[])[])[] = [];
  for (const choice of choices) {
    const signOf = (item: Item) => ("schema" in item ? signs.get(item.schema) : undefined);
    if (choice.some((items) => items.every((item) => signOf(item) === item.sign))) continue;
    const possible = choice.filter((items) => items.every((item) => signOf(item) !== !item.sign));
    if (possible.length === 0) return undefined;
    open.push(possible);
  }
  return open;
}

function finiteValues(type: ValueType, atoms: readonly Atom[]): readonly Json[] | undefined {
  if (type === "null") return [null];
  if (type === "boolean") return [false, true];
  for (const { part, sign } of atoms) {
    // Values of other types meet nothing here: they would be looked for under their own type.
    if (part.kind === "values" && sign) return part.values.filter((value) => isOf(value, type));
  }
  return undefined;
}

function isOf(value: Json, type: ValueType): boolean {
  if (typeof value === "number") return type === (Number.isInteger(value) ? "integer" : "fraction");
  if (Array.isArray(value)) return type === "array";
  return typeof value === type && value !== null;
}

function opaqueReason(atoms: readonly Atom[]): string {
  for (const { part } of atoms)
    if (part.kind === "opaque") return `${part.pointer} depends on the value and is not compared`;
  return "a part of the schema depends on the value and is not compared";
}
