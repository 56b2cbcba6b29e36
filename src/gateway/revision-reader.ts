/**
 * Reads from SQL what changed since the revision that this node has, part by part, into the snapshot's builder. Whoever
 * is too far behind reads all of a tenant's part. It decides nothing about when.
 */
import type { AnalysedRoute } from "./analysis.ts";
import type { Endpoint } from "./compile.ts";
import { keyGroup } from "./compile.ts";
import { selectKeys } from "./keys.sql.ts";
import { selectOverrides } from "./overrides.sql.ts";
import type { Split } from "./proxy/snapshot.route.ts";
import type { ApiKey } from "./proxy/snapshot.ts";
import { type GatewayTx, selectRevisions } from "./revisions.sql.ts";
import type { RouteSpec } from "./routes.schema.ts";
import { selectChanges, selectRoutes } from "./routes.sql.ts";
import { selectInstances } from "./services.sql.ts";
import type { HeldSplit, SnapshotBuilder } from "./snapshot-builder.ts";
import { type FollowedSplit, selectSplitChanges } from "./splits.sql.ts";
import type { Part, Unit } from "./tables.ts";

export interface ReaderParts {
  builder: SnapshotBuilder;
  revisionsKept: number;
  onRemoved(route: string): void;
  /** What a route names is no longer served. */
  onGone(route: { tenant: string; name: string }): void;
}

export class RevisionReader {
  readonly #parts: ReaderParts;
  /** By tenant: the revision of each part that this node has. */
  readonly #loaded = new Map<string, Map<Part, number>>();
  readonly #instances = new Map<string, Map<string, Endpoint[]>>();
  readonly #keys = new Map<string, ApiKey[]>();
  readonly #overridden = new Map<string, Set<string>>();

  constructor(parts: ReaderParts) {
    this.#parts = parts;
  }

  /** Those that have anything in the gateway. */
  get tenants(): Iterable<string> {
    return this.#loaded.keys();
  }

  instancesOf(tenant: string, service: string): readonly Endpoint[] {
    return this.#instances.get(tenant)?.get(service) ?? [];
  }

  async read(tx: GatewayTx): Promise<void> {
    for (const { tenant_id: tenant, part, revision } of await selectRevisions(tx)) {
      const loaded = this.#loaded.get(tenant) ?? new Map<Part, number>();
      this.#loaded.set(tenant, loaded);
      const before = loaded.get(part) ?? 0;
      if (before === revision) continue;
      await this.#loadPart(tx, tenant, part, before, revision);
      loaded.set(part, revision);
    }
  }

  async #loadPart(
    tx: GatewayTx,
    tenant: string,
    part: Part,
    before: number,
    revision: number,
  ): Promise<void> {
    if (part === "routes") return this.#loadRoutes(tx, tenant, before, revision);
    if (part === "instances") return this.#loadInstances(tx, tenant);
    if (part === "overrides") return this.#loadOverrides(tx, tenant);
    const rows = await selectKeys(tx, tenant);
    const keys = rows.map(({ digest: hash, name: subject, groups }) => {
      return { hash, subject, groups: ["*", ...groups].map((group) => keyGroup(tenant, group)) };
    });
    this.#keys.set(tenant, keys);
    this.#parts.builder.setLists({ apiKeys: [...this.#keys.values()].flat() });
  }

  async #loadRoutes(tx: GatewayTx, tenant: string, before: number, revision: number): Promise<void> {
    // Too far behind, ended versions may be gone; and a database that was restored goes back.
    if (before === 0 || revision < before || revision - before > this.#parts.revisionsKept / 2) {
      const rows = await selectRoutes(tx, tenant);
      const ids = new Set(rows.map(({ id }) => id));
      for (const id of [...this.#parts.builder.routesOf(tenant).keys()]) if (!ids.has(id)) this.#remove(id);
      for (const { id, spec } of rows) this.#parts.builder.setRoute(tenant, id, spec);
      const splits = await selectSplitChanges(tx, tenant);
      const active = new Set(splits.map(({ route }) => route));
      for (const id of ids) if (!active.has(id)) this.#parts.builder.setSplit(id, undefined);
      for (const split of splits) this.#parts.builder.setSplit(split.route, heldSplit(split));
      return;
    }
    const changes = Map.groupBy(await selectChanges(tx, tenant, before), ({ id }) => id);
    for (const [id, versions] of changes) {
      const current = versions.find(({ until_revision }) => until_revision === null);
      if (current) this.#set(tenant, id, current.spec);
      else this.#remove(id);
    }
    for (const split of await selectSplitChanges(tx, tenant, before)) {
      this.#parts.builder.setSplit(split.route, heldSplit(split));
    }
  }

  #set(tenant: string, id: string, spec: AnalysedRoute["spec"]): void {
    const known = this.#parts.builder.find(id);
    this.#parts.builder.setRoute(tenant, id, spec);
    if (known && known.spec.name !== spec.name) this.#parts.onGone({ tenant, name: known.spec.name });
  }

  #remove(id: string): void {
    const known = this.#parts.builder.find(id);
    this.#parts.builder.removeRoute(id);
    this.#parts.onRemoved(id);
    if (known) this.#parts.onGone({ tenant: known.tenant, name: known.spec.name });
  }

  async #loadInstances(tx: GatewayTx, tenant: string): Promise<void> {
    const before = this.#instances.get(tenant) ?? new Map<string, Endpoint[]>();
    const rows = await selectInstances(tx, tenant);
    const after = new Map<string, Endpoint[]>();
    for (const { service, url, weight } of rows) {
      after.set(service, [...(after.get(service) ?? []), { url, weight }]);
    }
    this.#instances.set(tenant, after);
    const differs = (service: string) =>
      JSON.stringify(before.get(service)) !== JSON.stringify(after.get(service));
    const concerns = ({ backends = [] }: RouteSpec) =>
      backends.some(({ service }) => service !== undefined && differs(service));
    this.#parts.builder.recompile(tenant, concerns);
  }

  async #loadOverrides(tx: GatewayTx, tenant: string): Promise<void> {
    const rows = await selectOverrides(tx, tenant);
    const now = new Set(rows.map(({ backend }) => backend));
    for (const backend of this.#overridden.get(tenant) ?? []) {
      if (!now.has(backend)) this.#parts.builder.backends.override(backend, undefined);
    }
    for (const { backend, breaker, draining } of rows) {
      this.#parts.builder.backends.override(backend, {
        ...(breaker && { breaker }),
        ...(draining && { draining }),
      });
    }
    this.#overridden.set(tenant, now);
  }
}

function heldSplit({
  tenant_id: tenant,
  spec,
  unit,
  tester,
  active,
  ...split
}: FollowedSplit): HeldSplit | undefined {
  if (!active || !spec) return undefined;
  const { route, deployment, generation, seed, bound } = split;
  const held = { tenant, route, deployment, generation, seed, bound, unit: unitOf(unit), spec };
  return { ...held, ...(tester && { tester }) };
}

function unitOf({ header, cookie }: Unit): Split["unit"] {
  if (header !== undefined) return { kind: "header", name: header };
  return cookie === undefined ? { kind: "ip" } : { kind: "cookie", name: cookie };
}
