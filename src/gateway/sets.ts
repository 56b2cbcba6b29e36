/**
 * A whole route set as a document, JSON or YAML: read, checked route by route, and written. Of a set with mistakes
 * every route that has some is named, so that a file is mended in one go, and nothing of it is taken.
 */
import { type Document, parseDocument, stringify } from "yaml";
import { type FieldError, HotSwapError } from "../core/errors.ts";
import { refuseDeepJson } from "../core/json.ts";
import { parseJson } from "../platform/http/body.ts";
import { refuseUnkeepable, validator } from "../platform/http/validation.ts";
import { checkRoute } from "./route-checks.ts";
import { type RouteSpec, routeSpec } from "./routes.schema.ts";

const validate = validator(routeSpec, "body");
const errorsMax = 200;
const errorsPerRouteMax = 5;

/** Throws `json_malformed` or `gateway_set_invalid`; the pointers are into the document. */
export function readSet(bytes: Buffer, type: string, depthMax: number): RouteSpec[] {
  const document = type.includes("yaml") ? parseYaml(bytes, depthMax) : parseJson(bytes, depthMax);
  const routes = (document as { routes?: unknown } | null)?.routes;
  if (!Array.isArray(routes)) throw invalid([{ pointer: "/routes", message: "must be a list of routes" }]);
  for (const name of Object.keys(document as object)) {
    // An export says where it came from, and can be imported as it is.
    if (name !== "routes" && name !== "revision")
      throw invalid([{ pointer: `/${name}`, message: "is not a known field" }]);
  }
  return checkSet(routes);
}

/** Throws `gateway_set_invalid` with pointers below `/routes`. */
export function checkSet(routes: readonly unknown[]): RouteSpec[] {
  const places = new Map<unknown, number>();
  const fields = routes.flatMap((route, index) => {
    const own = problemsOf(route).slice(0, errorsPerRouteMax);
    const name: unknown = (route as { name?: unknown } | null)?.name;
    const first = places.get(name);
    if (first !== undefined) own.push({ pointer: "/name", message: `is that of /routes/${first} already` });
    else if (typeof name === "string") places.set(name, index);
    const of = typeof name === "string" ? ` (route ${name.slice(0, 128)})` : "";
    return own.map(({ pointer, message }) => ({
      pointer: `/routes/${index}${pointer}`,
      message: message + of,
    }));
  });
  if (fields.length > 0) throw invalid(fields.slice(0, errorsMax), fields.length);
  return routes as RouteSpec[];
}

/** Of one route, by pointers into it; empty when it can be served. */
export function problemsOf(route: unknown): FieldError[] {
  try {
    validate(route);
    refuseUnkeepable(route, "body");
  } catch (error) {
    if (error instanceof HotSwapError) return error.fields;
    throw error;
  }
  return checkRoute(route as RouteSpec);
}

function invalid(fields: FieldError[], count = fields.length): HotSwapError {
  const [first] = fields;
  const more = count > 1 ? ` (and ${count - 1} more)` : "";
  return new HotSwapError("gateway_set_invalid", `${first!.pointer} ${first!.message}${more}.`, { fields });
}

function parseYaml(bytes: Buffer, depthMax: number): unknown {
  let document: Document;
  let value: unknown;
  try {
    document = parseDocument(new TextDecoder("utf-8", { fatal: true }).decode(bytes), { version: "1.2" });
    if (document.errors[0]) throw document.errors[0];
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    const detail = error instanceof Error ? error.message.split("\n", 1)[0] : "it cannot be read";
    throw new HotSwapError("json_malformed", `The body is not valid YAML: ${detail}`);
  }
  refuseDeepJson(Buffer.from(JSON.stringify(value) ?? "null"), depthMax);
  return value;
}

/** Ready for `readSet`, and for people: one route after the other. */
export function writeYaml(set: { revision: number; routes: readonly RouteSpec[] }): string {
  return stringify(set, { lineWidth: 110, aliasDuplicateObjects: false });
}
