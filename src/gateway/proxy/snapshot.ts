/**
 * What the control plane tells the data plane, and what it hears back: plain, immutable data, and the only thing
 * that the two know of each other. It crosses threads by structured clone.
 *
 * Identity is by id. What is deeply equal in the next snapshot keeps its connections, health, breaker and counters,
 * and a request goes on under the route that it began with. A field that is absent has the default named beside it.
 *
 * Of the routes that match, the highest `priority` wins; then the more specific one, as order.ts has it; then the
 * smaller id.
 */

import type { Backend } from "./snapshot.backend.ts";
import type { Route } from "./snapshot.route.ts";

export interface Snapshot {
  /** Grows with every publish; shows up in metrics, in `explain` and in the access log. */
  readonly revision: number;
  readonly routes: readonly Route[];
  readonly backends: readonly Backend[];
  /** Chosen by SNI; the first serves who names none. Only for listeners with TLS. */
  readonly certificates?: readonly Certificate[];
  readonly issuers?: readonly TokenIssuer[];
  readonly apiKeys?: readonly ApiKey[];
}

/** The difference between two snapshots; what a publish costs grows with this and not with the whole. */
export interface SnapshotChange {
  readonly revision: number;
  readonly routes?: readonly Route[];
  readonly removedRoutes?: readonly string[];
  readonly backends?: readonly Backend[];
  readonly removedBackends?: readonly string[];
  /** These lists are small and come whole when any of them changed. */
  readonly certificates?: readonly Certificate[];
  readonly issuers?: readonly TokenIssuer[];
  readonly apiKeys?: readonly ApiKey[];
}

export interface ApiKey {
  /** SHA-256 of the key, lower-case hex. */
  readonly hash: string;
  readonly subject: string;
  readonly groups?: readonly string[];
}

export interface TokenIssuer {
  readonly id: string;
  /** The `iss` claim. Several may have the same, with other keys or another audience. */
  readonly issuer: string;
  /** The claim, with dots for inner ones, that must name the tenant of the route; absent for one without tenants. */
  readonly tenantClaim?: string;
  /** For tokens without that claim. */
  readonly defaultTenant?: string;
  readonly audience?: string;
  readonly algorithms: readonly string[];
  /** Public keys as JWK. The control plane fetches and renews them. */
  readonly keys: readonly Readonly<Record<string, unknown>>[];
}

export interface Certificate {
  /** Server names, wildcards of one label allowed. */
  readonly hosts: readonly string[];
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  /** Authorities, PEM, that a client's certificate must be of where the listener asks for one. */
  readonly clientCa?: string;
}

/** Something of a snapshot that could not be used; the rest is. */
export interface SnapshotProblem {
  readonly kind: "route" | "backend" | "certificate" | "issuer";
  readonly id: string;
  readonly message: string;
}
