/**
 * A change of some fields of a route, as a deployment has it: merged into the route as it is (RFC 7396: objects member
 * by member, `null` takes away, lists as a whole), and checked like a route of its own. Pure.
 *
 * Two versions of a route serve its requests side by side, so they cannot differ in which requests are its own.
 */
import { createHash } from "node:crypto";
import { type FieldError, HotSwapError } from "../core/errors.ts";
import { canonicalJson } from "../core/json.ts";
import type { RouteSpec } from "./routes.schema.ts";
import { problemsOf } from "./sets.ts";

/** These say which requests are the route's. */
const fixed = ["name", "match", "priority", "enabled"] as const;

/** Throws `validation_failed` with pointers below `/change`. */
export function changedSpec(spec: RouteSpec, change: unknown): RouteSpec {
  if (!isObject(change)) throw refusal([{ pointer: "/change", message: "must be an object" }]);
  const wanted = mergePatch(spec, change) as RouteSpec;
  const fields: FieldError[] = fixed
    .filter((name) => !same(spec[name], wanted[name]))
    .map((name) => ({ pointer: `/change/${name}`, message: sayFixed(name) }));
  if (fields.length > 0) throw refusal(fields);
  refuseChange(problemsOf(wanted));
  if (same(spec, wanted)) {
    throw refusal([{ pointer: "/change", message: "changes nothing: the route is like this already" }]);
  }
  return wanted;
}

/** As `changedSpec`, without a second version beside it: all of the route may change. */
export function editedSpec(spec: RouteSpec, change: unknown): RouteSpec {
  const wanted = mergePatch(spec, change) as RouteSpec;
  refuseChange(problemsOf(wanted));
  return wanted;
}

/** Throws when there are problems, which are those of the changed route. */
export function refuseChange(problems: readonly FieldError[]): void {
  if (problems.length === 0) return;
  throw refusal(problems.map(({ pointer, message }) => ({ pointer: `/change${pointer}`, message })));
}

/** Names the content: the same for the same route, on every node. */
export function specHash(spec: RouteSpec): string {
  return createHash("sha256").update(canonicalJson(spec)).digest("hex");
}

/** RFC 7396. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const merged = new Map(isObject(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name);
    else merged.set(name, mergePatch(merged.get(name), value));
  }
  return Object.fromEntries(merged);
}

const sayFixed = (name: string) =>
  `says which requests are the route's, in which its two versions cannot differ; set ${name} with PUT instead`;

function refusal(fields: FieldError[]): HotSwapError {
  const [first] = fields;
  const more = fields.length > 1 ? ` (and ${fields.length - 1} more)` : "";
  return new HotSwapError("validation_failed", `${first!.pointer} ${first!.message}${more}.`, { fields });
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function same(one: unknown, other: unknown): boolean {
  if (one === undefined || other === undefined) return one === other;
  return canonicalJson(one) === canonicalJson(other);
}
