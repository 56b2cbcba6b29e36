/**
 * A JSON Schema as a document: its draft, every subschema with its place, and what its references point at.
 * Everything that could make later work unbounded is found here, before any other code looks at the schema:
 * references out of the document or round in circles, patterns that are not regular, too many subschemas.
 *
 * References are resolved within the document only. Nothing is ever fetched.
 */
import type { FieldError } from "../core/errors.ts";
import { type Json, pointerToken } from "../core/json.ts";
import { Automaton } from "./patterns/automaton.ts";
import { PatternError } from "./patterns/parse.ts";

export type Draft = "2020-12" | "draft-07";
export type SchemaObject = { readonly [keyword: string]: Json };

export interface Place {
  /** From the root of the document. */
  pointer: string;
  /** What a reference in it is relative to. */
  base: string;
}

export const subschemasMax = 5_000;
const rootBase = "https://schema.invalid/";

const drafts = new Map<string, Draft>([
  ["https://json-schema.org/draft/2020-12/schema", "2020-12"],
  ["http://json-schema.org/draft-07/schema", "draft-07"],
]);

const single = ["additionalProperties", "propertyNames", "contains", "not", "if", "then", "else"];
const singleOf: Record<Draft, readonly string[]> = {
  "2020-12": [...single, "items", "unevaluatedItems", "unevaluatedProperties", "contentSchema"],
  "draft-07": [...single, "items", "additionalItems"],
};
const listsOf: Record<Draft, readonly string[]> = {
  "2020-12": ["allOf", "anyOf", "oneOf", "prefixItems"],
  "draft-07": ["allOf", "anyOf", "oneOf", "items"],
};
const maps = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];
/** What other dialects, or the library, would take for keywords. */
const foreign = new Map([
  ["nullable", 'is of OpenAPI 3.0; use "type": [..., "null"]'],
  ["$async", "is not of JSON Schema"],
]);
/** Keywords whose subschemas look at the same value as their owner. */
const inPlace = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"];

export class SchemaDocument {
  readonly root: Json;
  readonly draft: Draft;
  /** Why it cannot be used; empty when it can. */
  readonly faults: FieldError[] = [];
  readonly #places = new Map<SchemaObject, Place>();
  readonly #resources = new Map<string, SchemaObject>();
  readonly #anchors = new Map<string, SchemaObject>();

  constructor(root: Json) {
    this.root = root;
    this.draft = this.#draftOf(root);
    if (typeof root === "boolean") return;
    if (!isSchemaObject(root)) {
      this.#fault("", "must be an object or a boolean");
      return;
    }
    this.#resources.set(rootBase, root);
    this.#visit(root, "", rootBase);
    if (this.faults.length > 0) return;
    this.#checkReferences();
    if (this.faults.length === 0) this.#refuseCircles();
  }

  get size(): number {
    return this.#places.size;
  }

  /** Undefined for what is no subschema of this document. */
  placeOf(node: SchemaObject): Place | undefined {
    return this.#places.get(node);
  }

  /** The target of a node's reference; throws when there is none, which `faults` has told. */
  target(node: SchemaObject): Json {
    const found = this.#resolve(node, String(node.$ref ?? node.$dynamicRef));
    if (typeof found === "string") throw new Error(found);
    return found.target;
  }

  /** Subschemas of a node with the path to each, those in definitions too. */
  *children(node: SchemaObject): Generator<{ path: string; keyword: string; child: Json }> {
    if (this.draft === "draft-07" && node.$ref !== undefined) {
      yield* mapChildren(node, ["definitions", "$defs"]); // beside $ref nothing else counts in draft 7
      return;
    }
    for (const keyword of singleOf[this.draft]) {
      const child = node[keyword];
      if (child !== undefined && !Array.isArray(child)) yield { path: keyword, keyword, child };
    }
    for (const keyword of listsOf[this.draft]) {
      const list = node[keyword];
      if (!Array.isArray(list)) continue;
      for (const [index, child] of list.entries()) yield { path: `${keyword}/${index}`, keyword, child };
    }
    yield* mapChildren(node, maps);
  }

  /** The schema without what its draft ignores, for code that would not: beside $ref nothing counts in draft 7. */
  effective(): Json {
    if (this.draft !== "draft-07") return this.root;
    const copy = structuredClone(this.root);
    for (const [node, { pointer }] of this.#places) {
      if (node.$ref === undefined) continue;
      const twin = (pointer === "" ? copy : follow(copy, pointer)) as { [keyword: string]: Json };
      for (const keyword of Object.keys(twin))
        if (!["$ref", "definitions", "$defs"].includes(keyword)) delete twin[keyword];
    }
    return copy;
  }

  #draftOf(root: Json): Draft {
    const declared = isSchemaObject(root) ? root.$schema : undefined;
    if (declared === undefined) return "2020-12";
    const draft = drafts.get(String(declared).replace(/#$/, ""));
    if (!draft) this.#fault("/$schema", `must be one of ${[...drafts.keys()].join(", ")}`);
    return draft ?? "2020-12";
  }

  #fault(pointer: string, message: string): void {
    if (this.faults.length < 20) this.faults.push({ pointer, message });
  }

  #visit(node: SchemaObject, pointer: string, outer: string): void {
    if (this.#places.size >= subschemasMax) {
      if (this.faults.length === 0) this.#fault(pointer, `is beyond ${subschemasMax} subschemas`);
      return;
    }
    const base = this.#baseOf(node, pointer, outer);
    this.#places.set(node, { pointer, base });
    this.#checkPatterns(node, pointer);
    for (const [keyword, message] of foreign)
      if (node[keyword] !== undefined) this.#fault(`${pointer}/${keyword}`, message);
    for (const { path, child } of this.children(node)) {
      const at = `${pointer}/${path}`;
      if (isSchemaObject(child)) this.#visit(child, at, base);
      else if (typeof child !== "boolean") this.#fault(at, "must be a schema: an object or a boolean");
    }
  }

  #baseOf(node: SchemaObject, pointer: string, outer: string): string {
    const { $id: id, $anchor: anchor, $dynamicAnchor: dynamic, $ref: ref } = node;
    let base = outer;
    if (typeof id === "string" && !(this.draft === "draft-07" && ref !== undefined)) {
      if (this.draft === "draft-07" && id.startsWith("#")) this.#anchors.set(`${outer}${id}`, node);
      else if (!URL.canParse(id, outer)) this.#fault(`${pointer}/$id`, "must be a URI");
      else {
        base = new URL(id, outer).href.replace(/#$/, "");
        const known = this.#resources.get(base);
        if (known && known !== node) this.#fault(`${pointer}/$id`, "names another part of this schema too");
        this.#resources.set(base, node);
      }
    }
    for (const [keyword, name] of Object.entries({ $anchor: anchor, $dynamicAnchor: dynamic })) {
      if (typeof name !== "string") continue;
      const key = `${base}#${name}`;
      if (this.#anchors.has(key)) this.#fault(`${pointer}/${keyword}`, "is used twice");
      this.#anchors.set(key, node);
    }
    return base;
  }

  #checkPatterns(node: SchemaObject, pointer: string): void {
    const check = (pattern: string, at: string) => {
      try {
        new Automaton(pattern);
      } catch (error) {
        if (!(error instanceof PatternError)) throw error;
        this.#fault(at, `is a pattern that cannot be used: it ${error.message}`);
      }
    };
    if (typeof node.pattern === "string") check(node.pattern, `${pointer}/pattern`);
    if (!isSchemaObject(node.patternProperties)) return;
    for (const pattern of Object.keys(node.patternProperties))
      check(pattern, `${pointer}/patternProperties/${pointerToken(pattern)}`);
  }

  #checkReferences(): void {
    const dynamic = new Map<string, number>();
    for (const { $dynamicAnchor: name } of this.#places.keys())
      if (typeof name === "string") dynamic.set(name, (dynamic.get(name) ?? 0) + 1);
    for (const [node, { pointer }] of this.#places) {
      for (const keyword of ["$ref", "$dynamicRef"] as const) {
        const ref = node[keyword];
        if (ref === undefined) continue;
        const found = this.#resolve(node, String(ref));
        if (typeof found === "string") this.#fault(`${pointer}/${keyword}`, found);
      }
      if (node.$recursiveRef !== undefined)
        this.#fault(`${pointer}/$recursiveRef`, "is of draft 2019-09; use $dynamicRef");
      const name = String(node.$dynamicRef ?? "").split("#")[1] ?? "";
      if ((dynamic.get(name) ?? 0) > 1)
        this.#fault(
          `${pointer}/$dynamicRef`,
          "can point at several anchors; only one of a name is supported",
        );
    }
  }

  /** The target, or why there is none. */
  #resolve(node: SchemaObject, ref: string): { target: Json } | string {
    const base = this.#places.get(node)?.base ?? rootBase;
    if (!URL.canParse(ref, base)) return "is not a URI reference";
    const url = new URL(ref, base);
    const fragment = safeDecode(url.hash.slice(1));
    url.hash = "";
    const uri = url.href.replace(/#$/, "");
    const resource = this.#resources.get(uri);
    if (!resource) return "points out of this schema; put what it means under $defs";
    if (fragment === "") return { target: resource };
    if (!fragment.startsWith("/")) {
      const target = this.#anchors.get(`${uri}#${fragment}`);
      return target ? { target } : `points at an anchor that is not there: ${fragment}`;
    }
    const target = follow(resource, fragment);
    if (typeof target === "boolean") return { target };
    if (isSchemaObject(target) && this.#places.has(target)) return { target };
    return "points at no schema of this document; put what it means under $defs";
  }

  /** A schema that leads back to itself without going into the value would never be done. */
  #refuseCircles(): void {
    const done = new Set<SchemaObject>();
    for (const first of this.#places.keys()) this.#walkInPlace(first, done, new Set());
  }

  #walkInPlace(node: SchemaObject, done: Set<SchemaObject>, trail: Set<SchemaObject>): void {
    if (done.has(node)) return;
    if (trail.has(node)) {
      this.#fault(
        this.#places.get(node)!.pointer,
        "leads back to itself without going deeper into the value",
      );
      done.add(node);
      return;
    }
    trail.add(node);
    for (const { keyword, child } of this.children(node)) {
      if (inPlace.includes(keyword) && isSchemaObject(child)) this.#walkInPlace(child, done, trail);
    }
    if (node.$ref !== undefined || node.$dynamicRef !== undefined) {
      for (const keyword of ["$ref", "$dynamicRef"] as const) {
        if (node[keyword] === undefined) continue;
        const found = this.#resolve(node, String(node[keyword]));
        if (typeof found !== "string" && isSchemaObject(found.target))
          this.#walkInPlace(found.target, done, trail);
      }
    }
    trail.delete(node);
    done.add(node);
  }
}

export function isSchemaObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function* mapChildren(
  node: SchemaObject,
  keywords: readonly string[],
): Generator<{ path: string; keyword: string; child: Json }> {
  for (const keyword of keywords) {
    const map = node[keyword];
    if (!isSchemaObject(map)) continue;
    for (const [name, child] of Object.entries(map)) {
      if (keyword === "dependencies" && Array.isArray(child)) continue;
      yield { path: `${keyword}/${pointerToken(name)}`, keyword, child };
    }
  }
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // points at nothing, which is told
  }
}

function follow(from: Json, pointer: string): Json | undefined {
  let at: Json | undefined = from;
  for (const token of pointer.slice(1).split("/")) {
    const key = token.replaceAll("~1", "/").replaceAll("~0", "~");
    if (Array.isArray(at)) at = /^\d+$/.test(key) ? at[Number(key)] : undefined;
    else at = isSchemaObject(at) && Object.hasOwn(at, key) ? at[key] : undefined;
  }
  return at;
}
