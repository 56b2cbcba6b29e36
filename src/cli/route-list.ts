/**
 * Every route of the server, in one list. The server mounts it; who only wants to know it (openapi.json,
 * `hotswap routes`, the catalogue tests) gets the same list from rooms that are made and never started.
 */
import { join } from "node:path";
import { Configuration } from "../configuration/index.ts";
import { systemClock } from "../core/clock.ts";
import { idMaker } from "../core/ids.ts";
import { systemRandom } from "../core/random.ts";
import { DeploymentRoom } from "../deployment/index.ts";
import { Gateway, type GatewayOptions, IdlePlane, Listener } from "../gateway/index.ts";
import { Messaging } from "../messaging/index.ts";
import { Approvals, approvalRoutes } from "../platform/approvals/index.ts";
import { Audit, auditRoutes } from "../platform/audit/index.ts";
import { authRoutes, type Issuer } from "../platform/auth/index.ts";
import { Health, healthRoutes } from "../platform/health/index.ts";
import { referenceRoutes } from "../platform/http/reference.routes.ts";
import type { Route } from "../platform/http/route.ts";
import type { Settings } from "../platform/settings/index.ts";
import { Metrics, metricsRoutes, ProcessUsage, Traces } from "../platform/telemetry/index.ts";
import { SchemaRegistry } from "../schemas/index.ts";
import { MemoryKv } from "../stores/kv/memory.ts";
import { openLog } from "../stores/log/index.ts";
import { openSecrets } from "../stores/secrets/index.ts";
import { openSql, type Sql } from "../stores/sql/index.ts";
import { type OverviewParts, overviewRoutes } from "./overview.routes.ts";

export interface RouteParts extends OverviewParts {
  sql: Sql;
  issuer: Pick<Issuer, "jwks">;
  audit: Audit;
  approvals: Approvals;
  schemas: SchemaRegistry;
  deployment: DeploymentRoom;
  configuration: Configuration;
  metrics: Metrics;
  metricsPublic: boolean;
  /** Told of what fails after an answer has begun. */
  onError: (error: unknown) => void;
}

export function serverRoutes(parts: RouteParts): Route[] {
  const routes = [
    ...parts.messaging.routes,
    ...parts.gateway.routes,
    ...parts.configuration.routes,
    ...parts.schemas.routes,
    ...parts.deployment.routes,
    ...parts.deployment.narrowed({
      ...{ prefix: "/api/v1/gateway/deployments", id: "gateway.deployments", kind: "route" },
    }),
    ...authRoutes(parts.issuer),
    ...auditRoutes(parts.audit, parts.onError),
    ...approvalRoutes(parts.approvals, parts.sql),
    ...metricsRoutes(parts.metrics, parts.metricsPublic),
    ...healthRoutes(parts.health),
    ...overviewRoutes(parts),
  ];
  return [...routes, ...referenceRoutes(routes, parts.version)];
}

/** The routes that a server with these settings would have, as data: their handlers must not be called. */
export function describeRoutes(settings: Settings, version: string): Route[] {
  const clock = systemClock;
  const makeId = idMaker(clock, systemRandom);
  const { folder } = settings.data;
  const sql = openSql({ data: folder, clock });
  const secrets = openSecrets({ path: join(folder, "secrets.json") });
  const audit = new Audit({ sql, secrets, clock });
  const metrics = new Metrics();
  const usage = new ProcessUsage(clock);
  usage.stop(); // it watches from the moment it is made
  const approvals = new Approvals({ sql, audit, clock, makeId });
  const schemas = new SchemaRegistry({ sql, audit, approvals, clock, makeId, settings: settings.schemas });
  return serverRoutes({
    version,
    mode: "development",
    clock,
    sql,
    issuer: { jwks: { keys: [] } },
    audit,
    approvals,
    schemas,
    messaging: new Messaging({
      sql,
      log: openLog({ folder: join(folder, "log"), clock }),
      secrets,
      audit,
      clock,
      makeId,
      random: systemRandom,
      metrics,
      traces: new Traces({ sampleRatio: 0, version }),
      settings: { ...settings.messaging, ...settings.http },
      kv: new MemoryKv({ clock }),
      nodes: { name: "", leaseMs: 0, lingerMs: 0, queueDepth: 0, memoryBytes: 0, eventLoopDelayMs: 0 },
      usage: () => usage.read(),
      schemas,
      onError: () => {},
    }),
    configuration: new Configuration({
      ...{ sql, secrets, audit, approvals, schemas, clock, makeId, metrics, onError: () => {} },
      ...{ kv: new MemoryKv({ clock }), random: systemRandom },
      settings: { ...settings.configuration, jsonDepthLimit: settings.http.jsonDepthLimit },
    }),
    gateway: describedGateway(settings, { sql, audit, clock, makeId, metrics }),
    metrics,
    deployment: new DeploymentRoom({
      ...{ sql, audit, approvals, clock, makeId, random: systemRandom, kv: new MemoryKv({ clock }), metrics },
      ...{
        traces: new Traces({ sampleRatio: 0, version }),
        settings: settings.deployment,
        onError: () => {},
      },
    }),
    metricsPublic: settings.metrics.public,
    health: new Health({ clock }),
    usage,
    onError: () => {},
  });
}

function describedGateway(
  settings: Settings,
  parts: Pick<GatewayOptions, "sql" | "audit" | "clock" | "makeId" | "metrics">,
): Gateway {
  const nobody = () => {};
  const listener = new Listener({
    ...{
      plane: new IdlePlane(),
      settings: settings.gateway,
      mode: "development",
      folder: settings.data.folder,
    },
    ...{
      clock: parts.clock,
      drainMs: 0,
      recordShare: 0,
      onRecords: nobody,
      onBackend: nobody,
      onError: nobody,
    },
  });
  return new Gateway({
    ...parts,
    ...{
      kv: new MemoryKv({ clock: parts.clock }),
      random: systemRandom,
      listener,
      ownIssuers: [],
      secrets: { valueOf: async () => undefined, hold: async () => new Map(), addUser: nobody },
      onError: nobody,
    },
    settings: { ...settings.gateway, jsonDepthLimit: settings.http.jsonDepthLimit },
  });
}
