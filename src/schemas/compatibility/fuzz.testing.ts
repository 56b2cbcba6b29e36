/**
 * Pairs of schemas and documents for the tests of the checker, all from one seed. The reader is often the writer
 * with a few changes, as versions are. Documents are made to fit the writer as far as a simple generator can,
 * and then bent; the validator says what they are.
 */
import type { Json } from "../../core/json.ts";
import type { Random } from "../../core/random.ts";

type Node = { [keyword: string]: Json } | boolean;

const names = ["a", "b", "c", "d"];
const texts = ["", "a", "b", "ab", "abc", "x1", "10", "A", "aaaa", "été"];
const patterns = ["^a", "b$", "^[a-c]*$", "^\\d+$", "^.{2}$", "a|b", "^(ab)*$", "1"];
const scalars: Json[] = [null, true, false, 0, 1, 2, 3, -1, 0.5, 10, ...texts];
const allTypes = ["null", "boolean", "integer", "number", "string", "array", "object"];

export class Fuzzer {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A writer and a reader, of one draft. */
  pair(): { writer: Json; reader: Json; draft7: boolean } {
    const draft7 = this.#one(4);
    const writer = this.#document(draft7);
    const isChange = !this.#one(5);
    const reader = isChange ? this.#changed(writer, 1 + this.#below(3)) : this.#document(draft7);
    return this.#one(2) ? { writer, reader, draft7 } : { writer: reader, reader: writer, draft7 };
  }

  /** Documents that a pair may tell apart. */
  documents(writer: Json, reader: Json, count: number): Json[] {
    const made: Json[] = [];
    for (let i = 0; i < count; i++) {
      const root = this.#one(3) ? reader : writer;
      const value = this.#fitting(root as Node, root, 0);
      made.push(this.#one(3) ? this.#bent(value) : value);
    }
    return made;
  }

  #document(draft7: boolean): Json {
    const root = this.#schema(0, draft7);
    if (typeof root === "boolean" || this.#one(2))
      return draft7 && typeof root === "object" ? marked(root) : root;
    const inner = this.#schema(1, draft7, true);
    const whole: Node = { ...root, $defs: { t: inner } };
    if (this.#one(2)) whole.properties = { ...(root.properties as object), a: { $ref: "#/$defs/t" } };
    else whole.items = { $ref: "#/$defs/t" };
    return draft7 ? marked(whole) : whole;
  }

  #schema(depth: number, draft7: boolean, recursive = false): Node {
    if (depth > 2 || this.#one(12)) return this.#one(6) ? !this.#one(3) : this.#leaf();
    if (recursive && depth > 1 && this.#one(3)) return { $ref: "#/$defs/t" };
    const node: { [keyword: string]: Json } = {};
    const inner = () => this.#schema(depth + 1, draft7, recursive);
    const list = () => Array.from({ length: 1 + this.#below(3) }, inner);
    const add = (keyword: string, make: () => Json) => {
      node[keyword] = make();
    };
    for (let i = 1 + this.#below(4); i > 0; i--) {
      switch (this.#below(draft7 ? 17 : 20)) {
        case 0:
        case 1:
        case 2:
          Object.assign(node, this.#leaf());
          break;
        case 3:
        case 4:
          add("properties", () => this.#map(inner));
          if (this.#one(3)) add("type", () => "object");
          break;
        case 5:
          add("required", () => this.#some(names));
          break;
        case 6:
          add("additionalProperties", inner);
          break;
        case 7:
          add("patternProperties", () => ({ [this.#from(patterns)]: inner() }));
          break;
        case 8:
          add("propertyNames", () => this.#textual());
          break;
        case 9:
          add("items", inner);
          if (this.#one(3)) add("type", () => "array");
          break;
        case 10:
          add("contains", inner);
          break;
        case 11:
          Object.assign(node, this.#bounds("Items"), this.#bounds("Properties"));
          break;
        case 12:
          add("uniqueItems", () => true);
          break;
        default:
          this.#compound(node, inner, list, draft7);
      }
    }
    return node;
  }

  #compound(node: { [keyword: string]: Json }, inner: () => Node, list: () => Node[], draft7: boolean): void {
    const add = (keyword: string, make: () => Json) => {
      node[keyword] = make();
    };
    switch (13 + this.#below(draft7 ? 4 : 7)) {
      case 13:
        add(this.#from(["allOf", "anyOf", "oneOf"]), list);
        break;
      case 14:
        add("not", inner);
        break;
      case 15:
        add("if", inner);
        add("then", inner);
        if (this.#one(2)) add("else", inner);
        break;
      case 16:
        if (draft7) add("dependencies", () => ({ a: this.#one(2) ? this.#some(names) : inner() }));
        else add("dependentSchemas", () => ({ a: inner() }));
        break;
      case 17:
        add("prefixItems", list);
        break;
      case 18:
        add(this.#from(["unevaluatedProperties", "unevaluatedItems"]), inner);
        break;
      default:
        add("contains", inner);
        add("minContains", () => this.#below(3));
        if (this.#one(2)) add("maxContains", () => this.#below(3));
    }
  }

  #leaf(): { [keyword: string]: Json } {
    switch (this.#below(8)) {
      case 0:
        return { type: this.#from(allTypes) };
      case 1:
        return { type: this.#some(allTypes) };
      case 2:
        return { enum: this.#some(scalars) };
      case 3:
        return { const: this.#from(scalars) };
      case 4:
        return { type: "string", ...this.#textual() };
      default:
        return { type: this.#from(["integer", "number"]), ...this.#numeric() };
    }
  }

  #textual(): { [keyword: string]: Json } {
    if (this.#one(2)) return { pattern: this.#from(patterns) };
    return this.#bounds("Length");
  }

  #numeric(): { [keyword: string]: Json } {
    const node: { [keyword: string]: Json } = {};
    if (this.#one(2)) node[this.#from(["minimum", "exclusiveMinimum"])] = this.#from([-1, 0, 0.5, 1, 2]);
    if (this.#one(2)) node[this.#from(["maximum", "exclusiveMaximum"])] = this.#from([0, 1, 2.5, 3, 10]);
    if (this.#one(3)) node.multipleOf = this.#from([1, 2, 3, 0.5, 0.1]);
    return node;
  }

  #bounds(of: string): { [keyword: string]: Json } {
    const node: { [keyword: string]: Json } = {};
    if (this.#one(2)) node[`min${of}`] = this.#below(3);
    if (this.#one(2)) node[`max${of}`] = this.#below(4);
    return node;
  }

  #map(inner: () => Json): Json {
    return Object.fromEntries(this.#some(names).map((name) => [name, inner()]));
  }

  /** The same schema but for some places. */
  #changed(schema: Json, changes: number): Json {
    let changed = schema;
    for (let i = 0; i < changes; i++) changed = this.#changedOnce(changed);
    return changed;
  }

  #changedOnce(node: Json): Json {
    if (typeof node !== "object" || node === null || Array.isArray(node)) return this.#leaf();
    const keys = Object.keys(node).filter((key) => key !== "$schema");
    if (keys.length === 0 || this.#one(4)) return { ...node, ...this.#leaf() };
    const key = this.#from(keys);
    const value = node[key]!;
    if (this.#one(5) && key !== "$defs") {
      const { [key]: _, ...rest } = node;
      return rest;
    }
    switch (key) {
      case "properties":
      case "patternProperties":
      case "$defs": {
        const map = value as { [name: string]: Json };
        const name = this.#from(key === "properties" ? names : Object.keys(map));
        const inner = map[name];
        if (inner === undefined || this.#one(4)) return { ...node, [key]: { ...map, [name]: this.#leaf() } };
        return { ...node, [key]: { ...map, [name]: this.#changedOnce(inner) } };
      }
      case "allOf":
      case "anyOf":
      case "oneOf":
      case "prefixItems": {
        const list = value as Json[];
        const at = this.#below(list.length);
        if (this.#one(3)) return { ...node, [key]: [...list, this.#leaf()] };
        return { ...node, [key]: list.with(at, this.#changedOnce(list[at]!)) };
      }
      case "required":
        return { ...node, required: this.#some(names) };
      case "items":
      case "not":
      case "contains":
      case "additionalProperties":
      case "then":
      case "else":
      case "if":
        return { ...node, [key]: this.#changedOnce(value) };
      default:
        return typeof value === "number"
          ? { ...node, [key]: Math.max(0.5, value) + 0.5 }
          : { ...node, ...this.#leaf() };
    }
  }

  /** A value that tries to be valid. */
  #fitting(node: Json, root: Json, depth: number): Json {
    if (typeof node !== "object" || node === null || Array.isArray(node) || depth > 5)
      return this.#from(scalars);
    if (node.$ref !== undefined)
      return this.#fitting((root as Record<string, Record<string, Json>>).$defs?.t ?? true, root, depth + 1);
    if (node.const !== undefined) return node.const;
    if (Array.isArray(node.enum) && node.enum.length > 0) return this.#from(node.enum);
    for (const key of ["allOf", "anyOf", "oneOf"]) {
      const list = node[key];
      if (Array.isArray(list) && this.#one(3)) return this.#fitting(this.#from(list), root, depth + 1);
    }
    const hasMembers = [
      "properties",
      "required",
      "additionalProperties",
      "patternProperties",
      "propertyNames",
      "dependentSchemas",
      "dependencies",
    ];
    const wantsObject =
      node.type === "object" ||
      (node.type === undefined && hasMembers.some((key) => node[key] !== undefined));
    if (wantsObject) return this.#object(node, root, depth);
    const hasItems = ["items", "prefixItems", "contains", "uniqueItems"].some(
      (key) => node[key] !== undefined,
    );
    if (node.type === "array" || (node.type === undefined && hasItems)) return this.#array(node, root, depth);
    return this.#scalar(node);
  }

  #object(node: { [keyword: string]: Json }, root: Json, depth: number): Json {
    const properties = (node.properties ?? {}) as { [name: string]: Json };
    const value: { [name: string]: Json } = {};
    const required = Array.isArray(node.required) ? (node.required as string[]) : [];
    const chosen = new Set([...required, ...this.#some(names), ...(this.#one(3) ? [this.#from(texts)] : [])]);
    for (const name of chosen) {
      if (this.#one(3) && !required.includes(name)) continue;
      const inner = properties[name] ?? node.additionalProperties ?? true;
      value[name] = this.#fitting(inner, root, depth + 1);
    }
    return value;
  }

  #array(node: { [keyword: string]: Json }, root: Json, depth: number): Json {
    const prefix = Array.isArray(node.prefixItems)
      ? node.prefixItems
      : Array.isArray(node.items)
        ? node.items
        : [];
    const rest = Array.isArray(node.items) ? true : (node.items ?? true);
    const length = this.#below(4);
    const value = Array.from({ length }, (_, i) => this.#fitting(prefix[i] ?? rest, root, depth + 1));
    if (node.contains !== undefined) value.push(this.#fitting(node.contains, root, depth + 1));
    return value;
  }

  #scalar(node: { [keyword: string]: Json }): Json {
    if (node.type === "string") return this.#from(texts);
    if (node.type === "integer") return this.#below(7) - 2;
    if (node.type === "number") return this.#from([-1, 0, 0.1, 0.3, 0.5, 1, 1.5, 2, 3, 6, 10]);
    return this.#from(scalars);
  }

  #bent(value: Json): Json {
    if (Array.isArray(value) && value.length > 0) {
      const at = this.#below(value.length);
      return this.#one(2) ? value.toSpliced(at, 1) : value.with(at, this.#bent(value[at]!));
    }
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      const name = this.#from([...Object.keys(value), ...names]);
      return { ...value, [name]: this.#from(scalars) };
    }
    return this.#one(4) ? [value] : this.#from(scalars);
  }

  #below(bound: number): number {
    return this.#random.below(bound);
  }

  /** True once in `times`. */
  #one(times: number): boolean {
    return this.#random.below(times) === 0;
  }

  #from<Item>(items: readonly Item[]): Item {
    return items[this.#random.below(items.length)]!;
  }

  #some<Item>(items: readonly Item[]): Item[] {
    const chosen = items.filter(() => this.#one(2));
    return chosen.length > 0 ? chosen : [this.#from(items)];
  }
}

const marked = (node: { [keyword: string]: Json }): Json => ({
  $schema: "http://json-schema.org/draft-07/schema#",
  ...node,
});
