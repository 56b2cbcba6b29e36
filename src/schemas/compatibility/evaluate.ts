/**
 * Whether a value is valid under a schema of the model, in three values: undefined where something opaque
 * decides. What a candidate is held against before it becomes a counter-example, and how names are tested.
 */
import { canonicalJson, type Json } from "../../core/json.ts";
import { isMultipleOf } from "../decimal.ts";
import { concerns, type Part, type PartOf, type Schema, schemasOfMember, typeOf } from "./model.ts";
import type { Work } from "./work.ts";

type Truth = boolean | undefined;

export function holds(schema: Schema, value: Json, work: Work): Truth {
  work.spend(1);
  return every(schema.parts, (part) => partHolds(part, value, work));
}

export function partHolds(part: Part, value: Json, work: Work): Truth {
  if (!concerns(part, typeOf(value))) return true;
  switch (part.kind) {
    case "types":
      return part.allowed.includes(typeOf(value));
    case "values":
      return part.texts.has(canonicalJson(value));
    case "all":
      return every(part.schemas, (schema) => holds(schema, value, work));
    case "any":
      return negated(every(part.schemas, (schema) => negated(holds(schema, value, work))));
    case "one":
      return exactlyOne(part.schemas.map((schema) => holds(schema, value, work)));
    case "not":
      return negated(holds(part.schema, value, work));
    case "if":
      return conditionHolds(part, value, work);
    case "opaque":
      return undefined;
    default:
      return typedHolds(part, value, work);
  }
}

function typedHolds(part: Part, value: Json, work: Work): Truth {
  if (typeof value === "number") return numberHolds(part, value);
  if (typeof value === "string") return stringHolds(part, value);
  if (Array.isArray(value)) return arrayHolds(part, value, work);
  return objectHolds(part, value as { [name: string]: Json }, work);
}

function numberHolds(part: Part, value: number): boolean {
  if (part.kind === "minimum") return part.exclusive ? value > part.value : value >= part.value;
  if (part.kind === "maximum") return part.exclusive ? value < part.value : value <= part.value;
  return part.kind !== "multipleOf" || isMultipleOf(value, part.value);
}

function stringHolds(part: Part, value: string): boolean {
  if (part.kind === "pattern") return part.automaton.test(value);
  if (part.kind === "minLength") return [...value].length >= part.value;
  return part.kind !== "maxLength" || [...value].length <= part.value;
}

function arrayHolds(part: Part, value: readonly Json[], work: Work): Truth {
  switch (part.kind) {
    case "items":
      return every(value, (item, index) => {
        const schema = part.prefix[index] ?? part.rest;
        return schema ? holds(schema, item, work) : true;
      });
    case "contains":
      return countHolds(part, value, work);
    case "minItems":
      return value.length >= part.value;
    case "maxItems":
      return value.length <= part.value;
    default:
      return new Set(value.map(canonicalJson)).size === value.length;
  }
}

function countHolds({ schema, min, max }: PartOf<"contains">, value: readonly Json[], work: Work): Truth {
  const found = value.map((item) => holds(schema, item, work));
  const sure = found.filter((truth) => truth === true).length;
  const possible = found.filter((truth) => truth !== false).length;
  if (possible < min || sure > max) return false;
  return sure >= min && possible <= max ? true : undefined;
}

function objectHolds(part: Part, value: { [name: string]: Json }, work: Work): Truth {
  const names = Object.keys(value);
  switch (part.kind) {
    case "members":
      return every(names, (name) =>
        every(schemasOfMember(part, name), (schema) => holds(schema, value[name]!, work)),
      );
    case "names":
      return every(names, (name) => holds(part.schema, name, work));
    case "required":
      return Object.hasOwn(value, part.name);
    case "dependent":
      return Object.hasOwn(value, part.name) ? holds(part.schema, value, work) : true;
    case "minProperties":
      return names.length >= part.value;
    case "maxProperties":
      return names.length <= part.value;
    default:
      return true;
  }
}

function conditionHolds(part: PartOf<"if">, value: Json, work: Work): Truth {
  const met = holds(part.condition, value, work);
  if (met !== undefined) return holds(met ? part.yes : part.no, value, work);
  const [one, other] = [holds(part.yes, value, work), holds(part.no, value, work)];
  return one === other ? one : undefined;
}

function exactlyOne(found: readonly Truth[]): Truth {
  const sure = found.filter((truth) => truth === true).length;
  if (sure > 1) return false;
  if (found.includes(undefined)) return undefined;
  return sure === 1;
}

export const negated = (truth: Truth): Truth => (truth === undefined ? undefined : !truth);

function every<Item>(items: readonly Item[], test: (item: Item, index: number) => Truth): Truth {
  let result: Truth = true;
  for (const [index, item] of items.entries()) {
    const truth = test(item, index);
    if (truth === false) return false;
    if (truth === undefined) result = undefined;
  }
  return result;
}
