/**
 * Arrays: what is asked for comes down to schemas by position, demands ("somewhere from the third on there is an
 * item like this") and bounds of the length. Demands are placed in every way that differs: into each position of
 * a prefix, or behind the prefixes, where all positions are alike. Each item is then a goal of its own.
 */
import type { Json } from "../../core/json.ts";
import {
  type Atom,
  candidateOf,
  empty,
  firstOf,
  found,
  type Literal,
  negative,
  type Outcome,
  positive,
  type Solving,
  unknown,
} from "./goal.ts";
import type { PartOf, Schema } from "./model.ts";

interface Demand {
  /** A position, or the first of those that will do. */
  at: number;
  isExact: boolean;
  literal: Literal;
  /** Demands of one group are met by different items. */
  group: number;
}

interface ArrayGoal {
  items: PartOf<"items">[];
  /** For every item. */
  everywhere: Literal[];
  demands: Demand[];
  min: number;
  max: number;
  isUnique: boolean;
  hasEqual: boolean;
  /** Of items that a schema may and must have. */
  counts: Map<Schema, { min: number; max: number }>;
  groups: number;
}

const demandsMax = 4;
const lengthMax = 2_000;

export function solveArray(atoms: readonly Atom[], solving: Solving): Outcome {
  const goal: ArrayGoal = {
    items: [],
    everywhere: [],
    demands: [],
    min: 0,
    max: Number.POSITIVE_INFINITY,
    isUnique: false,
    hasEqual: false,
    counts: new Map(),
    groups: 0,
  };
  const denied: Atom[] = [];
  for (const atom of atoms) if (!addFirm(goal, atom)) denied.push(atom);
  return deny(goal, denied, solving);
}

/** Adds what leaves no choice; false for what is left to choose. */
function addFirm(goal: ArrayGoal, { part, sign }: Atom): boolean {
  switch (part.kind) {
    case "items":
      if (sign) goal.items.push(part);
      return sign;
    case "contains":
      if (sign) narrow(goal, part.schema, part.min, part.max);
      return sign;
    case "minItems":
      if (sign) goal.min = Math.max(goal.min, Math.ceil(part.value));
      else goal.max = Math.min(goal.max, Math.ceil(part.value) - 1);
      return true;
    case "maxItems":
      if (sign) goal.max = Math.min(goal.max, Math.floor(part.value));
      else goal.min = Math.max(goal.min, Math.floor(part.value) + 1);
      return true;
    case "unique":
      if (sign) goal.isUnique = true;
      else goal.hasEqual = true;
      return true;
    default:
      return true;
  }
}

function narrow(goal: ArrayGoal, schema: Schema, min: number, max: number): void {
  const known = goal.counts.get(schema) ?? { min: 0, max: Number.POSITIVE_INFINITY };
  goal.counts.set(schema, { min: Math.max(known.min, min), max: Math.min(known.max, max) });
}

/** Each part that must be false is so in one of several ways; tries them all. */
function deny(goal: ArrayGoal, denied: readonly Atom[], solving: Solving): Outcome {
  const [first, ...others] = denied;
  if (!first) return place(goal, solving);
  const ways: ArrayGoal[] = [];
  if (first.part.kind === "items") {
    const { prefix, rest } = first.part;
    const demand = (at: number, isExact: boolean, schema: Schema) => {
      const group = goal.groups;
      const made = { at, isExact, literal: negative(schema), group };
      ways.push({ ...goal, demands: [...goal.demands, made], groups: group + 1 });
    };
    prefix.forEach((schema, at) => {
      demand(at, true, schema);
    });
    if (rest) demand(prefix.length, false, rest);
  } else if (first.part.kind === "contains") {
    const { schema, min, max } = first.part;
    const count = (low: number, high: number) => {
      const way = { ...goal, counts: new Map(goal.counts) };
      narrow(way, schema, low, high);
      ways.push(way);
    };
    if (min > 0) count(0, Math.ceil(min) - 1);
    if (Number.isFinite(max)) count(Math.floor(max) + 1, Number.POSITIVE_INFINITY);
  }
  return firstOf(ways.map((way) => () => deny(way, others, solving)));
}

function place(given: ArrayGoal, solving: Solving): Outcome {
  const goal = { ...given, demands: [...given.demands], everywhere: [...given.everywhere] };
  if (goal.isUnique && goal.hasEqual) return empty;
  let min = goal.min;
  for (const [schema, count] of goal.counts) {
    if (count.min > count.max) return empty;
    min = Math.max(min, count.min);
    if (count.max === 0) goal.everywhere.push(negative(schema));
    goal.groups += 1;
    for (let i = 0; i < count.min && goal.demands.length <= demandsMax; i++)
      goal.demands.push({ at: 0, isExact: false, literal: positive(schema), group: goal.groups });
  }
  goal.min = min;
  if (goal.min > goal.max) return empty;
  if (goal.min > lengthMax) return unknown("the array would be too long");
  const isWhole = goal.demands.length <= demandsMax;
  const outcome = goal.hasEqual ? placeEqual(goal, solving) : assign(goal, [], new Map(), undefined, solving);
  // With fewer demands than asked for, a proof still counts and a value has yet to be looked at.
  return isWhole || outcome.status === "empty"
    ? outcome
    : unknown("too many items are asked for", candidateOf(outcome));
}

const prefixOf = (goal: ArrayGoal) => Math.max(0, ...goal.items.map(({ prefix }) => prefix.length));

function placeEqual(goal: ArrayGoal, solving: Solving): Outcome {
  const last = prefixOf(goal) + 1;
  const pairs: (readonly [number, number])[] = [];
  for (let i = 0; i <= last; i++) for (let j = i + 1; j <= last; j++) pairs.push([i, j]);
  return firstOf(pairs.map((pair) => () => assign(goal, [], new Map(), pair, solving)));
}

/** Gives each demand a position, in every way that differs. */
function assign(
  goal: ArrayGoal,
  taken: readonly number[],
  extra: ReadonlyMap<number, readonly Literal[]>,
  equal: readonly [number, number] | undefined,
  solving: Solving,
): Outcome {
  solving.work.spend(1);
  const demand = goal.demands[taken.length];
  if (!demand) return build(goal, extra, equal, solving);
  const behind = Math.max(prefixOf(goal), demand.at) + goal.demands.length + (equal ? 1 : 0);
  const positions: number[] = [];
  const mates = taken.filter((_, i) => goal.demands[i]!.group === demand.group);
  for (let at = demand.at; at <= (demand.isExact ? demand.at : behind); at++)
    if (at < goal.max && mates.every((other) => other < at)) positions.push(at);
  return firstOf(
    positions.map((at) => () => {
      const more = new Map(extra).set(at, [...(extra.get(at) ?? []), demand.literal]);
      return assign(goal, [...taken, at], more, equal, solving);
    }),
  );
}

function build(
  goal: ArrayGoal,
  extra: ReadonlyMap<number, readonly Literal[]>,
  equal: readonly [number, number] | undefined,
  solving: Solving,
): Outcome {
  const length = Math.max(goal.min, (equal?.[1] ?? -1) + 1, ...[...extra.keys()].map((at) => at + 1));
  if (length > goal.max) return empty;
  const wanted = (at: number): Literal[] => [
    ...goal.everywhere,
    ...(extra.get(at) ?? []),
    ...goal.items.flatMap(({ prefix, rest }) => {
      const schema = prefix[at] ?? rest;
      return schema ? [positive(schema)] : [];
    }),
  ];
  const value: Json[] = [];
  let doubt: string | undefined;
  for (let at = 0; at < length; at++) {
    const isFirst = equal?.[0] === at;
    const literals = isFirst ? [...wanted(at), ...wanted(equal[1])] : wanted(at);
    const outcome = itemOf(
      equal?.[1] === at ? wanted(equal[0]).concat(literals) : literals,
      goal,
      value,
      solving,
    );
    if (outcome.status === "empty") return empty;
    const item = candidateOf(outcome);
    if (outcome.status === "unknown") doubt = outcome.reason;
    if (item === undefined) return unknown(doubt ?? "an item was not found");
    value.push(item);
  }
  return doubt === undefined ? found(value) : unknown(doubt, value);
}

/** An item; another than those before when all must differ. */
function itemOf(
  literals: readonly Literal[],
  goal: ArrayGoal,
  before: readonly Json[],
  solving: Solving,
): Outcome {
  if (!goal.isUnique || before.length === 0) return solving.solve(literals);
  const alone = solving.solve(literals);
  if (alone.status === "empty") return empty;
  const { normaliser } = solving;
  const used = normaliser.values([...before]);
  const key = used.kind === "values" ? [...used.texts].sort().join() : "";
  const another = solving.solve([...literals, negative(normaliser.shared(`values ${key}`, () => [used]))]);
  // Other items before this one could leave room for it: no proof.
  return another.status === "empty" ? unknown("items that all differ were not found") : another;
}
