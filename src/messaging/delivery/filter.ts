/**
 * Which messages a subscription wants: conditions on headers and on values of the payload, joined by all, any and
 * not. A filter is data, kept with the subscription; it is compiled once and evaluated once a message, when that is
 * first looked at. Only what a filter asks for is parsed.
 *
 *   { "all": [ { "header": "region", "in": ["eu", "uk"] }, { "payload": "$.amount", "gte": 100 } ] }
 *
 * A path is JSONPath by RFC 9535 and may select many values; one that fits is enough. It is user input that runs for
 * each message, so what can take more than a time proportional to the payload is refused: patterns (`match`,
 * `search`), several selectors in one segment, a second `..`, and queries from the root inside of a filter.
 */
import { JSONPathEnvironment, type JSONPathQuery, type JSONValue } from "json-p3";
import { HotSwapError } from "../../core/errors.ts";
import { headersEnd, headersStart, isOpaque, payloadStart } from "../message.ts";

type Scalar = string | number | boolean | null;

interface Test {
  equals?: Scalar;
  in?: Scalar[];
  prefix?: string;
  exists?: boolean;
  gt?: number;
  gte?: number;
  lt?: number;
  lte?: number;
}
export type Filter =
  | ({ header: string } & Test)
  | ({ payload: string } & Test)
  | { all: Filter[] }
  | { any: Filter[] }
  | { not: Filter };

/** Why a message is not wanted. */
export interface Mismatch {
  /** JSON Pointer into the filter. */
  pointer: string;
  condition: string;
}

export interface CompiledFilter {
  /** Undefined when the message fits. */
  mismatch(body: Buffer): Mismatch | undefined;
}

export const filterLimits = {
  conditions: 64,
  depth: 8,
  pathLength: 256,
  values: 256,
  textLength: 1024,
} as const;

const tests = ["equals", "in", "prefix", "exists", "gt", "gte", "lt", "lte"] as const;
const paths = new JSONPathEnvironment({ maxRecursionDepth: 1000 });
paths.functionRegister.delete("match");
paths.functionRegister.delete("search");

/** A message while it is looked at: each part is parsed when the first condition asks for it. */
class Look {
  readonly #body: Buffer;
  #headers: Map<string, string> | undefined;
  #payload: { value: JSONValue } | undefined;

  constructor(body: Buffer) {
    this.#body = body;
  }

  header(name: string): string | undefined {
    if (!this.#headers) {
      const text = this.#body.toString("utf8", headersStart(this.#body), headersEnd(this.#body));
      this.#headers = new Map(
        Object.entries((text === "" ? {} : JSON.parse(text)) as Record<string, string>),
      );
    }
    return this.#headers.get(name);
  }

  /** Undefined when the payload is not JSON. */
  get payload(): { value: JSONValue } | undefined {
    if (isOpaque(this.#body)) return undefined;
    this.#payload ??= {
      value: JSON.parse(this.#body.toString("utf8", payloadStart(this.#body))) as JSONValue,
    };
    return this.#payload;
  }
}

type Node = (look: Look) => Mismatch | undefined;

/** Throws `validation_failed` with a pointer below `at`. */
export function compileFilter(filter: unknown, at = "/filter"): CompiledFilter {
  const node = new Compiler(at).compile(filter, "", 0);
  return { mismatch: (body) => node(new Look(body)) };
}

class Compiler {
  readonly #at: string;
  #conditions = 0;

  constructor(at: string) {
    this.#at = at;
  }

  compile(filter: unknown, pointer: string, depth: number): Node {
    if (depth > filterLimits.depth)
      this.#refuse(pointer, `must be nested ${filterLimits.depth} levels at most`);
    if (typeof filter !== "object" || filter === null || Array.isArray(filter)) {
      this.#refuse(pointer, "must be an object");
    }
    const part = filter as Record<string, unknown>;
    const [kind, ...others] = ["all", "any", "not", "header", "payload"].filter((name) => name in part);
    if (kind === undefined || others.length > 0) {
      this.#refuse(pointer, "must have exactly one of all, any, not, header, payload");
    }
    if (kind === "header" || kind === "payload") return this.#condition(part, kind, pointer);
    for (const name of Object.keys(part))
      if (name !== kind) this.#refuse(`${pointer}/${name}`, "is not known here");
    if (kind === "not")
      return notOf(this.compile(part.not, `${pointer}/not`, depth + 1), this.#at + pointer, part);
    const items = part[kind!];
    if (!Array.isArray(items) || items.length === 0)
      this.#refuse(`${pointer}/${kind}`, "must be a list with items");
    const nodes = (items as unknown[]).map((item, i) =>
      this.compile(item, `${pointer}/${kind}/${i}`, depth + 1),
    );
    return kind === "all" ? allOf(nodes) : anyOf(nodes, this.#at + pointer, part);
  }

  #condition(part: Record<string, unknown>, kind: "header" | "payload", pointer: string): Node {
    this.#conditions += 1;
    if (this.#conditions > filterLimits.conditions) {
      this.#refuse(pointer, `is one condition too many: ${filterLimits.conditions} are allowed`);
    }
    const name = part[kind];
    if (typeof name !== "string" || name === "") this.#refuse(`${pointer}/${kind}`, "must be text");
    const given = Object.keys(part).filter((key) => key !== kind);
    for (const key of given) {
      if (!tests.some((test) => test === key)) this.#refuse(`${pointer}/${key}`, "is not known here");
      this.#checkOperand(key as keyof Test, part[key], `${pointer}/${key}`);
    }
    const test = given.length === 0 ? { exists: true } : (part as Test);
    const mismatch = { pointer: this.#at + pointer, condition: JSON.stringify(part) };
    if (kind === "header") {
      return (look) => {
        const value = look.header(name as string);
        return fits(test, value === undefined ? [] : [value], asHeader) ? undefined : mismatch;
      };
    }
    const query = this.#path(name as string, `${pointer}/payload`);
    return (look) => {
      const { payload } = look;
      return payload && fits(test, valuesOf(query, payload.value)) ? undefined : mismatch;
    };
  }

  #checkOperand(test: keyof Test, operand: unknown, pointer: string): void {
    const isText = (value: unknown) => typeof value === "string" && value.length <= filterLimits.textLength;
    const isScalar = (value: unknown) =>
      value === null || typeof value === "boolean" || Number.isFinite(value) || isText(value);
    if (test === "in") {
      const isList = Array.isArray(operand) && operand.length > 0 && operand.length <= filterLimits.values;
      if (!isList || !operand.every(isScalar)) this.#refuse(pointer, "must be a list of values");
    } else if (test === "equals") {
      if (!isScalar(operand)) this.#refuse(pointer, "must be text, a number, a boolean or null");
    } else if (test === "prefix") {
      if (!isText(operand)) this.#refuse(pointer, "must be text");
    } else if (test === "exists") {
      if (typeof operand !== "boolean") this.#refuse(pointer, "must be true or false");
    } else if (!Number.isFinite(operand)) this.#refuse(pointer, "must be a number");
  }

  #path(text: string, pointer: string): JSONPathQuery {
    if (text.length > filterLimits.pathLength) {
      this.#refuse(pointer, `must have ${filterLimits.pathLength} characters at most`);
    }
    const bare = text.replaceAll(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/g, "''");
    if (bare.split("..").length > 2) this.#refuse(pointer, "may have `..` once");
    const slow = /\b(match|search)\s*\(/.exec(bare);
    if (slow) this.#refuse(pointer, `may not use \`${slow[1]}\``);
    if (bare.includes(",")) this.#refuse(pointer, "may have one selector in a segment");
    if (bare.lastIndexOf("$") > 0) this.#refuse(pointer, "may begin at the root only at its beginning");
    try {
      return paths.compile(text);
    } catch (error) {
      return this.#refuse(pointer, `is no JSONPath that is allowed here: ${(error as Error).message}`);
    }
  }

  #refuse(pointer: string, message: string): never {
    const at = `${this.#at}${pointer}`;
    const fields = [{ pointer: at, message }];
    throw new HotSwapError("validation_failed", `${at} ${message}.`, { fields });
  }
}

function allOf(nodes: readonly Node[]): Node {
  return (look) => {
    for (const node of nodes) {
      const mismatch = node(look);
      if (mismatch) return mismatch;
    }
    return undefined;
  };
}

function anyOf(nodes: readonly Node[], pointer: string, part: unknown): Node {
  const mismatch = { pointer, condition: JSON.stringify(part) };
  return (look) => (nodes.some((node) => node(look) === undefined) ? undefined : mismatch);
}

function notOf(node: Node, pointer: string, part: unknown): Node {
  const mismatch = { pointer, condition: JSON.stringify(part) };
  return (look) => (node(look) === undefined ? mismatch : undefined);
}

function* valuesOf(query: JSONPathQuery, value: JSONValue): Generator<unknown> {
  for (const node of query.lazyQuery(value)) yield node.value;
}

type Equal = (value: unknown, operand: Scalar) => boolean;
const asJson: Equal = (value, operand) => value === operand;
/** A header is text, read as what it is compared with. */
const asHeader: Equal = (value, operand) =>
  value === (typeof operand === "boolean" ? String(operand) : operand) ||
  (typeof operand === "number" && numberIn(value) === operand);

/** Whether one of the values passes every part of the test. */
function fits(test: Test, values: Iterable<unknown>, equal = asJson): boolean {
  if (test.exists === false) {
    for (const _ of values) return false;
    return true;
  }
  for (const value of values) if (passes(test, value, equal)) return true;
  return false;
}

/** NaN for what is none. */
const numberIn = (value: unknown): unknown =>
  typeof value === "string" && value.trim() !== "" ? Number(value) : value;

function passes(test: Test, value: unknown, equal: Equal): boolean {
  if (test.equals !== undefined && !equal(value, test.equals)) return false;
  if (test.in !== undefined && !test.in.some((operand) => equal(value, operand))) return false;
  if (test.prefix !== undefined && !(typeof value === "string" && value.startsWith(test.prefix)))
    return false;
  const { gt, gte, lt, lte } = test;
  if (gt === undefined && gte === undefined && lt === undefined && lte === undefined) return true;
  const number = numberIn(value);
  if (typeof number !== "number" || Number.isNaN(number)) return false;
  if (gt !== undefined && !(number > gt)) return false;
  if (gte !== undefined && !(number >= gte)) return false;
  if (lt !== undefined && !(number < lt)) return false;
  return lte === undefined || number <= lte;
}
