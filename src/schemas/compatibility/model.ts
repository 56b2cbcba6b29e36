/**
 * What both drafts come down to: a schema is a conjunction of parts, and a part says something about values of
 * some types and nothing about the others. Schemas form a graph, as references lead back; two schemas that
 * read the same are one, so that what did not change between versions is seen at once.
 */
import type { Json } from "../../core/json.ts";
import type { Automaton } from "../patterns/automaton.ts";

export const types = ["null", "boolean", "integer", "fraction", "string", "array", "object"] as const;
/** `number` of JSON Schema is integer and fraction; every value has exactly one of these. */
export type ValueType = (typeof types)[number];

export interface Schema {
  readonly id: number;
  parts: readonly Part[];
}

export type Part =
  | { kind: "types"; allowed: readonly ValueType[] }
  | { kind: "values"; values: readonly Json[]; texts: ReadonlySet<string> }
  | { kind: "minimum" | "maximum"; value: number; exclusive: boolean }
  | { kind: "multipleOf"; value: number }
  | { kind: "minLength" | "maxLength"; value: number }
  | { kind: "pattern"; automaton: Automaton }
  | { kind: "items"; prefix: readonly Schema[]; rest: Schema | undefined }
  | { kind: "contains"; schema: Schema; min: number; max: number }
  | { kind: "minItems" | "maxItems"; value: number }
  | { kind: "unique" }
  | Members
  | { kind: "names"; schema: Schema }
  | { kind: "required"; name: string }
  | { kind: "minProperties" | "maxProperties"; value: number }
  | { kind: "dependent"; name: string; schema: Schema }
  | { kind: "all" | "any" | "one"; schemas: readonly Schema[] }
  | { kind: "not"; schema: Schema }
  | { kind: "if"; condition: Schema; yes: Schema; no: Schema }
  /** What the checker does not understand: never a ground for a proof. */
  | { kind: "opaque"; keyword: string; pointer: string; about: ValueType };

export interface Members {
  kind: "members";
  properties: ReadonlyMap<string, Schema>;
  patterns: readonly { automaton: Automaton; schema: Schema }[];
  /** Of members that neither name. */
  rest: Schema | undefined;
}

export type PartOf<Kind extends Part["kind"]> = Extract<Part, { kind: Kind }>;

const about: Partial<Record<Part["kind"], readonly ValueType[]>> = {
  minimum: ["integer", "fraction"],
  maximum: ["integer", "fraction"],
  multipleOf: ["integer", "fraction"],
  minLength: ["string"],
  maxLength: ["string"],
  pattern: ["string"],
  items: ["array"],
  contains: ["array"],
  minItems: ["array"],
  maxItems: ["array"],
  unique: ["array"],
  members: ["object"],
  names: ["object"],
  required: ["object"],
  minProperties: ["object"],
  maxProperties: ["object"],
  dependent: ["object"],
};

/** Whether the part says anything about values of this type. */
export function concerns(part: Part, type: ValueType): boolean {
  if (part.kind === "opaque") return part.about === type;
  return about[part.kind]?.includes(type) ?? true;
}

export function typeOf(value: Json): ValueType {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "fraction";
  return typeof value as "boolean" | "string" | "object";
}

/** The subschemas that hold for a member, given the positive `members` parts of its object. */
export function schemasOfMember({ properties, patterns, rest }: Members, name: string): Schema[] {
  const own = properties.get(name);
  const found = own ? [own] : [];
  for (const { automaton, schema } of patterns) if (automaton.test(name)) found.push(schema);
  return found.length === 0 && rest ? [rest] : found;
}
