/** Routes as they are written and read, what is found about them, and what a change of them would do. */
import type { Json } from "./message.ts";

/** A route as it is written; what is not named here is in openapi.json. */
export interface RouteSpec {
  name: string;
  description?: string;
  /** Default true. */
  enabled?: boolean;
  /** The highest of those that match wins; then the more specific one. Default 0. */
  priority?: number;
  labels?: Record<string, string>;
  match: RouteMatch;
  strategy?: string;
  backends?: RouteBackend[];
  /** The gateway answers by itself; the route has no backends then. */
  redirect?: { status?: number; location: string };
  [member: string]: unknown;
}

export interface RouteMatch {
  host?: string;
  path?: { prefix?: string; exact?: string; template?: string };
  methods?: string[];
  headers?: RouteConditions;
  query?: RouteConditions;
}

/** Name to the value that it must have, or a list of conditions; all of them must fit. */
export type RouteConditions = Record<string, string> | RouteCondition[];

/** One of `equals`, `prefix`, `oneOf` and `present`. */
export interface RouteCondition {
  name: string;
  equals?: string;
  prefix?: string;
  oneOf?: string[];
  present?: boolean;
}

export interface RouteBackend {
  url?: string;
  service?: string;
  dns?: { name: string; [member: string]: unknown };
  weight?: number;
}

export interface GatewayRoute extends RouteSpec {
  id: string;
  /** Of this route; `update` takes it to notice changes by others. */
  version: number;
  /** Of the route set that this version came with. */
  revision: number;
  createdAt: string;
  updatedAt: string;
}

/** Two routes that get in each other's way. */
export interface RouteFinding {
  kind: "unreachable" | "ambiguous" | "overlap" | "settings-differ";
  route: string;
  other: string;
  message: string;
}

export interface ChangedRoute extends GatewayRoute {
  warnings: RouteFinding[];
}

export interface RouteAnalysis {
  revision: number;
  routes: number;
  findings: RouteFinding[];
  truncated: boolean;
}

export interface PlaceChange {
  /** JSON Pointer into the route. */
  pointer: string;
  before?: Json;
  after?: Json;
}

export interface RouteImport {
  dryRun: boolean;
  revision: number;
  diff: {
    added: string[];
    changed: { name: string; changes: PlaceChange[] }[];
    removed: string[];
    unchanged: number;
  };
  warnings: RouteFinding[];
}

/** A set of routes, or new fields of one, as a JSON merge patch. */
export type PreviewRequest =
  | { routes: readonly RouteSpec[]; mode?: "replace" | "merge" }
  | { route: string; change: Record<string, unknown> };

/** Which of the last requests would be served otherwise. */
export interface RoutePreview {
  /** So many were looked at. */
  requests: number;
  unchanged: number;
  /** A header field or the query would decide, and is not kept. */
  undecided: number;
  groups: {
    /** Names of routes; null is none. */
    from: string | null;
    to: string | null;
    effects: ("route" | "backends" | "policies" | "handling")[];
    count: number;
    examples: { method: string; host: string; path: string; requestId: string }[];
  }[];
}

export interface RouteFilter {
  name?: string | undefined;
  /** All of these: `team=billing,system=bss`. */
  labels?: string | undefined;
}
