/**
 * Every setting of HotSwap, in one table: what it means, what it allows, its default, and how it is given.
 * The type of the loaded settings, the flags of the command line and docs/reference/settings.md are derived
 * from it. A name is `group.name` with its unit last; `variable` and `flag` are named here only where they
 * are shorter than what the name gives (`http.bodyLimitBytes` → HOTSWAP_HTTP_BODY_LIMIT_BYTES,
 * --http-body-limit-bytes).
 *
 * A secret has no flag: a command line can be read by every user of the machine.
 */
import {
  boolean,
  choice,
  folder,
  integer,
  type Kind,
  names,
  networks,
  origins,
  ratio,
  store,
  text,
  url,
} from "./kind.ts";

interface About {
  meaning: string;
  /** Never shown, not even when it is invalid. May also be given as a file, by the variable with `_FILE`. */
  secret?: boolean;
  /** How to come by a value, for the message when it is missing. */
  advice?: string;
  variable?: string;
  flag?: string;
  /** `hotswap start` refuses to run without it; in development HotSwap makes do with a key of its own. */
  requiredInProduction?: boolean;
  /** Needed as soon as this other setting has a value. */
  requiredWith?: string;
  /** May not be larger than this other setting. */
  atMost?: string;
}

export interface Setting<Value> extends About {
  kind: Kind<Value>;
  default?: Value;
}

function setting<Value>(kind: Kind<Value>, about: About & { default: NoInfer<Value> }): Setting<Value>;
function setting<Value>(kind: Kind<Value>, about: About): Setting<Value | undefined>;
function setting<Value>(kind: Kind<Value>, about: About & { default?: Value }): Setting<Value> {
  return { kind, ...about };
}

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;

const isKey = (value: string) => /^[A-Za-z0-9+/]{43}=$/.test(value);
const isToken = (value: string) => /^[^\s]{1,1000}$/.test(value);

export const schema = {
  "data.folder": setting(folder(), {
    meaning:
      "Where everything embedded lives: database, message log, blobs, secrets. One process at a time uses it.",
    default: ".hotswap",
    variable: "HOTSWAP_DATA",
    flag: "data",
  }),

  "http.host": setting(
    text("a host name or an IP address", (value) => /^[\w.:-]{1,253}$/.test(value)),
    {
      meaning:
        "The address that the API and the console listen on. 0.0.0.0 or :: is every address of the machine.",
      default: "127.0.0.1",
      flag: "host",
    },
  ),
  "http.port": setting(integer(0, 65_535), {
    meaning: "The port of the API and the console. 0 takes any free port.",
    default: 7070,
    flag: "port",
  }),
  "http.requestTimeoutMs": setting(integer(1_000, 86_400_000, "milliseconds"), {
    meaning: "A request must have arrived whole within this time, a streamed body included.",
    default: 300_000,
  }),
  "http.headersTimeoutMs": setting(integer(1_000, 600_000, "milliseconds"), {
    meaning: "The head of a request must have arrived within this time.",
    default: 15_000,
    atMost: "http.requestTimeoutMs",
  }),
  "http.bodyLimitBytes": setting(integer(KiB, 256 * MiB, "bytes"), {
    meaning: "The largest body of a request, except where an endpoint streams or states its own limit.",
    default: MiB,
  }),
  "http.lineLimitBytes": setting(integer(KiB, 256 * MiB, "bytes"), {
    meaning: "The largest line of a streamed application/x-ndjson body.",
    default: 2 * MiB,
  }),
  "http.jsonDepthLimit": setting(integer(1, 1_000), {
    meaning: "How deeply objects and arrays of a JSON body may be nested.",
    default: 64,
  }),
  "http.corsOrigins": setting(origins(), {
    meaning:
      "Web pages from other origins that may call the API, such as a console served elsewhere. None by default.",
    default: [],
  }),

  "limits.requestsPerSecond": setting(integer(0, 1_000_000), {
    meaning: "How many API requests per second each principal may make in the long run. 0 sets no limit.",
    default: 0,
  }),
  "limits.requestsBurst": setting(integer(1, 1_000_000), {
    meaning: "How many API requests a principal may make at once before the rate counts.",
    default: 1_000,
  }),

  "sql.url": setting(store("embedded", ["postgres", "postgresql"]), {
    meaning:
      "The database: `embedded` runs PostgreSQL in the data folder, a URL names a server (PostgreSQL ≥ 15).",
    default: "embedded",
    variable: "HOTSWAP_SQL",
    flag: "sql",
  }),
  "sql.poolSize": setting(integer(1, 1_000), {
    meaning: "How many connections to the database this process opens at most.",
    default: 10,
  }),
  "kv.url": setting(store("memory", ["redis", "rediss", "unix"]), {
    meaning:
      "Cache, counters, locks and notices between nodes: `memory` is for a single node, a URL names a Redis (≥ 7).",
    default: "memory",
    variable: "HOTSWAP_KV",
    flag: "kv",
  }),
  "log.url": setting(store("disk", ["redis", "rediss", "unix"]), {
    meaning:
      "The message log: `disk` keeps segment files in the data folder, a URL names a Redis (≥ 7) that several nodes share.",
    default: "disk",
    variable: "HOTSWAP_LOG",
    flag: "log",
  }),
  "log.durability": setting(choice(["memory", "os", "fsync"]), {
    meaning:
      "What the Redis of the message log has to keep: `fsync` survives a power cut, `os` the death of Redis, `memory` neither. " +
      "The start looks whether it does, and refuses otherwise. A disk always keeps all three.",
    default: "fsync",
  }),
  "log.segmentBytes": setting(integer(MiB, GiB, "bytes"), {
    meaning:
      "A segment file of the message log is closed at this size. What retention frees is whole segments.",
    default: 64 * MiB,
  }),
  "log.tailCacheBytes": setting(integer(0, 64 * GiB, "bytes"), {
    meaning: "Memory for the newest records of all partitions, so that consumers who keep up read no disk.",
    default: 64 * MiB,
  }),
  "log.pendingBytesMax": setting(integer(MiB, 4 * GiB, "bytes"), {
    meaning: "Bytes that may wait to be written. Beyond it a publish is refused with `overloaded`.",
    default: 256 * MiB,
  }),
  "blob.url": setting(store("folder", ["file"]), {
    meaning:
      "Large objects such as plugin packages: `folder` is a folder in the data folder, file:///… another one.",
    default: "folder",
    variable: "HOTSWAP_BLOB",
    flag: "blob",
  }),
  "secrets.url": setting(store("file"), {
    meaning: "The store of secrets: `file` is an encrypted file in the data folder.",
    default: "file",
    variable: "HOTSWAP_SECRETS",
    flag: "secrets",
  }),
  "secrets.masterKey": setting(text("32 bytes in base64", isKey), {
    meaning:
      "The key that encrypts the stored secrets. In development a key is made beside the data that it protects.",
    secret: true,
    requiredInProduction: true,
    advice: "make one with `openssl rand -base64 32` and keep a copy where the data is not",
  }),

  "auth.issuerUrl": setting(url(["https", "http"]), {
    meaning:
      "An OpenID Connect issuer whose tokens are accepted. Without it HotSwap issues its own tokens only.",
  }),
  "auth.audience": setting(text("1 to 1000 characters without blanks", isToken), {
    meaning: "What a token must name as its audience.",
    default: "hotswap",
  }),
  "auth.rolesClaim": setting(
    text("the name of a claim, with dots for inner ones", (value) => /^[\w:/-]+(\.[\w:/-]+)*$/.test(value)),
    {
      meaning:
        "The claim of the issuer's tokens that lists the roles, such as `realm_access.roles` of Keycloak.",
      default: "roles",
    },
  ),
  "auth.tenantClaim": setting(
    text("the name of a claim, with dots for inner ones", (value) => /^[\w:/-]+(\.[\w:/-]+)*$/.test(value)),
    { meaning: "The claim of the issuer's tokens that names the tenant.", default: "tenant" },
  ),
  "auth.defaultTenant": setting(
    text("letters, digits, dot, dash and underscore, at most 64", (value) => /^[\w.-]{1,64}$/.test(value)),
    {
      meaning:
        "The tenant of the issuer's tokens that name none, for an issuer that serves a single tenant. " +
        "Without it such tokens are refused.",
    },
  ),
  "auth.tokenTtlSeconds": setting(integer(60, 31_536_000, "seconds"), {
    meaning: "How long a token of `hotswap token` is valid when --ttl does not say.",
    default: 3_600,
  }),

  "approvals.webhookUrl": setting(url(["https", "http"]), {
    meaning: "Who is told of a new approval request, by a signed POST (Standard Webhooks).",
  }),
  "approvals.webhookSecret": setting(
    text("whsec_ and 24 to 64 bytes in base64", (value) => /^whsec_[A-Za-z0-9+/]{32,86}={0,2}$/.test(value)),
    {
      meaning: "The key that signs the notice.",
      secret: true,
      requiredWith: "approvals.webhookUrl",
      advice: 'make one with `echo "whsec_$(openssl rand -base64 32)"`',
    },
  ),
  "approvals.expirySeconds": setting(integer(60, 7_776_000, "seconds"), {
    meaning: "An approval that is not used by then no longer counts.",
    default: 259_200,
  }),

  "telemetry.logLevel": setting(choice(logLevels), {
    meaning: "The least important log lines that are written. `debug` has a line for each request.",
    default: "info",
    flag: "log-level",
  }),
  "telemetry.otlpEndpoint": setting(url(["http", "https"]), {
    meaning:
      "Where traces go, by OTLP over HTTP, such as http://localhost:4318. Without it no trace is recorded.",
  }),
  "telemetry.otlpHeaders": setting(
    text("name=value, separated by commas", (value) =>
      /^[\w-]+=[^,=]+(=*)(,[\w-]+=[^,=]+(=*))*$/.test(value),
    ),
    { meaning: "Header fields for the receiver of traces, such as its API key.", secret: true },
  ),
  "telemetry.sampleRatio": setting(ratio(), {
    meaning: "The share of traces that is recorded. A caller's own decision (traceparent) goes first.",
    default: 1,
  }),
  "metrics.public": setting(boolean(), {
    meaning: "Lets /metrics be read without a token. It names topics of all tenants.",
    default: false,
  }),
  "metrics.seriesMax": setting(integer(10, 1_000_000), {
    meaning: "Label sets per metric; what comes after them is counted together as `_other`.",
    default: 2_000,
  }),

  "messaging.ackDeadlineSeconds": setting(integer(1, 43_200, "seconds"), {
    meaning:
      "After this time without an acknowledgement a message is delivered again, unless its subscription says otherwise.",
    default: 30,
  }),
  "messaging.batchMax": setting(integer(1, 10_000), {
    meaning: "Messages in one request to publish, consume or acknowledge.",
    default: 1_000,
  }),
  "messaging.consumeWaitMaxSeconds": setting(integer(0, 30, "seconds"), {
    meaning: "The longest that a consume request may wait for messages.",
    default: 30,
  }),
  "messaging.partitionsMax": setting(integer(1, 256), {
    meaning: "Partitions of one topic.",
    default: 256,
  }),
  "messaging.messageLimitBytes": setting(integer(KiB, 8 * MiB, "bytes"), {
    meaning: "The largest message, headers and payload together, as JSON text.",
    default: MiB,
  }),
  "messaging.dedupKeysMax": setting(integer(1, 100_000_000), {
    meaning:
      "Idempotency keys that one topic remembers, at up to 53 bytes of memory each. Beyond it messages with a key are refused.",
    default: 2_000_000,
  }),
  "messaging.scheduledMax": setting(integer(0, 1_000_000_000), {
    meaning: "Messages of one topic that may wait for their time, at up to 25 bytes of memory each.",
    default: 10_000_000,
  }),
  "messaging.inFlightMax": setting(integer(1, 1_000_000), {
    meaning:
      "Messages of one partition that may be delivered and not yet acknowledged, for each subscription.",
    default: 10_000,
  }),

  "messaging.pushPrivateTargets": setting(boolean(), {
    meaning:
      "Lets webhooks of subscriptions lead to private and loopback addresses, and over http. Any tenant could then reach what this server can reach.",
    default: false,
  }),
  "messaging.pushFailuresMax": setting(integer(1, 1_000), {
    meaning: "Requests to a webhook that may fail in a row before it pauses.",
    default: 10,
  }),
  "messaging.pushPauseMs": setting(integer(100, 3_600_000, "milliseconds"), {
    meaning:
      "The first pause of a webhook that keeps failing. Each further one is twice as long, up to an hour.",
    default: 60_000,
  }),
  "messaging.streamsMax": setting(integer(1, 1_000_000), {
    meaning: "WebSocket streams that may be open at once.",
    default: 10_000,
  }),
  "messaging.streamChannelsMax": setting(integer(1, 10_000), {
    meaning: "Topics and subscriptions that one stream may publish to and consume from.",
    default: 256,
  }),
  "messaging.streamIdleMs": setting(integer(1_000, 3_600_000, "milliseconds"), {
    meaning: "A stream of which nothing was heard for so long, not even an answer to a ping, is ended.",
    default: 60_000,
  }),

  "gateway.enabled": setting(boolean(), {
    meaning:
      "Runs the API gateway in this server. Without it routes can be managed and are served by other nodes.",
    default: true,
  }),
  "gateway.host": setting(
    text("a host name or an IP address", (value) => /^[\w.:-]{1,253}$/.test(value)),
    { meaning: "The address that the gateway listens on.", default: "127.0.0.1" },
  ),
  "gateway.port": setting(integer(0, 65_535), {
    meaning:
      "The port of the gateway; 0 takes any free port. Without it 7080, or in development any free one when that is taken.",
  }),
  "gateway.tlsPort": setting(integer(0, 65_535), {
    meaning: "A second port of the gateway, for TLS with HTTP/2. Without it there is none.",
  }),
  "gateway.tlsFolder": setting(folder(), {
    meaning:
      "Certificates of the gateway: pairs name.crt and name.key, or folders with fullchain.pem and privkey.pem. Renewed ones count within seconds.",
    requiredWith: "gateway.tlsPort",
  }),
  "gateway.tlsClientCertificates": setting(choice(["none", "optional", "required"]), {
    meaning: "Whether clients show a certificate, of the authority in client-ca.pem of gateway.tlsFolder.",
    default: "none",
  }),
  "gateway.workers": setting(integer(0, 64), {
    meaning:
      "Threads that serve requests. 0 is one for each processor but one, at least one; while developing one.",
    default: 0,
  }),
  "gateway.trustedHops": setting(networks(), {
    meaning:
      "Proxies in front of the gateway, whose X-Forwarded-* and X-Request-Id fields count. None by default.",
    default: [],
  }),
  "gateway.accessLog": setting(choice(["off", "file", "stdout"]), {
    meaning: "A line for each request: to gateway/access.log in the data folder, or to standard output.",
    default: "off",
  }),
  "gateway.accessLogFormat": setting(choice(["json", "common", "combined"]), {
    meaning: "How a line of the access log looks.",
    default: "json",
  }),
  "gateway.requestsKept": setting(integer(1, 100_000), {
    meaning: "The last requests that can be explained, for each worker.",
    default: 2_048,
  }),
  "gateway.pollMs": setting(integer(100, 600_000, "milliseconds"), {
    meaning: "How often a node looks for changes of routes that no notice came of.",
    default: 5_000,
  }),
  "gateway.routesMax": setting(integer(1, 1_000_000), {
    meaning: "Routes of one tenant.",
    default: 50_000,
  }),
  "gateway.revisionsKept": setting(integer(1, 1_000_000), {
    meaning: "Earlier revisions of a route set that can be read and taken back.",
    default: 1_000,
  }),
  "gateway.importLimitBytes": setting(integer(KiB, 256 * MiB, "bytes"), {
    meaning: "The largest route set that can be imported.",
    default: 64 * MiB,
  }),
  "gateway.instancesMax": setting(integer(1, 1_000_000), {
    meaning: "Registered service instances of one tenant.",
    default: 10_000,
  }),
  "gateway.keysMax": setting(integer(1, 1_000_000), {
    meaning: "API keys of one tenant.",
    default: 10_000,
  }),
  "gateway.dnsServers": setting(networks(), {
    meaning:
      "Name servers for backends that are DNS names, with a port if need be. Those of the system by default.",
    default: [],
  }),
  "gateway.bssRequestsPerMinute": setting(integer(0, 1_000_000), {
    meaning:
      "What each client may send to a route with the label system=bss that has no rate limit of its own. 0 sets none.",
    default: 1_000,
  }),

  "deployment.leaseMs": setting(integer(1_000, 60_000, "milliseconds"), {
    meaning: "A node that has been silent for this long loses its deployments to others.",
    default: 5_000,
  }),
  "deployment.pollMs": setting(integer(50, 60_000, "milliseconds"), {
    meaning: "How often a node looks for deployments that nobody carries.",
    default: 500,
  }),
  "deployment.heldMax": setting(integer(1, 100_000), {
    meaning: "Deployments that one node carries at once.",
    default: 1_000,
  }),
  "deployment.activeMax": setting(integer(1, 100_000), {
    meaning: "Deployments of one tenant that have not ended.",
    default: 1_000,
  }),
  "deployment.freezesMax": setting(integer(1, 100_000), {
    meaning: "Freezes of one tenant.",
    default: 1_000,
  }),
  "deployment.healthDays": setting(integer(1, 3_650, "days"), {
    meaning: "How long samples and verdicts of deployments are kept.",
    default: 30,
  }),
  "deployment.historyDays": setting(integer(1, 3_650, "days"), {
    meaning: "How long deployments that have ended are kept, with their events. The audit keeps its own.",
    default: 365,
  }),

  "schemas.autoApprove": setting(boolean(), {
    meaning:
      "Approves a submitted schema by itself when it is proven to be compatible with the versions in force.",
    default: true,
  }),
  "schemas.sizeLimitBytes": setting(integer(KiB, MiB, "bytes"), {
    meaning: "The largest schema.",
    default: 256 * KiB,
  }),
  "schemas.deadlineMs": setting(integer(100, 60_000, "milliseconds"), {
    meaning: "How long a schema may take to be compiled, or compared. What takes longer is refused.",
    default: 5_000,
  }),
  "schemas.documentTimeoutMs": setting(integer(1, 10_000, "milliseconds"), {
    meaning:
      "How long one document may take to be validated when it is published. What takes longer is refused.",
    default: 100,
  }),

  "configuration.approvalEnvironments": setting(names(), {
    meaning: "Environments in which a configuration is deployed only after somebody else has approved it.",
    default: ["production"],
  }),
  "configuration.textLimitBytes": setting(integer(KiB, 4 * MiB, "bytes"), {
    meaning: "The largest document of a configuration.",
    default: 256 * KiB,
  }),
  "configuration.configsMax": setting(integer(1, 1_000_000), {
    meaning: "How many configurations a tenant may have.",
    default: 10_000,
  }),
  "configuration.versionsMax": setting(integer(1, 1_000_000), {
    meaning: "How many versions a configuration may have.",
    default: 10_000,
  }),
  "configuration.heartbeatMs": setting(integer(200, 600_000, "milliseconds"), {
    meaning:
      "How often an instance says that it lives. After three that are missing it counts as silent; one that goes silent within three of applying a version counts as ended by it.",
    default: 10_000,
  }),
  "configuration.sweepMs": setting(integer(1_000, 86_400_000, "milliseconds"), {
    meaning: "An instance that was silent for so long is taken from the list.",
    default: 300_000,
  }),
  "configuration.pollMs": setting(integer(100, 600_000, "milliseconds"), {
    meaning: "How often a node looks for changes of what instances should have that no notice came of.",
    default: 2_000,
  }),
  "configuration.instancesMax": setting(integer(1, 1_000_000), {
    meaning: "Registered instances of one tenant.",
    default: 100_000,
  }),
  "configuration.streamsMax": setting(integer(1, 1_000_000), {
    meaning: "Streams of instances that may be open at a node at once.",
    default: 50_000,
  }),
  "configuration.connectsPerSecond": setting(integer(1, 100_000), {
    meaning:
      "Streams of instances that may begin at a node in a second. Others are told when to come back, each later than the one before.",
    default: 1_000,
  }),
  "configuration.inlineBytes": setting(integer(0, MiB, "bytes"), {
    meaning: "A document up to this size is part of the event that tells of it; a larger one is fetched.",
    default: 16 * KiB,
  }),
  "configuration.pendingBytesMax": setting(integer(KiB, 64 * MiB, "bytes"), {
    meaning: "A stream whose reader leaves so much unread is ended; it comes back for what it missed.",
    default: 256 * KiB,
  }),
  "configuration.importLimitBytes": setting(integer(KiB, 256 * MiB, "bytes"), {
    meaning: "The largest set of configurations that is imported at once.",
    default: 16 * MiB,
  }),

  "nodes.name": setting(
    text("1 to 64 letters, digits, dots, dashes and underscores", (value) => /^[\w.-]{1,64}$/.test(value)),
    { meaning: "What people call this node; by default the name of its machine and its port." },
  ),
  "nodes.address": setting(url(["http"]), {
    meaning:
      "Where other nodes reach this one, such as http://10.0.0.7:7070. By default http.host and http.port, or the name of the machine when it listens on every address.",
  }),
  "nodes.leaseMs": setting(integer(1_000, 60_000, "milliseconds"), {
    meaning: "A node that has been silent for this long is dead, and others serve its topics.",
    default: 3_000,
  }),
  "nodes.lingerMs": setting(integer(0, 120_000, "milliseconds"), {
    meaning:
      "A stopping node passes requests on for this long after it has handed its topics over, so that load balancers notice.",
    default: 2_000,
  }),
  "nodes.queueDepthMax": setting(integer(1, 1_000_000_000), {
    meaning: "A node that serves more waiting messages than this is reported as unhealthy.",
    default: 1_000_000,
  }),
  "nodes.memoryBytesMax": setting(integer(64 * MiB, 1024 * GiB, "bytes"), {
    meaning: "A node that uses more memory than this is reported as unhealthy.",
    default: 4 * GiB,
  }),
  "nodes.eventLoopDelayMaxMs": setting(integer(10, 60_000, "milliseconds"), {
    meaning: "A node whose event loop is later than this (99th percentile) is reported as unhealthy.",
    default: 500,
  }),

  "shutdown.drainTimeoutMs": setting(integer(0, 600_000, "milliseconds"), {
    meaning: "How long a stopping server waits for requests that are still running.",
    default: 10_000,
  }),
};

export type SettingName = keyof typeof schema;
type ValueOf<Name extends SettingName> = (typeof schema)[Name] extends Setting<infer Value> ? Value : never;
type Group = SettingName extends `${infer First}.${string}` ? First : never;

/** The loaded settings: `settings.http.port`. Frozen, and complete but for those without a default. */
export type Settings = {
  readonly [G in Group]: {
    readonly [Name in SettingName as Name extends `${G}.${infer Last}` ? Last : never]: ValueOf<Name>;
  };
};

export const settingNames = Object.keys(schema) as SettingName[];

/** The entry without the type of its value, for code that treats all settings alike. */
export function entryOf(name: SettingName): Setting<unknown> {
  return schema[name] as Setting<unknown>;
}

export function variableOf(name: SettingName): string {
  return entryOf(name).variable ?? `HOTSWAP_${words(name).join("_").toUpperCase()}`;
}

/** Without the leading dashes; undefined for a secret. */
export function flagOf(name: SettingName): string | undefined {
  const { flag, secret } = entryOf(name);
  return secret ? undefined : (flag ?? words(name).join("-"));
}

const words = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `.${letter.toLowerCase()}`).split(".");
