/**
 * The composition root of the server: every room is opened here, in the order in which they need one another,
 * and nowhere else. A room that cannot start says which setting to mend; what started before it is stopped.
 */
import { mkdir } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { hostname } from "node:os";
import * as configuration from "../configuration/index.ts";
import { systemClock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import { idMaker } from "../core/ids.ts";
import { Lifecycle } from "../core/lifecycle.ts";
import { systemRandom } from "../core/random.ts";
import * as deployment from "../deployment/index.ts";
import * as gateway from "../gateway/index.ts";
import * as messaging from "../messaging/index.ts";
import { authorize } from "../platform/access/index.ts";
import * as approvals from "../platform/approvals/index.ts";
import * as audit from "../platform/audit/index.ts";
import { Issuer, isLoopback, oidcIssuer, Verifier } from "../platform/auth/index.ts";
import { type Check, Health } from "../platform/health/index.ts";
import type { Route } from "../platform/http/route.ts";
import { type HttpOptions, HttpServer } from "../platform/http/server.ts";
import { loadStaticFiles } from "../platform/http/static.ts";
import * as idempotency from "../platform/idempotency/index.ts";
import { Limits, limitPolicy, requestLimit } from "../platform/limits/index.ts";
import type { Mode, Settings } from "../platform/settings/index.ts";
import { httpObserver, type Log, Metrics, ProcessUsage, Traces } from "../platform/telemetry/index.ts";
import * as schemas from "../schemas/index.ts";
import type { SecretStore } from "../stores/secrets/index.ts";
import { loadMigrations } from "../stores/sql/index.ts";
import { serverRoutes } from "./route-list.ts";
import { type Stores, type StoresOptions, startStores } from "./stores.ts";

export interface ServerOptions extends StoresOptions {
  mode: Mode;
  version: string;
}

export interface RunningServer {
  url: string;
  /** Of the API gateway; undefined when it is switched off. */
  gateway: string | undefined;
  routes: readonly Route[];
  issuer: Issuer;
  /** Stops accepting, drains, and closes every store. Idempotent. */
  stop(): Promise<void>;
}

const clock = systemClock;
const makeId = idMaker(clock, systemRandom);

export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const lifecycle = new Lifecycle();
  try {
    return await start(options, lifecycle);
  } catch (error) {
    await lifecycle.stop().catch(() => {}); // the start's error is the one worth showing
    throw error;
  }
}

type OnError = (room: string) => (error: unknown) => void;
type Platform = Awaited<ReturnType<typeof startPlatform>>;

async function start(options: ServerOptions, lifecycle: Lifecycle): Promise<RunningServer> {
  const { mode, settings, log, version } = options;
  const onError: OnError = (room) => (error) => log.error({ room, err: error }, "failed in the background");
  await mkdir(settings.data.folder, { recursive: true, mode: 0o700 });

  const metrics = new Metrics({ seriesMax: settings.metrics.seriesMax, process: true });
  const traces = openTraces(settings, version, onError);
  await lifecycle.start(traces);
  // What it serves before the control plane is there has no names to be shown by.
  let proxy: gateway.Gateway | undefined;
  const spansOf: OnRecords = (records) => traces.record(records.flatMap((one) => proxy?.spans(one) ?? []));
  const listener = openListener(options, spansOf, onError);
  const stores = await startStores(options, lifecycle, listener);
  await stores.sql.migrate(await allMigrations());
  const platform = await startPlatform(options, stores, lifecycle, onError);
  const registry = openSchemas(settings, stores, platform);
  await lifecycle.start(registry);
  const usage = new ProcessUsage();
  const broker = openMessaging(settings, stores, platform, {
    ...{ traces, metrics, usage, schemas: registry, onError: onError("messaging") },
  });
  await lifecycle.start(broker);
  const configs = openConfiguration(settings, stores, platform, {
    ...{ schemas: registry, metrics, onError: onError("configuration") },
  });
  const gatewayParts = { listener, metrics, configs, onError: onError("gateway") };
  proxy = openGateway(options, stores, platform, gatewayParts);
  await lifecycle.start(proxy);
  await lifecycle.start(configs);
  // Last of the rooms: each registers with the engine what it deploys, and is there when the engine goes on.
  const engineParts = { metrics, traces, onError: onError("deployment") };
  const deployments = openDeployment(settings, stores, platform, engineParts);
  deployments.engine.register(configs.target);
  deployments.engine.register(proxy.target);
  proxy.onNews = (id) => deployments.engine.look(id);
  await lifecycle.start(deployments.engine);

  const health = openHealth(stores, log, metrics);
  if (settings.gateway.enabled) health.register(gatewayCheck(proxy));
  const routes = serverRoutes({
    version,
    mode,
    clock,
    sql: stores.sql,
    issuer: platform.issuer,
    audit: platform.audit,
    approvals: platform.approvals,
    messaging: broker,
    gateway: proxy,
    configuration: configs,
    schemas: registry,
    deployment: deployments,
    metrics,
    metricsPublic: settings.metrics.public,
    health,
    usage,
    onError: onError("http"),
  });
  const http = await openHttp(options, routes, platform, configs, httpObserver({ metrics, traces, log }));
  await lifecycle.start(http);
  await broker.join(settings.nodes.address ?? addressOf(settings, http.url));
  const stop = async () => {
    health.drain();
    http.drain();
    await broker.leave().catch(onError("messaging"));
    await lifecycle.stop();
  };
  return { url: http.url, gateway: listener.url, routes, issuer: platform.issuer, stop };
}

interface MessagingParts {
  traces: Traces;
  metrics: Metrics;
  usage: ProcessUsage;
  schemas: schemas.SchemaRegistry;
  onError: (error: unknown) => void;
}

function openMessaging(
  settings: Settings,
  { sql, log, secrets, kv }: Stores,
  { audit }: Platform,
  { usage, ...parts }: MessagingParts,
) {
  return new messaging.Messaging({
    ...{ sql, log, secrets, kv, audit, clock, makeId, random: systemRandom, ...parts },
    settings: { ...settings.messaging, ...settings.http },
    nodes: nodeSettings(settings),
    usage: () => usage.read(),
  });
}

function openSchemas({ schemas: settings }: Settings, { sql }: Stores, { audit, approvals }: Platform) {
  return new schemas.SchemaRegistry({ sql, audit, approvals, clock, makeId, settings });
}

function openDeployment(
  { deployment: settings }: Settings,
  { sql, kv }: Stores,
  { audit, approvals }: Platform,
  parts: Pick<deployment.DeploymentOptions, "metrics" | "traces" | "onError">,
): deployment.DeploymentRoom {
  const shared = { sql, kv, audit, approvals, clock, makeId, random: systemRandom };
  return new deployment.DeploymentRoom({ ...shared, settings, ...parts });
}

type ConfigurationParts = Pick<configuration.ConfigurationOptions, "schemas" | "metrics" | "onError">;

function openConfiguration(
  { configuration: own, http }: Settings,
  { sql, kv, secrets }: Stores,
  { audit, approvals }: Platform,
  parts: ConfigurationParts,
): configuration.Configuration {
  return new configuration.Configuration({
    ...{ sql, kv, secrets, audit, approvals, clock, makeId, random: systemRandom, ...parts },
    settings: { ...own, jsonDepthLimit: http.jsonDepthLimit },
  });
}

type OnRecords = gateway.ListenerOptions["onRecords"];

function openListener(
  { mode, settings, log, relieve }: ServerOptions,
  onRecords: OnRecords,
  onError: OnError,
): gateway.Listener {
  const { otlpEndpoint, sampleRatio } = settings.telemetry;
  return new gateway.Listener({
    plane: settings.gateway.enabled ? new gateway.GatewayProxy() : new gateway.IdlePlane(),
    ...{ settings: settings.gateway, mode, folder: settings.data.folder, clock, onRecords },
    drainMs: settings.shutdown.drainTimeoutMs,
    takesOver: relieve !== undefined,
    recordShare: otlpEndpoint === undefined ? 0 : Math.round(sampleRatio * 10_000),
    onBackend: ({ backend, what, reason }) => log.info({ backend, what, reason }, "a backend turned"),
    onError: onError("gateway"),
  });
}

interface GatewayParts extends Pick<gateway.GatewayOptions, "listener" | "metrics" | "onError"> {
  configs: configuration.Configuration;
}

function openGateway(
  { mode, settings }: ServerOptions,
  { sql, kv }: Stores,
  { audit, issuer }: Platform,
  { configs, ...parts }: GatewayParts,
): gateway.Gateway {
  const { issuerUrl, audience, tenantClaim, defaultTenant } = settings.auth;
  // Development tokens count on loopback only, and the data plane does not ask where a token comes from.
  const { host } = settings.gateway;
  const isOpen = mode === "development" && host !== "localhost" && !isLoopback(host);
  const keys = issuer.jwks.keys as Record<string, unknown>[];
  const own = isOpen ? [] : [{ issuer: issuer.name, audience, tenantClaim: "tenant", keys }];
  const theirs = { audience, tenantClaim, ...(defaultTenant !== undefined && { defaultTenant }) };
  return new gateway.Gateway({
    ...{ sql, kv, audit, clock, makeId, random: systemRandom, ...parts },
    secrets: configs.documents.secrets,
    settings: { ...settings.gateway, jsonDepthLimit: settings.http.jsonDepthLimit },
    ownIssuers: issuerUrl === undefined ? own : [...own, { issuer: issuerUrl, ...theirs }],
  });
}

function gatewayCheck(proxy: gateway.Gateway): Check {
  return {
    name: "gateway",
    needed: false,
    async probe() {
      const { staleSince, revision } = proxy.state;
      if (staleSince === undefined) return;
      const since = new Date(staleSince).toISOString();
      throw new HotSwapError(
        "store_unavailable",
        `Serves by its last snapshot, revision ${revision}, since ${since}.`,
      );
    },
  };
}

/** Where other nodes of the same network reach this one, unless a setting says it. */
function addressOf({ http: { host } }: Settings, url: string): string {
  if (host !== "0.0.0.0" && host !== "::") return url;
  return `http://${hostname()}:${new URL(url).port}`;
}

export function nodeSettings({ nodes, http }: Settings) {
  const { leaseMs, lingerMs, queueDepthMax, memoryBytesMax, eventLoopDelayMaxMs } = nodes;
  return {
    name: nodes.name ?? `${hostname()}-${http.port}`,
    leaseMs,
    lingerMs,
    queueDepth: queueDepthMax,
    memoryBytes: memoryBytesMax,
    eventLoopDelayMs: eventLoopDelayMaxMs,
  };
}

function openTraces({ telemetry }: Settings, version: string, onError: OnError): Traces {
  const { otlpEndpoint: endpoint, otlpHeaders: headers, sampleRatio } = telemetry;
  return new Traces({ endpoint, headers, sampleRatio, version, onError: onError("telemetry") });
}

/** Who calls, what was done, who agreed: everything that routes of any system lean on. */
async function startPlatform(
  { mode, settings, log }: ServerOptions,
  { sql, kv, secrets }: Stores,
  lifecycle: Lifecycle,
  onError: OnError,
) {
  const { issuer, verifier } = await openAuth(mode, settings, secrets);
  const auditing = new audit.Audit({ sql, secrets, clock, onError: onError("audit") });
  await lifecycle.start(auditing);
  const approving = new approvals.Approvals({
    sql,
    audit: auditing,
    clock,
    makeId,
    webhook: webhookOf(settings),
    expiresInSeconds: settings.approvals.expirySeconds,
    onError: onError("approvals"),
  });
  await lifecycle.start({ name: "approvals", start: () => approving.start(), stop: () => approving.stop() });
  const once = new idempotency.Idempotency({ sql, clock, makeId, onError: onError("idempotency") });
  await lifecycle.start(once);
  const limits = new Limits({ kv, clock, report: (event) => log.warn({ ...event }, "rate limits") });
  return { issuer, verifier, audit: auditing, approvals: approving, once, limits };
}

async function openHttp(
  { settings }: ServerOptions,
  routes: readonly Route[],
  { verifier, limits, once }: Platform,
  configs: configuration.Configuration,
  observe: NonNullable<HttpOptions["observe"]>,
): Promise<HttpServer> {
  return new HttpServer({
    ...settings.http,
    clock,
    routes,
    drainTimeoutMs: settings.shutdown.drainTimeoutMs,
    authenticate: (request) =>
      configs.ticketHolder(request) ??
      verifier.verify(authorizationOf(request), request.socket.remoteAddress),
    authorize,
    limit: limitOf(settings, limits),
    once: (context, route, key, work) => {
      const print = idempotency.fingerprint(context.params, context.query, context.body);
      return once.run(context.principal, route.id, key, print, work);
    },
    observe,
    files: await loadStaticFiles(new URL("../../console/dist/", import.meta.url)),
  });
}

/** Providers of OFREP may send their token as X-API-Key. */
function authorizationOf({ headers, url = "" }: IncomingMessage): string | undefined {
  const key = headers["x-api-key"];
  if (headers.authorization !== undefined || typeof key !== "string") return headers.authorization;
  return url.startsWith("/ofrep/") ? `Bearer ${key}` : undefined;
}

/** Of every room that has tables. */
export async function allMigrations() {
  const rooms = { audit, approvals, idempotency, schemas, messaging, gateway, configuration, deployment };
  const loaded = Object.entries(rooms).map(([room, { migrations }]) => loadMigrations(room, migrations));
  return (await Promise.all(loaded)).flat();
}

async function openAuth(mode: Mode, { auth }: Settings, secrets: SecretStore) {
  const { audience, issuerUrl, rolesClaim, tenantClaim, defaultTenant } = auth;
  const issuer = await Issuer.open({ secrets, clock, mode, audience });
  const issuers = [issuer.trusted()];
  if (issuerUrl) {
    const claims = { rolesClaim, tenantClaim, ...(defaultTenant && { defaultTenant }) };
    issuers.push(oidcIssuer({ issuer: issuerUrl, audience, clock, ...claims }));
  }
  return { issuer, verifier: new Verifier({ issuers, clock }) };
}

function webhookOf({ approvals: { webhookUrl, webhookSecret } }: Settings) {
  return webhookUrl && webhookSecret ? { url: webhookUrl, secret: webhookSecret } : undefined;
}

function limitOf({ limits }: Settings, limiter: Limits) {
  if (limits.requestsPerSecond === 0) return undefined;
  const numbers = { burst: limits.requestsBurst, perSecond: limits.requestsPerSecond };
  return requestLimit(limiter, limitPolicy({ name: "default", ...numbers }));
}

function openHealth({ sql, kv, log: messages }: Stores, log: Log, metrics: Metrics): Health {
  const health = new Health({
    clock,
    onChange: ({ name, status }, error) => {
      metrics
        .gauge("health_check_up")
        .labels({ check: name })
        .set(status === "ok" ? 1 : 0);
      if (status === "ok") log.info({ check: name }, "a health check passes");
      else log.warn({ check: name, err: error }, "a health check fails");
    },
  });
  health.register({ name: "sql", needed: true, probe: (timeoutMs) => sql.ping(timeoutMs) });
  if (messages.shared) health.register({ name: "log", needed: true, probe: () => messages.ping() });
  health.register({ name: "kv", needed: false, probe: () => kv.get("health") });
  return health;
}
