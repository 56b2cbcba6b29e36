/**
 * Which routes of a set get in one another's way. A narrower route beside a wider one is how routes are meant to be
 * and is not reported; what is: a route that never gets a request, two that only the smaller id tells apart, and two
 * that each take requests from the other.
 *
 * Routes are compared only along the literal beginnings of their paths, so that a set of many thousand costs what its
 * real neighbours cost; a bound on the comparisons holds for sets made to be slow.
 */
import { compileMatch } from "./compile.ts";
import { beginningOf, covers, coversHost, type Matched, meets, prepare } from "./overlap.ts";
import { PathIndex } from "./path-index.ts";
import { compareRanks, type Rank, rankOf } from "./proxy/order.ts";
import type { Finding, RouteSpec } from "./routes.schema.ts";

export interface AnalysedRoute {
  readonly id: string;
  readonly spec: RouteSpec;
}

/** What two matches can be to one another. */
type FoundKind = Exclude<Finding["kind"], "settings-differ">;

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
  const index = new PathIndex<Entry>();
  for (const entry of entries) index.put(entry);
  const found: Record<FoundKind, Finding[]> = { unreachable: [], ambiguous: [], overlap: [] };
  let truncated = false;
  let comparisons = 0;
  for (const entry of entries) {
    const beginning = beginningOf(entry.matched.path);
    for (const { routes: others, depth } of index.along(beginning)) {
      for (const other of others) {
        // Two with the same beginning would be seen from both sides.
        if (other === entry || (depth === beginning.length && other.id > entry.id)) continue;
        if (++comparisons > comparisonsMax) return { findings: inOrder(found), truncated: true };
        const finding = between(entry, other);
        if (!finding) continue;
        if (found[finding.kind].length < findingsMax) found[finding.kind].push(finding);
        else truncated = true;
      }
    }
  }
  return { findings: inOrder(found), truncated };
}

/** The worst first, so that many of one kind hide nothing of another from who reads only the beginning. */
const inOrder = ({ unreachable, ambiguous, overlap }: Record<FoundKind, Finding[]>) => [
  ...unreachable,
  ...ambiguous,
  ...overlap,
];

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

function between(a: Entry, b: Entry): (Finding & { kind: FoundKind }) | undefined {
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
  if (isNarrower(winner.matched, loser.matched)) return undefined;
  const message = `${names.route} and ${names.other} match some requests both; ${names.other} takes them.`;
  return { kind: "overlap", ...names, message };
}

/** A route for one host beside one for more of them is meant to go first, whatever paths the two have. */
const isNarrower = (winner: Matched, loser: Matched) =>
  covers(loser, winner) || (winner.host !== loser.host && coversHost(loser.host, winner.host));
