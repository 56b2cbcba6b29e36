/**
 * Which routes of a set get in one another's way. A narrower route beside a wider one is how routes are meant to be
 * and is not reported; what is: a route that never gets a request, two that only the smaller id tells apart, and two
 * that each take requests from the other.
 *
 * Routes are compared only along the literal beginnings of their paths, so that a set of many thousand costs what its
 * real neighbours cost; a bound on the comparisons holds for sets made to be slow.
 */
import { compileMatch } from "./compile.ts";
import { beginningOf, covers, type Matched, meets, prepare } from "./overlap.ts";
import { compareRanks, type Rank, rankOf } from "./proxy/order.ts";
import type { Finding, RouteSpec } from "./routes.schema.ts";

export interface AnalysedRoute {
  readonly id: string;
  readonly spec: RouteSpec;
}

interface Prepared {
  readonly matched: Matched;
  readonly rank: Rank;
}

export interface Entry extends AnalysedRoute, Prepared {}

const comparisonsMax = 2_000_000;
const findingsMax = 1_000;

export interface SetAnalysis {
  findings: Finding[];
  truncated: boolean;
}

export function analyse(routes: readonly AnalysedRoute[]): SetAnalysis {
  const entries = routes.filter(isEnabled).map(toEntry);
  const byBeginning = Map.groupBy(entries, ({ matched }) => beginningOf(matched.path).join("/"));
  const findings: Finding[] = [];
  let comparisons = 0;
  for (const entry of entries) {
    const beginning = beginningOf(entry.matched.path);
    for (let length = 0; length <= beginning.length; length++) {
      for (const other of byBeginning.get(beginning.slice(0, length).join("/")) ?? []) {
        // Two with the same beginning would be seen from both sides.
        if (other === entry || (length === beginning.length && other.id > entry.id)) continue;
        if (++comparisons > comparisonsMax || findings.length >= findingsMax)
          return { findings, truncated: true };
        const found = between(entry, other);
        if (found) findings.push(found);
      }
    }
  }
  return { findings, truncated: false };
}

/** What one route would mean to its neighbours; `routes` may hold others, and an earlier version of it. */
export function analyseOne(route: AnalysedRoute, routes: Iterable<AnalysedRoute>): Finding[] {
  if (!isEnabled(route)) return [];
  const entry = toEntry(route);
  const findings: Finding[] = [];
  for (const other of routes) {
    if (other.id === route.id || !isEnabled(other)) continue;
    if (!meets(entry.matched, preparedOf(other.spec).matched)) continue; // nearly all of them
    const found = between(entry, toEntry(other));
    if (found) findings.push(found);
    if (findings.length >= 20) break; // more of them would say nothing new
  }
  return findings;
}

const isEnabled = ({ spec }: AnalysedRoute) => spec.enabled !== false;
const known = new WeakMap<RouteSpec, Prepared>();

export function toEntry({ id, spec }: AnalysedRoute): Entry {
  return { id, spec, ...preparedOf(spec) };
}

function preparedOf(spec: RouteSpec): Prepared {
  const before = known.get(spec);
  if (before) return before;
  const rank = rankOf({ priority: spec.priority ?? 0, match: compileMatch(spec.match) });
  const prepared = { matched: prepare(spec), rank };
  known.set(spec, prepared);
  return prepared;
}

function between(a: Entry, b: Entry): Finding | undefined {
  if (!meets(a.matched, b.matched)) return undefined;
  const order = compareRanks(a.rank, b.rank);
  const [winner, loser] = order < 0 || (order === 0 && a.id < b.id) ? [a, b] : [b, a];
  const names = { route: loser.spec.name, other: winner.spec.name };
  if (covers(winner.matched, loser.matched)) {
    const why = order === 0 ? "is the same and older" : "goes first and matches all of it";
    return {
      kind: "unreachable",
      ...names,
      message: `${names.route} gets no request: ${names.other} ${why}.`,
    };
  }
  if (order === 0) {
    const message = `${names.route} and ${names.other} match some requests both; give one of them a priority.`;
    return { kind: "ambiguous", ...names, message };
  }
  if (covers(loser.matched, winner.matched)) return undefined;
  const message = `Of requests that both match, ${names.other} takes all.`;
  return { kind: "overlap", ...names, message };
}
