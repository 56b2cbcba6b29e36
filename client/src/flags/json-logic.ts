/**
 * JSON Logic (jsonlogic.com) with operators of the caller's. Rules are data of somebody else: nothing of the language
 * is reachable by them (own members only), and how deep they nest is bounded.
 */
export type Operator = (args: readonly unknown[], data: unknown) => unknown;

/** The rule cannot be evaluated. */
export class LogicError extends Error {
  override readonly name = "LogicError";
}

const depthMax = 64;

export class JsonLogic {
  readonly #operators: ReadonlyMap<string, Operator>;

  constructor(operators: ReadonlyMap<string, Operator>) {
    this.#operators = new Map([...plain, ...operators]);
  }

  evaluate(rule: unknown, data: unknown, depth = 0): unknown {
    if (depth > depthMax) throw new LogicError(`the rule is nested deeper than ${depthMax} levels`);
    if (Array.isArray(rule)) return rule.map((item) => this.evaluate(item, data, depth + 1));
    if (typeof rule !== "object" || rule === null) return rule;
    const members = Object.entries(rule);
    if (members.length !== 1) return rule;
    const [name, given] = members[0]!;
    const args: unknown[] = Array.isArray(given) ? given : [given];
    const lazy = this.#lazily(name, args, data, depth);
    if (lazy) return lazy.value;
    const values = args.map((argument) => this.evaluate(argument, data, depth + 1));
    const operator = this.#operators.get(name);
    if (!operator) throw new LogicError(`${name} is not an operator`);
    return operator(values, data);
  }

  /** Those that do not evaluate all of their arguments, or do so for each item. */
  #lazily(name: string, args: unknown[], data: unknown, depth: number): { value: unknown } | undefined {
    const at = (index: number, of = data) => this.evaluate(args[index], of, depth + 1);
    const items = () => {
      const list = at(0);
      return Array.isArray(list) ? list : [];
    };
    const holds = (item: unknown) => isTrue(at(1, item));
    switch (name) {
      case "if":
      case "?:":
        for (let index = 0; index + 1 < args.length; index += 2)
          if (isTrue(at(index))) return { value: at(index + 1) };
        return { value: args.length % 2 === 1 ? at(args.length - 1) : null };
      case "and":
      case "or": {
        let value: unknown = null;
        for (let index = 0; index < args.length; index++) {
          value = at(index);
          if (isTrue(value) === (name === "or")) break;
        }
        return { value };
      }
      case "map":
        return { value: items().map((item) => at(1, item)) };
      case "filter":
        return { value: items().filter(holds) };
      case "reduce":
        return { value: items().reduce((accumulator, current) => at(1, { current, accumulator }), at(2)) };
      case "all":
        return { value: items().length > 0 && items().every(holds) };
      case "some":
        return { value: items().some(holds) };
      case "none":
        return { value: !items().some(holds) };
    }
    return undefined;
  }
}

/** An empty list is false, unlike in JavaScript. */
export const isTrue = (value: unknown): boolean => (Array.isArray(value) ? value.length > 0 : Boolean(value));

export function lookUp(path: unknown, data: unknown, otherwise: unknown = null): unknown {
  if (path === "" || path === null || path === undefined) return data;
  let at: unknown = data;
  for (const name of textOf(path).split(".")) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) return otherwise;
    at = (at as Record<string, unknown>)[name];
  }
  return at ?? otherwise;
}

/** Without what an object would be asked to do: a member may be named as its methods are. */
const numberOf = (value: unknown): number =>
  typeof value === "object" && value !== null ? Number.NaN : Number(value);
const textOf = (value: unknown): string =>
  typeof value === "object" && value !== null ? JSON.stringify(value) : String(value ?? "");
const numbers = (args: readonly unknown[]) => args.map(numberOf);
const compare = (holds: (a: number, b: number) => boolean): Operator => {
  return (args) => {
    const isText = args.every((value) => typeof value === "string");
    const values: number[] = isText ? ranks(args as string[]) : numbers(args);
    return values.length > 1 && values.slice(1).every((value, index) => holds(values[index]!, value));
  };
};
/** Texts compare as texts, by UTF-16. */
const ranks = (texts: readonly string[]) => {
  const sorted = [...new Set(texts)].sort();
  return texts.map((text) => sorted.indexOf(text));
};

/** As `==` of JavaScript, between what JSON can hold. */
function isAlike(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a === null || b === null || typeof a === "object" || typeof b === "object") return false;
  return typeof a !== typeof b && Number(a) === Number(b);
}

const missing: Operator = (args, data) => {
  const names = Array.isArray(args[0]) ? args[0] : args;
  return names.filter((name) => {
    const value = lookUp(name, data);
    return value === null || value === "";
  });
};

const plain: [string, Operator][] = [
  ["var", ([path, otherwise], data) => lookUp(path, data, otherwise)],
  ["missing", missing],
  [
    "missing_some",
    ([needed, names], data) => {
      const absent = missing([Array.isArray(names) ? names : []], data) as unknown[];
      const count = Array.isArray(names) ? names.length : 0;
      return count - absent.length >= numberOf(needed) ? [] : absent;
    },
  ],
  ["==", ([a, b]) => isAlike(a, b)],
  ["!=", ([a, b]) => !isAlike(a, b)],
  ["===", ([a, b]) => a === b],
  ["!==", ([a, b]) => a !== b],
  ["!", ([value]) => !isTrue(value)],
  ["!!", ([value]) => isTrue(value)],
  ["<", compare((a, b) => a < b)],
  ["<=", compare((a, b) => a <= b)],
  [">", compare((a, b) => a > b)],
  [">=", compare((a, b) => a >= b)],
  ["min", (args) => Math.min(...numbers(args))],
  ["max", (args) => Math.max(...numbers(args))],
  ["+", (args) => numbers(args).reduce((sum, value) => sum + value, 0)],
  ["*", (args) => numbers(args).reduce((product, value) => product * value, 1)],
  ["-", (args) => (args.length === 1 ? -numberOf(args[0]) : numberOf(args[0]) - numberOf(args[1]))],
  ["/", ([a, b]) => numberOf(a) / numberOf(b)],
  ["%", ([a, b]) => numberOf(a) % numberOf(b)],
  ["merge", (args) => args.flat()],
  ["cat", (args) => args.map(textOf).join("")],
  [
    "in",
    ([item, whole]) =>
      Array.isArray(whole) ? whole.includes(item) : typeof whole === "string" && whole.includes(textOf(item)),
  ],
  [
    "substr",
    ([text, start, length]) => {
      const rest = textOf(text).slice(numberOf(start));
      return length === undefined || length === null ? rest : rest.slice(0, numberOf(length));
    },
  ],
];
