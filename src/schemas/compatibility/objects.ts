/**
 * Objects: the names that any schema mentions are looked at one by one, all others by the patterns that they
 * match. What must be there are required names and demands ("some member whose name is like this has a value
 * like that"), which are met by a mentioned name, or by a fresh one. Each value, and each fresh name, is a goal
 * of its own.
 */
import { canonicalJson, type Json } from "../../core/json.ts";
import type { Automaton } from "../patterns/automaton.ts";
import { holds } from "./evaluate.ts";
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
import { type Members, type Schema, schemasOfMember } from "./model.ts";

interface Demand {
  /** What the name must be like; empty with `name`. */
  naming: readonly Literal[];
  name: string | undefined;
  /** What the value must be like. */
  literals: readonly Literal[];
}

interface ObjectGoal {
  members: Members[];
  naming: Literal[];
  required: Set<string>;
  absent: Set<string>;
  demands: readonly Demand[];
  min: number;
  max: number;
  /** Every name that is mentioned, in order. */
  mentioned: Set<string>;
}

/** A member that will be there. */
interface Slot {
  name: string | undefined;
  naming: readonly Literal[];
  literals: readonly Literal[];
}

const demandsMax = 4;
const patternsMax = 5;
const membersMax = 500;

export function solveObject(atoms: readonly Atom[], solving: Solving): Outcome {
  const goal: ObjectGoal = {
    members: [],
    naming: [],
    required: new Set(),
    absent: new Set(),
    demands: [],
    min: 0,
    max: Number.POSITIVE_INFINITY,
    mentioned: new Set(),
  };
  const denied: Atom[] = [];
  for (const atom of atoms) if (!addFirm(goal, atom)) denied.push(atom);
  for (const name of [...goal.required, ...goal.absent]) goal.mentioned.add(name);
  for (const name of goal.required) if (goal.absent.has(name)) return empty;
  if (goal.min > goal.max || goal.required.size > goal.max) return empty;
  return deny(goal, denied, solving);
}

/** Adds what leaves no choice; false for what is left to choose. */
function addFirm(goal: ObjectGoal, { part, sign }: Atom): boolean {
  switch (part.kind) {
    case "members":
      for (const name of part.properties.keys()) goal.mentioned.add(name);
      if (sign) goal.members.push(part);
      return sign;
    case "names":
      if (sign) goal.naming.push(positive(part.schema));
      return sign;
    case "required":
      goal[sign ? "required" : "absent"].add(part.name);
      return true;
    case "minProperties":
      if (sign) goal.min = Math.max(goal.min, Math.ceil(part.value));
      else goal.max = Math.min(goal.max, Math.ceil(part.value) - 1);
      return true;
    case "maxProperties":
      if (sign) goal.max = Math.min(goal.max, Math.floor(part.value));
      else goal.min = Math.max(goal.min, Math.floor(part.value) + 1);
      return true;
    default:
      return true;
  }
}

function deny(goal: ObjectGoal, denied: readonly Atom[], solving: Solving): Outcome {
  const [first, ...others] = denied;
  if (!first) return assign(goal, 0, [], solving);
  const ways: Demand[] = [];
  const { normaliser } = solving;
  if (first.part.kind === "members") {
    const { properties, patterns, rest } = first.part;
    for (const [name, schema] of properties) ways.push({ name, naming: [], literals: [negative(schema)] });
    const likes = patterns.map(({ automaton }) => nameLike(automaton, solving));
    patterns.forEach(({ schema }, i) => {
      ways.push({ name: undefined, naming: [positive(likes[i]!)], literals: [negative(schema)] });
    });
    if (rest) {
      const naming = [...likes.map(negative), ...notAmong([...properties.keys()], solving)];
      ways.push({ name: undefined, naming, literals: [negative(rest)] });
    }
  } else if (first.part.kind === "names") {
    ways.push({
      name: undefined,
      naming: [negative(first.part.schema)],
      literals: [positive(normaliser.any)],
    });
  }
  return firstOf(
    ways.map((demand) => () => deny({ ...goal, demands: [...goal.demands, demand] }, others, solving)),
  );
}

function nameLike(automaton: Automaton, { normaliser }: Solving): Schema {
  return normaliser.shared(`pattern ${automaton.source}`, () => [{ kind: "pattern", automaton }]);
}

function notAmong(names: readonly string[], { normaliser }: Solving): Literal[] {
  if (names.length === 0) return [];
  const key = `values ${canonicalJson([...names].sort())}`;
  return [negative(normaliser.shared(key, () => [normaliser.values(names)]))];
}

/** Gives each demand a name: its own, a mentioned one, a fresh one, or that of an earlier fresh one. */
function assign(goal: ObjectGoal, index: number, slots: readonly Slot[], solving: Solving): Outcome {
  solving.work.spend(1);
  const demand = goal.demands[index];
  if (!demand) return build(goal, slots, solving);
  if (index >= demandsMax) return unknown("too many members are asked for at once");
  const next = (more: readonly Slot[]) => assign(goal, index + 1, more, solving);
  const { name, naming, literals } = demand;
  if (name !== undefined) return next([...slots, { name, naming: [], literals }]);
  const options: (() => Outcome)[] = [];
  for (const known of goal.mentioned) {
    const fits = namedSo(known, naming, solving);
    if (fits === false) continue;
    options.push(() => {
      const outcome = next([...slots, { name: known, naming: [], literals }]);
      const isSure = fits === true || outcome.status === "empty";
      return isSure ? outcome : unknown("a name could not be compared", candidateOf(outcome));
    });
  }
  options.push(() => next([...slots, { name: undefined, naming, literals }]));
  slots.forEach((slot, at) => {
    if (slot.name !== undefined) return;
    const shared = {
      name: undefined,
      naming: [...slot.naming, ...naming],
      literals: [...slot.literals, ...literals],
    };
    options.push(() => next(slots.with(at, shared)));
  });
  return firstOf(options);
}

/** Whether the name meets all of it; undefined when something opaque decides. */
function namedSo(name: string, naming: readonly Literal[], { work }: Solving): boolean | undefined {
  let result: boolean | undefined = true;
  for (const { schema, sign } of naming) {
    const truth = holds(schema, name, work);
    if (truth === undefined) result = undefined;
    else if (truth !== sign) return false;
  }
  return result;
}

function build(goal: ObjectGoal, slots: readonly Slot[], solving: Solving): Outcome {
  const wanted = new Map<string, Literal[]>([...goal.required].map((name) => [name, []]));
  for (const { name, literals } of slots)
    if (name !== undefined) wanted.set(name, [...(wanted.get(name) ?? []), ...literals]);
  const fresh = slots.filter(({ name }) => name === undefined);
  if (wanted.size + fresh.length > goal.max) return empty;
  const value: { [name: string]: Json } = {};
  const doubts: string[] = [];
  for (const [name, literals] of wanted) {
    const outcome = memberOf(goal, name, literals, solving);
    if (outcome.status === "empty") return empty;
    if (outcome.status === "unknown") doubts.push(outcome.reason);
    const member = candidateOf(outcome);
    if (member === undefined) return unknown(doubts[0] ?? "a member was not found");
    set(value, name, member);
  }
  for (const slot of fresh) {
    const outcome = freshOf(goal, slot, value, solving);
    if (outcome.status === "empty") return empty;
    if (outcome.status === "unknown") doubts.push(outcome.reason);
    const pair = candidateOf(outcome) as [string, Json] | undefined;
    if (!pair) return unknown(doubts[0] ?? "a member was not found");
    set(value, ...pair);
  }
  const short = fill(goal, value, doubts, solving);
  if (short) return short;
  return doubts.length === 0 ? found(value) : unknown(doubts[0]!, value);
}

/** The value of a mentioned name. */
function memberOf(goal: ObjectGoal, name: string, literals: readonly Literal[], solving: Solving): Outcome {
  if (goal.absent.has(name)) return empty;
  const named = namedSo(name, goal.naming, solving);
  if (named === false) return empty;
  const schemas = goal.members.flatMap((members) => schemasOfMember(members, name));
  const outcome = solving.solve([...schemas.map(positive), ...literals]);
  if (named === true || outcome.status === "empty") return outcome;
  return unknown("a name could not be compared", candidateOf(outcome));
}

/** A name that nobody mentions with its value, as a pair. */
function freshOf(
  goal: ObjectGoal,
  { naming, literals }: Pick<Slot, "naming" | "literals">,
  value: { readonly [name: string]: Json },
  solving: Solving,
): Outcome {
  const automata = [
    ...new Set(goal.members.flatMap(({ patterns }) => patterns.map(({ automaton }) => automaton))),
  ];
  if (automata.length > patternsMax) return unknown("too many patterns of names at once");
  const isText = solving.normaliser.shared("a text", () => [{ kind: "types", allowed: ["string"] }]);
  const mentioned = [...goal.mentioned];
  const used = Object.keys(value).filter((name) => !goal.mentioned.has(name));
  const options: (() => Outcome)[] = [];
  for (let signature = 0; signature < 1 << automata.length; signature++) {
    const matching = new Set(automata.filter((_, i) => (signature >> i) & 1));
    const named = [
      positive(isText),
      ...naming,
      ...goal.naming,
      ...automata.map((automaton) => ({
        schema: nameLike(automaton, solving),
        sign: matching.has(automaton),
      })),
    ];
    const schemas = goal.members.flatMap(({ patterns, rest }) => {
      const own = patterns.filter(({ automaton }) => matching.has(automaton)).map(({ schema }) => schema);
      return own.length === 0 && rest ? [rest] : own;
    });
    options.push(() => {
      const without = solving.solve([...named, ...notAmong(mentioned, solving)]);
      if (without.status === "empty") return empty;
      const content = solving.solve([...schemas.map(positive), ...literals]);
      if (content.status === "empty") return empty;
      const name =
        used.length === 0
          ? without
          : solving.solve([...named, ...notAmong([...mentioned, ...used], solving)]);
      return pair(name, content);
    });
  }
  return firstOf(options);
}

function pair(name: Outcome, content: Outcome): Outcome {
  const [text, value] = [candidateOf(name), candidateOf(content)];
  // Empty here means only that the names in use left none: another choice of them might.
  if (name.status === "empty") return unknown("names that all differ were not found");
  if (text === undefined || value === undefined) return unknown("a member was not found");
  const both = [text, value];
  const isSure = name.status === "found" && content.status === "found";
  return isSure ? found(both) : unknown("a member could not be compared", both);
}

/** Adds members until there are enough; an outcome when that fails. */
function fill(
  goal: ObjectGoal,
  value: { [name: string]: Json },
  doubts: string[],
  solving: Solving,
): Outcome | undefined {
  if (goal.min > membersMax) return unknown("the object would have too many members");
  let count = Object.keys(value).length;
  let isProof = true;
  for (const name of goal.mentioned) {
    if (count >= goal.min) return undefined;
    if (Object.hasOwn(value, name)) continue;
    const outcome = memberOf(goal, name, [], solving);
    const member = candidateOf(outcome);
    if (outcome.status !== "found") isProof &&= outcome.status === "empty";
    if (outcome.status !== "found" || member === undefined) continue;
    set(value, name, member);
    count += 1;
  }
  while (count < goal.min) {
    const outcome = freshOf(goal, { naming: [], literals: [] }, value, solving);
    const more = candidateOf(outcome) as [string, Json] | undefined;
    if (outcome.status === "empty" && isProof) {
      // Fresh members that are there already were asked for by demands, which other names might meet.
      const isExhausted = Object.keys(value).every((name) => goal.mentioned.has(name));
      return isExhausted ? empty : unknown("not enough members were found");
    }
    if (outcome.status === "unknown") doubts.push(outcome.reason);
    if (!more) return unknown("not enough members were found");
    set(value, ...more);
    count += 1;
  }
  return undefined;
}

/** As an own member, whatever its name is. */
function set(value: { [name: string]: Json }, name: string, member: Json): void {
  Object.defineProperty(value, name, { value: member, enumerable: true, writable: true, configurable: true });
}
