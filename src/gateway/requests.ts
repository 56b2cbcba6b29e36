/**
 * Why a request went the way it went: the record of the data plane, beside the routes, backends and limits that it was
 * decided by. Of what is not in the record (header fields, the query) this says that it was decisive, not what it was.
 */
import { HotSwapError } from "../core/errors.ts";
import { type AnalysedRoute, toEntry } from "./analysis.ts";
import type { BackendTable } from "./backend-table.ts";
import type { Hosts } from "./host-index.ts";
import { covers, coversHost, prepare } from "./overlap.ts";
import type { DataPlane } from "./proxy/data-plane.ts";
import { compareRanks } from "./proxy/order.ts";
import type { RequestRecord, ResponseFlag } from "./proxy/records.ts";
import type { RouteSpec } from "./routes.schema.ts";

export const flagMeanings: Readonly<Record<ResponseFlag, string>> = {
  NR: "no route matches",
  UH: "no backend can be used",
  UF: "the connection to the backend failed",
  UC: "the backend closed the connection early",
  UT: "the backend was too slow",
  UP: "the backend broke the protocol",
  UO: "the breaker is open, or the backend has as many connections as it may",
  URX: "the retries, or their budget, are spent",
  RL: "over a rate limit",
  DC: "the client went away",
  DT: "the client was too slow",
  DP: "the client broke the protocol",
  UA: "refused by a policy of the route",
  LR: "answered by the gateway itself",
};

export interface RequestsParts {
  plane: DataPlane;
  served: {
    readonly backends: BackendTable;
    routesOf(tenant: string): ReadonlyMap<string, AnalysedRoute>;
    readonly hosts: Hosts;
  };
}

export interface Considered {
  route: string;
  chosen: boolean;
  reason: string;
}

export class Requests {
  readonly #parts: RequestsParts;

  constructor(parts: RequestsParts) {
    this.#parts = parts;
  }

  /** The last ones of this tenant, newest first, among the last `among` of all. */
  async recent(tenant: string, limit: number, among = 1_000): Promise<RequestRecord[]> {
    const records = await this.#parts.plane.recent(among);
    return records.filter((record) => this.#isOf(record, tenant)).slice(0, limit);
  }

  /** Throws `gateway_request_not_found`. */
  async explain(tenant: string, id: string) {
    const { plane, served } = this.#parts;
    const record = await plane.explain(id);
    if (!record || !this.#isOf(record, tenant)) throw new HotSwapError("gateway_request_not_found");
    const spec = record.route === undefined ? undefined : served.routesOf(tenant).get(record.route)?.spec;
    const { backends: states } = await plane.stats();
    const named = new Set([...(record.candidates ?? []), ...record.attempts].map(({ backend }) => backend));
    return {
      record,
      spec,
      considered: this.#considered(record, tenant),
      urlOf: (backend: string) => served.backends.find(backend)?.backend.url ?? null,
      states: states.filter(({ id: backend }) => named.has(backend)),
    };
  }

  #isOf({ tenant, host }: RequestRecord, who: string): boolean {
    return (tenant ?? this.#parts.served.hosts.ownerOf(nameOf(host)) ?? who) === who;
  }

  /** Routes that fit host and path, in the order in which the data plane looks at them. */
  #considered({ host, path, method, route }: RequestRecord, tenant: string): Considered[] {
    const place = { path: { exact: path } };
    const wanted = prepare({ match: place });
    const name = nameOf(host);
    const fitting = [...this.#parts.served.hosts.meeting(tenant, { host: name, ...place })]
      .filter(({ spec }) => spec.enabled !== false && coversHost(spec.match.host, name))
      .filter(({ spec: { match } }) =>
        covers(prepare({ match: match.path ? { path: match.path } : {} }), wanted),
      )
      .map(toEntry)
      .sort((a, b) => compareRanks(a.rank, b.rank) || (a.id < b.id ? -1 : 1))
      .slice(0, 20);
    const at = fitting.findIndex(({ id }) => id === route);
    return fitting.map(({ id, spec }, index) => {
      const reason = reasonOf(spec, { chosen: id === route, after: at >= 0 && index > at, method });
      return { route: spec.name, chosen: id === route, reason };
    });
  }
}

/** Of a Host field. */
const nameOf = (host: string) => host.replace(/:\d+$/, "").toLowerCase();

function reasonOf(
  { match }: RouteSpec,
  { chosen, after, method }: { chosen: boolean; after: boolean; method: string },
): string {
  if (chosen) return "all of its match fits, and no route before it does";
  if (match.methods && !match.methods.includes(method)) return `${method} is not one of its methods`;
  if (after) return "comes after the chosen one";
  return "a condition on a header field or on the query did not fit";
}
