/**
 * YAML 1.2, one document of its core schema. Only what JSON can say is let in: scalars become strings, numbers,
 * booleans or null, keys are scalars, and aliases are copied out as long as the document stays within its bounds.
 */
import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type Scalar,
  type YAMLMap,
} from "yaml";
import type { Json } from "../../core/json.ts";
import {
  below,
  exactNumber,
  type Limits,
  nodesMax,
  type Parsed,
  Places,
  refuseName,
  refuseText,
  tooDeep,
  Unreadable,
} from "./format.ts";

const aliasesMax = 100;

export function parseYaml(text: string, limits: Limits): Parsed {
  refuseDeepFlow(text, limits.depth);
  const documents = parseAllDocuments(text, {
    ...{ version: "1.2", schema: "core", uniqueKeys: true, prettyErrors: false, intAsBigInt: true },
    lineCounter: new LineCounter(),
  });
  const places = new Places(text);
  const found = [...documents];
  for (const { errors, warnings } of found) {
    const first = errors[0] ?? warnings[0];
    if (!first) continue;
    const isDuplicate = first.code === "DUPLICATE_KEY";
    const message = isDuplicate ? "a key is there twice" : first.message.split("\n", 1)[0]!;
    throw new Unreadable(message, places.offsetAt(first.pos[0]));
  }
  if (found.length > 1)
    throw new Unreadable("there may be one document only", places.offsetAt(startOf(found[1]!)));
  const document = found[0];
  const reader = new Reader(document as Document, places, limits.depth);
  return {
    value: document?.contents ? reader.value(document.contents as Node, "", 0) : null,
    locate: places.locate,
  };
}

const startOf = (document: Document) => document.range?.[0] ?? 0;

/** The library's composer descends into flow collections by itself; its stack must outlast the text. */
function refuseDeepFlow(text: string, limit: number): void {
  const slack = 4; // brackets in strings and comments count here too: only what is hopeless is refused
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5b || code === 0x7b) depth += 1;
    else if ((code === 0x5d || code === 0x7d) && depth > 0) depth -= 1;
    if (depth > limit * slack) throw tooDeep(limit, new Places(text).offsetAt(at), "");
  }
}

class Reader {
  readonly #document: Document;
  readonly #places: Places;
  readonly #depthMax: number;
  #nodes = 0;
  #aliases = 0;

  constructor(document: Document, places: Places, depthMax: number) {
    this.#document = document;
    this.#places = places;
    this.#depthMax = depthMax;
  }

  value(node: Node | null, pointer: string, depth: number): Json {
    if (node === null) return null;
    const place = () => this.#places.offsetAt(node.range?.[0] ?? 0);
    if (!this.#places.has(pointer)) this.#places.set(pointer, node.range?.[0] ?? 0);
    if (++this.#nodes > nodesMax) throw new Unreadable(`has more than ${nodesMax} values`, place(), pointer);
    if (depth > this.#depthMax) throw tooDeep(this.#depthMax, place(), pointer);
    if (isAlias(node)) {
      if (++this.#aliases > aliasesMax)
        throw new Unreadable(`has more than ${aliasesMax} aliases`, place(), pointer);
      const target = node.resolve(this.#document);
      if (!target) throw new Unreadable("refers to an anchor that is not there", place(), pointer);
      return this.value(target, pointer, depth + 1);
    }
    if (isScalar(node)) return this.#scalar(node, pointer, place);
    if (isSeq(node)) {
      return node.items.map((item, index) => this.value(item as Node, below(pointer, index), depth + 1));
    }
    if (isMap(node)) return this.#map(node, pointer, depth);
    throw new Unreadable("is nothing that JSON could say", place(), pointer);
  }

  #map(node: YAMLMap, pointer: string, depth: number): Json {
    const members: { [name: string]: Json } = {};
    for (const pair of node.items) {
      const key = isPair(pair) ? pair.key : undefined;
      const at = () => this.#places.offsetAt((key as Node | undefined)?.range?.[0] ?? node.range?.[0] ?? 0);
      if (!isScalar(key) || (typeof key.value === "object" && key.value !== null)) {
        throw new Unreadable("a key must be a plain scalar", at(), pointer);
      }
      const name = typeof key.value === "string" ? key.value : (key.source ?? String(key.value));
      const inner = below(pointer, name);
      refuseName(name, at, inner);
      // 1 and "1" are two keys of YAML, and one name of JSON
      if (Object.hasOwn(members, name)) throw new Unreadable("is there twice", at(), inner);
      this.#places.set(inner, key.range?.[0] ?? 0);
      members[name] = this.value(pair.value as Node | null, inner, depth + 1);
    }
    return members;
  }

  #scalar({ value, source }: Scalar, pointer: string, place: () => ReturnType<Places["offsetAt"]>): Json {
    switch (typeof value) {
      case "string":
        refuseText(value, place, pointer);
        return value;
      case "bigint":
        return exactNumber(value.toString(), place, pointer);
      case "number":
        if (!Number.isFinite(value)) throw new Unreadable(`${source} is no number of JSON`, place(), pointer);
        return Object.is(value, -0) ? 0 : value;
      case "boolean":
        return value;
      default:
        if (value === null || value === undefined) return null;
        throw new Unreadable("is nothing that JSON could say", place(), pointer);
    }
  }
}
