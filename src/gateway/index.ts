/** The API gateway: what the composition root needs to run it. */
import type { Clock } from "../core/clock.ts";
import type { MakeId } from "../core/ids.ts";
import { Lifecycle, type Service } from "../core/lifecycle.ts";
import type { Random } from "../core/random.ts";
import type { Target } from "../deployment/target.ts";
import type { Audit } from "../platform/audit/index.ts";
import type { Route } from "../platform/http/route.ts";
import type { Metrics } from "../platform/telemetry/index.ts";
import type { Kv } from "../stores/kv/index.ts";
import type { Sql } from "../stores/sql/port.ts";
import { backendRoutes } from "./backends.routes.ts";
import { Backends } from "./backends.ts";
import type { HoldSecrets, SecretOf } from "./client-certificates.ts";
import { CohortCounts } from "./cohort-counts.ts";
import { Follower } from "./follower.ts";
import { gatewayRoutes } from "./gateway.routes.ts";
import type { IssuersOptions } from "./issuers.ts";
import { keyRoutes } from "./keys.routes.ts";
import { Keys } from "./keys.ts";
import type { Listener } from "./listener.ts";
import { GatewayMetrics } from "./metrics.ts";
import { previewRoutes } from "./preview.routes.ts";
import type { RequestRecord } from "./proxy/records.ts";
import { Requests } from "./requests.ts";
import { RouteTarget } from "./route-target.ts";
import { routeRoutes } from "./routes.routes.ts";
import { Routes } from "./routes.ts";
import { selectSecretUses } from "./secret-uses.sql.ts";
import { serviceRoutes } from "./services.routes.ts";
import { Services } from "./services.ts";
import { SharedLimits } from "./shared-limits.ts";
import { spansOf } from "./spans.ts";
import { Sweep } from "./sweep.ts";
import { Traffic } from "./traffic.ts";

export { IdlePlane } from "./idle-plane.ts";
export { Listener, type ListenerOptions } from "./listener.ts";
export { GatewayProxy } from "./proxy/proxy.ts";

export interface GatewaySettings {
  pollMs: number;
  routesMax: number;
  revisionsKept: number;
  importLimitBytes: number;
  instancesMax: number;
  keysMax: number;
  dnsServers: readonly string[];
  bssRequestsPerMinute: number;
  jsonDepthLimit: number;
}

export interface GatewaySecrets {
  valueOf: SecretOf;
  hold: HoldSecrets;
  /** What a secret is used by is asked before it is deleted. */
  addUser(usesOf: typeof selectSecretUses): void;
}

export interface GatewayOptions {
  sql: Sql;
  kv: Kv;
  audit: Pick<Audit, "record">;
  clock: Clock;
  makeId: MakeId;
  random: Random;
  metrics: Metrics;
  /** Started before this, or never when only the routes are wanted. */
  listener: Listener;
  settings: GatewaySettings;
  /** Issuers whose tokens HotSwap itself accepts. */
  ownIssuers: IssuersOptions["own"];
  /** For certificates that the gateway shows to backends. */
  secrets: GatewaySecrets;
  onError: (error: unknown) => void;
}

export const migrations = new URL("./migrations/", import.meta.url);

export class Gateway implements Service {
  readonly name = "gateway control";
  readonly routes: Route[];
  /** Routes, for the deployment engine. */
  readonly target: Target;
  /** Told when there is something new to observe of a deployment: the engine need not wait. */
  onNews: ((deployment: string) => void) | undefined;
  readonly #follower: Follower;
  readonly #cohorts: CohortCounts;
  readonly #traffic: Traffic;
  readonly #limits: SharedLimits;
  readonly #lifecycle = new Lifecycle();
  readonly #options: GatewayOptions;

  constructor(options: GatewayOptions) {
    const { sql, kv, audit, clock, makeId, random, secrets, listener, settings, metrics, onError } = options;
    this.#options = options;
    const { plane } = listener;
    const numbers = new GatewayMetrics(metrics);
    const follower = this.#makeFollower(numbers);
    this.#follower = follower;
    this.#cohorts = this.#makeCohorts();
    const holdSecrets: HoldSecrets = (...asked) => secrets.hold(...asked);
    secrets.addUser(selectSecretUses);
    this.target = new RouteTarget({ sql, audit, clock, plane, served: follower, holdSecrets });
    const stats = () => plane.stats();
    this.#traffic = new Traffic(clock, stats);
    this.#limits = new SharedLimits({ kv, plane, clock, onError });
    const limits = () => this.#limits.state;
    const shared = { sql, audit, clock, makeId, served: follower };
    const { routesMax, revisionsKept, instancesMax, keysMax } = settings;
    const requests = new Requests({ plane, served: follower });
    this.routes = [
      ...gatewayRoutes({ follower, traffic: this.#traffic, requests, limits, address: () => listener }),
      ...previewRoutes({ requests, served: follower, setBytes: settings.importLimitBytes }),
      ...routeRoutes(new Routes({ ...shared, holdSecrets, routesMax, revisionsKept }), {
        jsonDepth: settings.jsonDepthLimit,
        setBytes: settings.importLimitBytes,
      }),
      ...backendRoutes(new Backends({ ...shared, stats })),
      ...serviceRoutes(new Services({ ...shared, instancesMax })),
      ...keyRoutes(new Keys({ ...shared, random, keysMax })),
    ];
    numbers.watch({
      stats,
      routeOf: (id) => {
        const found = follower.builder.find(id);
        return found && { tenant: found.tenant, name: found.spec.name };
      },
      backendOf: (id) => {
        const found = follower.backends.find(id);
        return found && { tenant: found.tenant, url: found.backend.url };
      },
      state: () => ({ ...follower.state, limits: limits() }),
    });
  }

  /** Resolves when the data plane serves what is in SQL. */
  async start(): Promise<void> {
    const { sql, clock, listener, onError } = this.#options;
    listener.onCertificates = (certificates) => {
      this.#follower.builder.setLists({ certificates });
      this.#follower.refresh().catch(onError);
    };
    if (listener.certificates) this.#follower.builder.setLists({ certificates: listener.certificates });
    listener.onUnknownKey = (issuer) => this.#follower.unknownKey(issuer);
    listener.onCohorts = (reports) => this.#cohorts.add(reports);
    await this.#lifecycle.start(this.#cohorts);
    await this.#lifecycle.start(this.#follower);
    await this.#lifecycle.start(this.#limits);
    const changed = (tenant: string) => this.#follower.changed(tenant);
    await this.#lifecycle.start(new Sweep({ sql, clock, changed, onError }));
  }

  stop(): Promise<void> {
    return this.#lifecycle.stop();
  }

  /** Resolves when this node serves what is committed now. */
  refresh(): Promise<void> {
    return this.#follower.refresh();
  }

  /** For /ready: rejects while it serves by what it knew before SQL was away. */
  get state() {
    return this.#follower.state;
  }

  /** For the page that shows the whole system. */
  overview(tenant: string) {
    const { url, tlsUrl } = this.#options.listener;
    const { revision, staleSince } = this.#follower.state;
    return {
      ...{ url: url ?? null, tlsUrl: tlsUrl ?? null, revision },
      routes: this.#follower.routesOf(tenant).size,
      status: url === undefined ? "off" : staleSince === undefined ? "ok" : "stale",
    } as const;
  }

  /** Of a record of the data plane. */
  spans(record: RequestRecord) {
    const names = {
      routeName: (id: string) => this.#follower.routeName(id),
      backendUrl: (id: string) => this.#follower.backends.find(id)?.backend.url,
    };
    return spansOf(record, names, this.#options.random);
  }

  #makeCohorts(): CohortCounts {
    const { sql, kv, clock, makeId, listener, onError } = this.#options;
    return new CohortCounts({
      ...{ sql, kv, clock, node: makeId(), onError },
      isServing: () => listener.url !== undefined,
      problemOf: (route) => this.#follower.problemOf(route),
      onNews: (deployment) => this.onNews?.(deployment),
    });
  }

  #makeFollower(numbers: GatewayMetrics): Follower {
    const { sql, kv, clock, listener, settings, ownIssuers, secrets, onError } = this.#options;
    const { pollMs, revisionsKept, dnsServers, bssRequestsPerMinute: perMinute } = settings;
    return new Follower({
      ...{ sql, kv, clock, plane: listener.plane, file: listener.file, firstRevision: listener.revision },
      ...{ pollMs, revisionsKept, dnsServers, ownIssuers, onError },
      secretOf: (tenant, name) => secrets.valueOf(tenant, name),
      bssRate:
        perMinute > 0
          ? { name: "bss", burst: perMinute, perSecond: perMinute / 60, per: "client" }
          : undefined,
      onSplits: (splits) => this.#cohorts.serve(splits),
      onGone: (route) => numbers.forgetRoute(route),
      onGoneBackend: (backend) => numbers.forgetBackend(backend),
    });
  }
}
