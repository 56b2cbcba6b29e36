/**
 * What a change of routes would mean for the requests that were here lately: each is matched again, by the data
 * plane's own matcher, against the routes as they are and as they would be.
 *
 * A record has method, host and path, but no header fields and no query. That the conditions of its route held is
 * known all the same, since it was chosen; and conditions that the routes of today look at decide as they did then. A
 * request for which a new condition would decide is counted as undecided and not guessed at.
 */
import type { AnalysedRoute } from "./analysis.ts";
import { compileMatch } from "./compile.ts";
import { Matcher, type Routed, type Subject } from "./proxy/matcher.ts";
import type { RequestRecord } from "./proxy/records.ts";
import type { Condition, Match } from "./proxy/snapshot.route.ts";
import type { RouteSpec } from "./routes.schema.ts";
import { diffValues } from "./set-diff.ts";

/** What is different for a request: which route takes it, where it goes, whether it may, how it is handled. */
export const effects = ["route", "backends", "policies", "handling"] as const;
export type Effect = (typeof effects)[number];

/** Of one effect, from one route to the same or another. */
export interface PreviewGroup {
  /** Null: no route takes them. */
  from: string | null;
  to: string | null;
  effects: Effect[];
  count: number;
  examples: { method: string; host: string; path: string; requestId: string }[];
}

export interface Preview {
  requests: number;
  unchanged: number;
  undecided: number;
  groups: PreviewGroup[];
}

const examplesMax = 5;
const groupsMax = 100;

export function preview(
  before: Iterable<AnalysedRoute>,
  after: Iterable<AnalysedRoute>,
  records: readonly RequestRecord[],
): Preview {
  const [now, then] = [matcherOf(before), matcherOf(after)];
  const groups = new Map<string, PreviewGroup>();
  const compared = new Map<string, Effect[]>();
  let [unchanged, undecided] = [0, 0];
  for (const record of records) {
    const known = now.get(record.route ?? "");
    const subject = new Replayed(record, known?.match);
    const from = now.find(subject);
    subject.learned();
    const to = then.find(subject);
    // The routes have changed since it was here; or a field decides that nobody knows.
    if (from?.id !== record.route || subject.isUnsure) {
      undecided++;
      continue;
    }
    const key = `${from?.id} ${to?.id}`;
    const found = compared.get(key) ?? effectsOf(from, to);
    compared.set(key, found);
    if (found.length === 0) unchanged++;
    else
      count(
        groups,
        key,
        { from: from?.spec.name ?? null, to: to?.spec.name ?? null, effects: found },
        record,
      );
  }
  const largest = [...groups.values()].sort((a, b) => b.count - a.count).slice(0, groupsMax);
  return { requests: records.length, unchanged, undecided, groups: largest };
}

function count(
  groups: Map<string, PreviewGroup>,
  key: string,
  what: Pick<PreviewGroup, "from" | "to" | "effects">,
  { method, host, path, id: requestId }: RequestRecord,
): void {
  const group = groups.get(key) ?? { ...what, count: 0, examples: [] };
  groups.set(key, group);
  group.count++;
  const isNew = !group.examples.some(
    (one) => one.method === method && one.host === host && one.path === path,
  );
  if (isNew && group.examples.length < examplesMax) group.examples.push({ method, host, path, requestId });
}

interface Entry extends Routed {
  readonly spec: RouteSpec;
}

function matcherOf(routes: Iterable<AnalysedRoute>): Matcher<Entry> {
  const matcher = new Matcher<Entry>();
  for (const { id, spec } of routes) {
    if (spec.enabled === false) continue;
    matcher.put({ id, spec, priority: spec.priority ?? 0, match: compileMatch(spec.match) });
  }
  return matcher;
}

const kinds: Readonly<Record<string, Effect | undefined>> = {
  ...{ name: undefined, description: undefined, enabled: undefined, priority: undefined, match: undefined },
  ...{ backends: "backends", strategy: "backends", header: "backends", sticky: "backends" },
  ...{ connection: "backends", redirect: "backends", mirror: "backends" },
  ...{ limits: "policies", auth: "policies", cors: "policies", ip: "policies" },
};

function effectsOf(from: Entry | undefined, to: Entry | undefined): Effect[] {
  if (!from || !to) return from === to ? [] : ["route"];
  const found = new Set<Effect>(from.id === to.id ? [] : ["route"]);
  for (const { pointer } of diffValues(from.spec, to.spec)) {
    const place = pointer.split("/")[1]!;
    const effect = place in kinds ? kinds[place] : "handling";
    if (effect) found.add(effect);
  }
  return effects.filter((effect) => found.has(effect));
}

/** A request of which nobody knows the header fields and the query, but what can be told from the route it took. */
class Replayed implements Subject {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** A field was asked for that nothing is known of. */
  isUnsure = false;
  readonly #headers: Map<string, string | undefined>;
  readonly #query: Map<string, string | undefined>;
  readonly #asked = new Set<string>();
  #isLearning = true;

  constructor({ method, host, path }: RequestRecord, held: Match | undefined) {
    this.method = method;
    this.host = host;
    this.path = path;
    this.#headers = valuesOf(held?.headers, (name) => name.toLowerCase());
    this.#query = valuesOf(held?.query, (name) => name);
  }

  /** What was asked up to here was decided when the request was here; what is asked from here on may be new. */
  learned(): void {
    this.#isLearning = false;
  }

  header(name: string): string | undefined {
    return this.#answer("header", this.#headers, name.toLowerCase());
  }

  query(name: string): string | undefined {
    return this.#answer("query", this.#query, name);
  }

  #answer(part: string, known: Map<string, string | undefined>, name: string): string | undefined {
    const key = `${part} ${name}`;
    if (this.#isLearning) this.#asked.add(key);
    else if (!known.has(name) && !this.#asked.has(key)) this.isUnsure = true;
    return known.get(name);
  }
}

function valuesOf(conditions: readonly Condition[] | undefined, nameOf: (name: string) => string) {
  return new Map((conditions ?? []).map((condition) => [nameOf(condition.name), fittingValue(condition)]));
}

/** One that the condition holds for. */
function fittingValue({ equals, prefix, oneOf, present }: Condition): string | undefined {
  return present === false ? undefined : (equals ?? prefix ?? oneOf?.[0] ?? "1");
}
