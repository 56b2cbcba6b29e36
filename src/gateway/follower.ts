/**
 * Keeps the data plane at what is committed in SQL. The truth is the revisions in SQL, which are looked at every few
 * seconds; a notice through the key-value store, and a change made on this node, only make the look come sooner. What
 * is loaded is what changed since the revision that this node has.
 *
 * While SQL cannot be reached the data plane goes on by what it has; `state` says since when. Refreshes are made one
 * after the other, and who asks during one waits for the next.
 */
import type { Clock, Timer } from "../core/clock.ts";
import type { Service } from "../core/lifecycle.ts";
import type { Kv } from "../stores/kv/index.ts";
import type { Sql } from "../stores/sql/port.ts";
import type { AnalysedRoute } from "./analysis.ts";
import type { BackendSpec } from "./backends.schema.ts";
import { ClientCertificates, certificateSecrets, type SecretOf } from "./client-certificates.ts";
import type { Endpoint } from "./compile.ts";
import { DnsWatcher, dnsKey } from "./dns.ts";
import type { Hosts } from "./host-index.ts";
import { Issuers, type IssuersOptions } from "./issuers.ts";
import type { DataPlane } from "./proxy/data-plane.ts";
import type { RateLimit } from "./proxy/snapshot.route.ts";
import type { SnapshotProblem } from "./proxy/snapshot.ts";
import { RevisionReader } from "./revision-reader.ts";
import type { GatewayTx } from "./revisions.sql.ts";
import type { Finding, RouteSpec } from "./routes.schema.ts";
import { type HeldSplit, SnapshotBuilder } from "./snapshot-builder.ts";
import type { SnapshotFile } from "./snapshot-file.ts";

export interface FollowerOptions {
  sql: Sql;
  kv: Kv;
  clock: Clock;
  plane: Pick<DataPlane, "publish" | "apply">;
  file: SnapshotFile;
  firstRevision: number;
  pollMs: number;
  revisionsKept: number;
  dnsServers: readonly string[];
  bssRate: RateLimit | undefined;
  ownIssuers: IssuersOptions["own"];
  secretOf: SecretOf;
  /** The data plane serves these routes under deployment now, and no others. */
  onSplits(splits: Iterable<HeldSplit>): void;
  /** What a route names is no longer served: its numbers can go. */
  onGone(route: { tenant: string; name: string }): void;
  onGoneBackend(backend: { tenant: string; url: string }): void;
  onError(error: unknown): void;
}

export interface FollowerState {
  revision: number;
  routes: number;
  /** Wall time of the last look at SQL that succeeded. */
  checkedAt: number;
  /** Since when looks have failed; undefined while they do not. */
  staleSince: number | undefined;
  problems: readonly SnapshotProblem[];
}

const channel = "gateway/changed";
/** A change waits so long for names and keys that it is the first to need. */
const settleMs = 2_000;

export class Follower implements Service {
  readonly name = "gateway follower";
  readonly builder: SnapshotBuilder;
  readonly #options: FollowerOptions;
  readonly #dns: DnsWatcher;
  readonly #issuers: Issuers;
  readonly #certificates: ClientCertificates;
  readonly #reader: RevisionReader;
  readonly #problems = new Map<string, SnapshotProblem>();
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #timer: Timer | undefined;
  #unsubscribe: (() => Promise<void>) | undefined;
  #issuersChanged = false;
  #checkedAt = 0;
  #staleSince: number | undefined;
  #stopped = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
    const { clock, onError, secretOf, dnsServers, ownIssuers, bssRate, firstRevision } = options;
    const again = () => void this.refresh().catch(onError);
    this.#dns = new DnsWatcher({
      ...{ clock, onError, servers: dnsServers },
      onChange: (key) => {
        for (const tenant of this.#reader.tenants) this.builder.recompile(tenant, usesName(key));
        again();
      },
      isUsed: (key) => [...this.#reader.tenants].some((tenant) => this.builder.some(tenant, usesName(key))),
    });
    this.#certificates = new ClientCertificates({
      ...{ clock, onError, secretOf },
      onChange: (tenant, name) => {
        this.builder.recompile(tenant, showsCertificate(name));
        again();
      },
      isUsed: (tenant, name) => this.builder.some(tenant, showsCertificate(name)),
    });
    this.#issuers = new Issuers({
      ...{ clock, onError, own: ownIssuers },
      onChange: () => {
        this.#issuersChanged = true;
        if (this.#checkedAt > 0) again();
      },
    });
    this.builder = new SnapshotBuilder(
      {
        endpointsOf: (tenant, backend) => this.#endpointsOf(tenant, backend),
        issuersOf: (jwt) => this.#issuers.idsOf(jwt),
        pemOf: (tenant, secret) => this.#certificates.pemOf(tenant, secret),
        bssRate,
        onGoneBackend: options.onGoneBackend,
      },
      firstRevision,
    );
    this.#reader = new RevisionReader({
      ...{ builder: this.builder, revisionsKept: options.revisionsKept },
      onRemoved: (route) => this.#problems.delete(`route ${route}`),
      onGone: (route) => options.onGone(route),
    });
  }

  /** Resolves when the data plane serves what is in SQL. */
  async start(): Promise<void> {
    const { kv, plane, clock, pollMs, onError } = this.#options;
    const hear = () => void this.refresh().catch(onError);
    await this.#load();
    await this.#settle();
    this.#takeLists();
    this.builder.take();
    this.#keepProblems(await plane.publish(this.builder.snapshot()), undefined);
    this.#options.file.write(() => this.builder.snapshot());
    this.#options.onSplits(this.builder.splits.values());
    this.#unsubscribe = await kv.subscribe(channel, hear, { onResume: hear }).catch((error) => {
      onError(error); // the poll goes on without it
      return undefined;
    });
    const poll = () => {
      this.#timer = clock.after(
        pollMs,
        () =>
          void this.refresh()
            .catch(() => {})
            .then(poll),
      );
    };
    poll();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#dns.stop();
    this.#issuers.stop();
    this.#certificates.stop();
    await this.#unsubscribe?.().catch(() => {}); // the store may be away
    await this.#running.catch(() => {});
    await this.#options.file.flush();
  }

  now(): number {
    return this.#options.clock.now();
  }

  /** A token came that is signed by none of this issuer's keys. */
  unknownKey(issuer: string): void {
    this.#issuers.lookSoon(issuer);
  }

  /** Issuers that the tenant's routes rely on and whose keys cannot be read. */
  issuerProblems(tenant: string): SnapshotProblem[] {
    const found = new Map<string, SnapshotProblem>();
    for (const { spec } of this.routesOf(tenant).values()) {
      const jwt = spec.auth?.jwt;
      const message = jwt && this.#issuers.problemOf(jwt);
      if (message !== undefined)
        found.set(`${jwt!.issuer} ${message}`, { kind: "issuer", id: jwt!.issuer!, message });
    }
    return [...found.values()];
  }

  get state(): FollowerState {
    const problems = [...this.#problems.values()];
    const { revision, size: routes } = this.builder;
    return { revision, routes, checkedAt: this.#checkedAt, staleSince: this.#staleSince, problems };
  }

  /** Resolves when the data plane serves what was in SQL at the time of the call. */
  refresh(): Promise<void> {
    this.#next ??= this.#running
      .catch(() => {}) // told to whoever asked for that one
      .then(() => {
        this.#next = undefined;
        this.#running = this.#refresh();
        return this.#running;
      });
    return this.#next;
  }

  async changed(tenant: string): Promise<void> {
    const { kv, onError } = this.#options;
    const told = kv.publish(channel, tenant).catch(onError);
    await this.refresh().catch(onError);
    await told;
  }

  routesOf(tenant: string): ReadonlyMap<string, AnalysedRoute> {
    return this.builder.routesOf(tenant);
  }

  get hosts(): Hosts {
    return this.builder.hosts;
  }

  get backends() {
    return this.builder.backends;
  }

  routeName(id: string): string | undefined {
    return this.builder.find(id)?.spec.name;
  }

  generationOf(route: string): number {
    return this.builder.splits.get(route)?.generation ?? 0;
  }

  /** Why the data plane left it out. */
  problemOf(route: string): string | undefined {
    return this.#problems.get(`route ${route}`)?.message;
  }

  /** In all of the tenant's set, or as far as one route is concerned. */
  settingsDiffer(tenant: string, route?: string): Finding[] {
    const findings: Finding[] = [];
    for (const { url, counts, other } of this.builder.backends.differences(tenant, route)) {
      const [first, second] = [this.routeName(counts) ?? counts, this.routeName(other) ?? other];
      const message = `Both name ${url} with other settings for it; those of ${first} count.`;
      findings.push({ kind: "settings-differ", route: second, other: first, message });
      if (findings.length >= 100) break;
    }
    return findings;
  }

  async #refresh(): Promise<void> {
    if (this.#stopped) return;
    await this.#load();
    if (this.#stopped) return;
    await this.#settle();
    this.#takeLists();
    const change = this.builder.take();
    if (!change) return;
    this.#keepProblems(await this.#options.plane.apply(change), change);
    this.#options.file.write(() => this.builder.snapshot());
    this.#options.onSplits(this.builder.splits.values());
  }

  /** Reads what changed since this node looked last into the builder. */
  async #load(): Promise<void> {
    const { sql, clock } = this.#options;
    try {
      await sql.system((tx: GatewayTx) => this.#reader.read(tx));
    } catch (error) {
      this.#staleSince ??= clock.now();
      throw error;
    }
    this.#checkedAt = clock.now();
    this.#staleSince = undefined;
  }

  #endpointsOf(tenant: string, { service, dns }: BackendSpec): readonly Endpoint[] {
    if (dns) return this.#dns.endpoints(dns);
    return this.#reader.instancesOf(tenant, service ?? "");
  }

  /** Names and keys that are asked for the first time, but not for ever. */
  async #settle(): Promise<void> {
    const { clock } = this.#options;
    const watched = [this.#dns, this.#issuers, this.#certificates];
    const asked = Promise.all(watched.map((one) => one.settled()));
    await Promise.race([
      asked,
      new Promise<void>((resolve) => clock.after(settleMs, resolve, { keepAlive: true })),
    ]);
  }

  #takeLists(): void {
    if (!this.#issuersChanged) return;
    this.#issuersChanged = false;
    this.builder.setLists({ issuers: this.#issuers.list() });
  }

  #keepProblems(
    problems: readonly SnapshotProblem[],
    change: { routes?: readonly { id: string }[]; backends?: readonly { id: string }[] } | undefined,
  ): void {
    if (!change) this.#problems.clear();
    for (const { id } of change?.routes ?? []) this.#problems.delete(`route ${id}`);
    for (const { id } of change?.backends ?? []) this.#problems.delete(`backend ${id}`);
    for (const problem of problems) {
      this.#problems.set(`${problem.kind} ${problem.id}`, problem);
      this.#options.onError(
        new Error(`the data plane left out ${problem.kind} ${problem.id}: ${problem.message}`),
      );
    }
  }
}

const usesName =
  (key: string) =>
  ({ backends = [] }: RouteSpec) =>
    backends.some(({ dns }) => dns !== undefined && dnsKey(dns) === key);

const showsCertificate = (secret: string) => (spec: RouteSpec) =>
  certificateSecrets(spec).some(({ name }) => name === secret);
