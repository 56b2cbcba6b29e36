/**
 * From a schema document of either draft to the model (model.ts). One `Normaliser` serves all the documents of
 * one comparison: subschemas that read the same become the same schema, so that equality is a look at an id.
 *
 * `unevaluatedProperties` and `unevaluatedItems` are translated where what is evaluated does not depend on the
 * value (properties beside it, in `allOf` and behind `$ref`); elsewhere they are opaque.
 */
import { canonicalJson, type Json } from "../../core/json.ts";
import { isSchemaObject, type SchemaDocument, type SchemaObject } from "../document.ts";
import { Automaton } from "../patterns/automaton.ts";
import { formats } from "../patterns/formats.ts";
import type { Part, Schema, ValueType } from "./model.ts";

const typeNames: Readonly<Record<string, readonly ValueType[]>> = {
  null: ["null"],
  boolean: ["boolean"],
  integer: ["integer"],
  number: ["integer", "fraction"],
  string: ["string"],
  array: ["array"],
  object: ["object"],
};
const infinity = Number.POSITIVE_INFINITY;

/** What cannot be shared by its text alone: it depends on where it stands. */
const placed = /"(\$ref|\$dynamicRef|\$id|\$anchor|\$dynamicAnchor|unevaluatedProperties|unevaluatedItems)":/;

export class Normaliser {
  readonly any: Schema;
  readonly never: Schema;
  readonly #byText = new Map<string, Schema>();
  readonly #automata = new Map<string, Automaton>();
  readonly #byNode = new Map<SchemaObject, Schema>();
  #count = 0;

  constructor() {
    this.any = this.make([]);
    this.never = this.make([{ kind: "types", allowed: [] }]);
  }

  /** A schema that no document holds, such as what a name must be like. */
  make(parts: readonly Part[]): Schema {
    this.#count += 1;
    return { id: this.#count, parts };
  }

  /** As `make`, but one schema for each `key`. */
  shared(key: string, parts: () => readonly Part[]): Schema {
    const known = this.#byText.get(key);
    if (known) return known;
    const made = this.make(parts());
    this.#byText.set(key, made);
    return made;
  }

  values(values: readonly Json[]): Part {
    return { kind: "values", values, texts: new Set(values.map(canonicalJson)) };
  }

  automaton(source: string): Automaton {
    let known = this.#automata.get(source);
    if (!known) {
      known = new Automaton(source);
      this.#automata.set(source, known);
    }
    return known;
  }

  schema(document: SchemaDocument, node: Json): Schema {
    if (node === true) return this.any;
    if (node === false || !isSchemaObject(node)) return this.never;
    const known = this.#byNode.get(node);
    if (known) return known;
    const text = canonicalJson(node);
    if (placed.test(text)) {
      const made = this.make([]);
      this.#byNode.set(node, made); // before its parts: they may lead back here
      made.parts = new Translation(this, document, node).parts();
      return made;
    }
    const key = `${document.draft} ${text}`;
    const twin = this.#byText.get(key);
    const schema = twin ?? this.make([]);
    this.#byNode.set(node, schema);
    if (twin) return twin;
    this.#byText.set(key, schema);
    schema.parts = new Translation(this, document, node).parts();
    return schema;
  }
}

/** One subschema of one document. */
class Translation {
  readonly #to: Normaliser;
  readonly #document: SchemaDocument;
  readonly #node: SchemaObject;

  constructor(to: Normaliser, document: SchemaDocument, node: SchemaObject) {
    this.#to = to;
    this.#document = document;
    this.#node = node;
  }

  parts(): Part[] {
    const node = this.#node;
    const targets = node.$ref !== undefined || node.$dynamicRef !== undefined;
    const parts: Part[] = [];
    if (targets) parts.push({ kind: "all", schemas: [this.#schema(this.#document.target(node))] });
    if (targets && this.#document.draft === "draft-07") return parts;
    return parts.concat(
      this.#general(),
      this.#numbers(),
      this.#strings(),
      this.#arrays(),
      this.#objects(),
      this.#logic(),
    );
  }

  #schema(node: Json): Schema {
    return this.#to.schema(this.#document, node);
  }

  #schemas(list: Json | undefined): Schema[] {
    return Array.isArray(list) ? list.map((node) => this.#schema(node)) : [];
  }

  #map(map: Json | undefined): [string, Schema][] {
    if (!isSchemaObject(map)) return [];
    return Object.entries(map).map(([name, node]) => [name, this.#schema(node)]);
  }

  #general(): Part[] {
    const { type, enum: values } = this.#node;
    const parts: Part[] = [];
    if (type !== undefined) {
      const names = Array.isArray(type) ? type : [type];
      parts.push({ kind: "types", allowed: names.flatMap((name) => typeNames[String(name)] ?? []) });
    }
    if (Array.isArray(values)) parts.push(this.#to.values(values));
    if (this.#node.const !== undefined) parts.push(this.#to.values([this.#node.const]));
    return parts;
  }

  #numbers(): Part[] {
    const parts: Part[] = [];
    const bound = (keyword: string, kind: "minimum" | "maximum", exclusive: boolean) => {
      const value = this.#node[keyword];
      if (typeof value === "number") parts.push({ kind, value, exclusive });
    };
    bound("minimum", "minimum", false);
    bound("exclusiveMinimum", "minimum", true);
    bound("maximum", "maximum", false);
    bound("exclusiveMaximum", "maximum", true);
    const step = this.#node.multipleOf;
    if (typeof step === "number") parts.push({ kind: "multipleOf", value: step });
    return parts;
  }

  #limits(
    lower: "minLength" | "minItems" | "minProperties",
    upper: "maxLength" | "maxItems" | "maxProperties",
  ) {
    const parts: Part[] = [];
    const { [lower]: min, [upper]: max } = this.#node;
    if (typeof min === "number" && min > 0) parts.push({ kind: lower, value: min });
    if (typeof max === "number") parts.push({ kind: upper, value: max });
    return parts;
  }

  #strings(): Part[] {
    const parts = this.#limits("minLength", "maxLength");
    const { pattern, format } = this.#node;
    if (typeof pattern === "string") parts.push({ kind: "pattern", automaton: this.#to.automaton(pattern) });
    const checked = typeof format === "string" ? formats.get(format) : undefined;
    if (checked !== undefined) parts.push({ kind: "pattern", automaton: this.#to.automaton(checked) });
    return parts;
  }

  #arrays(): Part[] {
    const { items, contains, uniqueItems, unevaluatedItems } = this.#node;
    const parts = this.#limits("minItems", "maxItems");
    const tuple = this.#document.draft === "2020-12" ? this.#node.prefixItems : items;
    const rest = Array.isArray(items) ? this.#node.additionalItems : items;
    const prefix = Array.isArray(tuple) ? this.#schemas(tuple) : [];
    if (prefix.length > 0 || rest !== undefined) {
      const schema = rest === undefined ? undefined : this.#schema(rest);
      parts.push({ kind: "items", prefix, rest: schema });
    }
    if (contains !== undefined) parts.push(this.#contains(contains));
    if (uniqueItems === true) parts.push({ kind: "unique" });
    if (unevaluatedItems !== undefined) {
      const evaluated = evaluatedItems(this.#document, this.#node, new Set());
      if (evaluated === undefined) parts.push(this.#opaque("unevaluatedItems", "array"));
      else if (evaluated !== infinity)
        parts.push({
          kind: "items",
          prefix: Array.from({ length: evaluated }, () => this.#to.any),
          rest: this.#schema(unevaluatedItems),
        });
    }
    return parts;
  }

  #contains(contains: Json): Part {
    const counts = this.#document.draft === "2020-12";
    const { minContains, maxContains } = this.#node;
    const min = counts && typeof minContains === "number" ? minContains : 1;
    const max = counts && typeof maxContains === "number" ? maxContains : infinity;
    return { kind: "contains", schema: this.#schema(contains), min, max };
  }

  #objects(): Part[] {
    const node = this.#node;
    const parts = this.#limits("minProperties", "maxProperties");
    const { properties, patternProperties, additionalProperties: rest } = node;
    if (properties !== undefined || patternProperties !== undefined || rest !== undefined) {
      parts.push({
        kind: "members",
        properties: new Map(this.#map(properties)),
        patterns: this.#map(patternProperties).map(([pattern, schema]) => ({
          automaton: this.#to.automaton(pattern),
          schema,
        })),
        rest: rest === undefined ? undefined : this.#schema(rest),
      });
    }
    if (node.propertyNames !== undefined)
      parts.push({ kind: "names", schema: this.#schema(node.propertyNames) });
    for (const name of strings(node.required)) parts.push({ kind: "required", name });
    for (const [name, schema] of this.#dependents()) parts.push({ kind: "dependent", name, schema });
    if (node.unevaluatedProperties !== undefined) parts.push(...this.#unevaluatedMembers());
    return parts;
  }

  #unevaluatedMembers(): Part[] {
    const evaluated = { names: new Set<string>(), patterns: new Set<string>(), all: false };
    const isStatic = collectMembers(this.#document, this.#node, evaluated, new Set(), true);
    if (!isStatic) return [this.#opaque("unevaluatedProperties", "object")];
    if (evaluated.all) return [];
    return [
      {
        kind: "members",
        properties: new Map([...evaluated.names].map((name) => [name, this.#to.any])),
        patterns: [...evaluated.patterns].map((pattern) => ({
          automaton: this.#to.automaton(pattern),
          schema: this.#to.any,
        })),
        rest: this.#schema(this.#node.unevaluatedProperties!),
      },
    ];
  }

  #dependents(): [string, Schema][] {
    const { dependentRequired, dependentSchemas, dependencies } = this.#node;
    const found: [string, Schema][] = this.#map(dependentSchemas);
    for (const map of [dependentRequired, dependencies]) {
      if (!isSchemaObject(map)) continue;
      for (const [name, value] of Object.entries(map)) {
        if (!Array.isArray(value)) found.push([name, this.#schema(value)]);
        else {
          const required = strings(value).map((other): Part => ({ kind: "required", name: other }));
          found.push([name, this.#to.shared(`required ${canonicalJson(value)}`, () => required)]);
        }
      }
    }
    return found;
  }

  #logic(): Part[] {
    const { allOf, anyOf, oneOf, not, if: condition } = this.#node;
    const parts: Part[] = [];
    if (allOf !== undefined) parts.push({ kind: "all", schemas: this.#schemas(allOf) });
    if (anyOf !== undefined) parts.push({ kind: "any", schemas: this.#schemas(anyOf) });
    if (oneOf !== undefined) parts.push({ kind: "one", schemas: this.#schemas(oneOf) });
    if (not !== undefined) parts.push({ kind: "not", schema: this.#schema(not) });
    if (condition !== undefined) {
      const branch = (node: Json | undefined) => (node === undefined ? this.#to.any : this.#schema(node));
      const [yes, no] = [branch(this.#node.then), branch(this.#node.else)];
      parts.push({ kind: "if", condition: branch(condition), yes, no });
    }
    return parts;
  }

  #opaque(keyword: string, about: ValueType): Part {
    const pointer = `${this.#document.placeOf(this.#node)?.pointer ?? ""}/${keyword}`;
    return { kind: "opaque", keyword, pointer, about };
  }
}

const strings = (value: Json | undefined) =>
  Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];

interface EvaluatedMembers {
  names: Set<string>;
  patterns: Set<string>;
  all: boolean;
}

const conditional = ["anyOf", "oneOf", "if", "dependentSchemas", "dependencies", "$dynamicRef"];

/** False when it depends on the value which members are evaluated. */
function collectMembers(
  document: SchemaDocument,
  node: Json,
  into: EvaluatedMembers,
  seen: Set<Json>,
  isOwner = false,
): boolean {
  if (!isSchemaObject(node) || seen.has(node)) return true;
  seen.add(node);
  if (conditional.some((keyword) => node[keyword] !== undefined)) return false;
  const { properties, patternProperties, additionalProperties, unevaluatedProperties, allOf } = node;
  for (const name of Object.keys(properties ?? {})) into.names.add(name);
  for (const pattern of Object.keys(patternProperties ?? {})) into.patterns.add(pattern);
  if (additionalProperties !== undefined || (unevaluatedProperties !== undefined && !isOwner))
    into.all = true;
  const inner = Array.isArray(allOf) ? [...allOf] : [];
  if (node.$ref !== undefined) inner.push(document.target(node));
  return inner.every((child) => collectMembers(document, child, into, seen));
}

/** How many items from the first are evaluated; undefined when it depends on the value. */
function evaluatedItems(document: SchemaDocument, node: Json, seen: Set<Json>): number | undefined {
  if (!isSchemaObject(node) || seen.has(node)) return 0;
  const isOwner = seen.size === 0;
  seen.add(node);
  if ([...conditional, "contains"].some((keyword) => node[keyword] !== undefined)) return undefined;
  const { prefixItems, items, unevaluatedItems, allOf } = node;
  if (items !== undefined || (unevaluatedItems !== undefined && !isOwner)) return infinity;
  const inner = Array.isArray(allOf) ? [...allOf] : [];
  if (node.$ref !== undefined) inner.push(document.target(node));
  let count = Array.isArray(prefixItems) ? prefixItems.length : 0;
  for (const child of inner) {
    const more = evaluatedItems(document, child, seen);
    if (more === undefined) return undefined;
    count = Math.max(count, more);
  }
  return count;
}
