/**
 * Which requests two matches have in common. Decided without examples: hosts and paths are nested or apart, and a
 * condition on a header is looked at as a set of values. `covers` is only true when it is certain; `meets` is only
 * false when it is certain, since two conditions on different headers can always come together.
 */
import type { ConditionSpec } from "./match.schema.ts";
import { conditionsOf } from "./route-checks.ts";
import type { RouteSpec } from "./routes.schema.ts";

/** A match, prepared once and compared often. */
export interface Matched {
  readonly host: string | undefined;
  readonly path: PathPattern;
  readonly methods: readonly string[] | undefined;
  readonly headers: readonly ConditionSpec[];
  readonly query: readonly ConditionSpec[];
}

export interface PathPattern {
  readonly kind: "exact" | "template" | "prefix" | "any";
  /** `undefined` is any one segment. */
  readonly segments: readonly (string | undefined)[];
  /** How many further segments there may be: none, any number, or at least one. */
  readonly rest: "none" | "any" | "some";
  /** As written. */
  readonly text: string;
}

export function prepare({ match }: Pick<RouteSpec, "match">): Matched {
  const lower = (condition: ConditionSpec) => ({ ...condition, name: condition.name.toLowerCase() });
  return {
    host: match.host,
    path: pathPattern(match.path),
    methods: match.methods?.flatMap((method) => (method === "GET" ? [method, "HEAD"] : method)),
    headers: conditionsOf(match.headers).map(lower),
    query: conditionsOf(match.query),
  };
}

/** Undefined is any path. */
export function pathPattern(path: RouteSpec["match"]["path"]): PathPattern {
  if (path?.exact !== undefined) {
    return { kind: "exact", segments: path.exact.slice(1).split("/"), rest: "none", text: path.exact };
  }
  if (path?.template !== undefined) {
    const text = path.template;
    const all = text.slice(1).split("/");
    const rest = all.at(-1)?.endsWith("*}") ? "some" : "none";
    const segments = (rest === "some" ? all.slice(0, -1) : all).map((segment) =>
      segment.startsWith("{") ? undefined : segment,
    );
    return { kind: "template", segments, rest, text };
  }
  const text = path?.prefix ?? "";
  const bare = text.replace(/\/$/, "");
  const segments = bare === "" ? [] : bare.slice(1).split("/");
  return { kind: path === undefined ? "any" : "prefix", segments, rest: "any", text };
}

/** Literal segments before the first placeholder. Two whose beginnings part have no request in common. */
export function beginningOf({ segments }: PathPattern): readonly string[] {
  const end = segments.indexOf(undefined);
  return (end < 0 ? segments : segments.slice(0, end)) as readonly string[];
}

/** Every request that fits `b` fits `a`. */
export function covers(a: Matched, b: Matched): boolean {
  return (
    coversHost(a.host, b.host) &&
    coversPath(a.path, b.path) &&
    (a.methods === undefined || (b.methods?.every((method) => a.methods!.includes(method)) ?? false)) &&
    a.headers.every((wanted) => b.headers.some((given) => implies(given, wanted))) &&
    a.query.every((wanted) => b.query.some((given) => implies(given, wanted)))
  );
}

/** There may be a request that fits both. */
export function meets(a: Matched, b: Matched): boolean {
  return (
    (coversHost(a.host, b.host) || coversHost(b.host, a.host)) &&
    meetsPath(a.path, b.path) &&
    (a.methods === undefined || (b.methods?.some((method) => a.methods!.includes(method)) ?? true)) &&
    !a.headers.some((one) => b.headers.some((other) => excludes(one, other))) &&
    !a.query.some((one) => b.query.some((other) => excludes(one, other)))
  );
}

/** Undefined is any host; `*.b` is every name below b. */
export function coversHost(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || a === b) return true;
  if (b === undefined || !a.startsWith("*.")) return false;
  return b.endsWith(a.slice(1)); // "x.b" and "*.x.b" both end in ".b"
}

function coversPath(a: PathPattern, b: PathPattern): boolean {
  if (b.segments.length < a.segments.length) return false;
  const fits = a.segments.every((segment, index) => segment === undefined || segment === b.segments[index]);
  if (!fits) return false;
  const longer = b.segments.length > a.segments.length;
  if (a.rest === "none") return !longer && b.rest === "none";
  return a.rest === "any" || longer || b.rest === "some";
}

function meetsPath(a: PathPattern, b: PathPattern): boolean {
  const [short, long] = a.segments.length <= b.segments.length ? [a, b] : [b, a];
  const apart = short.segments.some((segment, index) => {
    const other = long.segments[index];
    return segment !== undefined && other !== undefined && segment !== other;
  });
  if (apart) return false;
  if (short.segments.length < long.segments.length) return short.rest !== "none";
  return (short.rest !== "some" || long.rest !== "none") && (long.rest !== "some" || short.rest !== "none");
}

/** Values that a condition names, when it names some. */
const valuesOf = ({ equals, oneOf }: ConditionSpec) => (equals === undefined ? oneOf : [equals]);

function implies(given: ConditionSpec, wanted: ConditionSpec): boolean {
  if (given.name !== wanted.name) return false;
  if (wanted.present === false || given.present === false) return wanted.present === given.present;
  if (wanted.present === true) return true;
  const values = valuesOf(given);
  const { prefix } = wanted;
  if (prefix !== undefined) {
    return values?.every((value) => value.startsWith(prefix)) ?? given.prefix?.startsWith(prefix) ?? false;
  }
  const allowed = valuesOf(wanted) ?? [];
  return values?.every((value) => allowed.includes(value)) ?? false;
}

function excludes(one: ConditionSpec, other: ConditionSpec): boolean {
  if (one.name !== other.name) return false;
  if (one.present === false || other.present === false) return one.present !== other.present;
  if (one.present === true || other.present === true) return false;
  const [ones, others] = [valuesOf(one), valuesOf(other)];
  if (ones && others) return !ones.some((value) => others.includes(value));
  const prefix = one.prefix ?? other.prefix ?? "";
  const values = ones ?? others;
  if (values) return !values.some((value) => value.startsWith(prefix));
  return !one.prefix!.startsWith(other.prefix!) && !other.prefix!.startsWith(one.prefix!);
}
