/**
 * Which of the routes that fit a request takes it: the highest priority; then an exact host, the longer wildcard, any
 * host; then the path, an exact one before all, the others segment by segment: a name before a placeholder before an
 * end, and at the same end a template before a prefix; then who has more conditions; then the smaller id.
 *
 * The matcher holds this by the places that it puts routes in and the way it walks through them. Whoever compares
 * routes without a request (analysis, explanations) asks here; a property test of the matcher holds the two together.
 */
import type { Match } from "./snapshot.route.ts";

interface Ordered {
  readonly priority: number;
  readonly match: Match;
}

/** What a route is compared by; made once and compared often. */
export interface Rank {
  readonly priority: number;
  readonly host: number;
  /** One letter for each segment and for the end; what sorts later goes first. */
  readonly path: string;
  readonly conditions: number;
}

export function rankOf({ priority, match }: Ordered): Rank {
  return { priority, host: hostRank(match), path: pathRank(match), conditions: conditionsOf(match) };
}

/** Negative when `a` goes first; 0 when only the ids decide. */
export function compareRanks(a: Rank, b: Rank): number {
  return (
    b.priority - a.priority ||
    b.host - a.host ||
    (a.path === b.path ? 0 : a.path > b.path ? -1 : 1) ||
    b.conditions - a.conditions
  );
}

/** Of two routes with the same host and the same path, placeholders by other names included. */
export function compareInPlace(a: Ordered & { id: string }, b: Ordered & { id: string }): number {
  return (
    b.priority - a.priority ||
    conditionsOf(b.match) - conditionsOf(a.match) ||
    (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
  );
}

/** More than the length of any host. */
const exactHost = 1_000;

function hostRank({ host }: Match): number {
  if (!host) return 0;
  return host.startsWith("*.") ? host.length : exactHost;
}

const letters = { exact: "z", name: "y", placeholder: "x", rest: "r", template: "q", prefix: "p" } as const;

function pathRank({ path }: Match): string {
  if (!path) return letters.prefix;
  if ("exact" in path) return letters.exact;
  const isTemplate = "template" in path;
  const segments = segmentsOf(isTemplate ? path.template : path.prefix);
  const rest = isTemplate && segments.findIndex(isRest);
  const shape = segments.map((segment) =>
    isTemplate && isName(segment) ? letters.placeholder : letters.name,
  );
  if (rest !== false && rest >= 0) return shape.slice(0, rest).join("") + letters.rest;
  return shape.join("") + (isTemplate ? letters.template : letters.prefix);
}

const conditionsOf = (match: Match) =>
  (match.methods ? 1 : 0) + (match.headers?.length ?? 0) + (match.query?.length ?? 0);

export const segmentsOf = (path: string) => path.split("/").filter((segment) => segment !== "");
export const isRest = (segment: string) => segment.startsWith("{") && segment.endsWith("*}");
export const isName = (segment: string) => segment.startsWith("{") && segment.endsWith("}");
