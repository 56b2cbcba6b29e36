/** Where a route's requests go: its backends, how the gateway speaks to them, and how it knows that they are well. */
import { type Static, Type } from "typebox";
import { count, milliseconds, path, routeName, share, strict, url } from "./fields.schema.ts";

export const serviceName = routeName;

const dns = Type.Object(
  {
    name: Type.String({ pattern: "^[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?$" }),
    type: Type.Optional(
      Type.Enum(["A", "AAAA", "SRV"], { description: "Default A with AAAA where there is one." }),
    ),
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535, description: "Not with SRV." })),
    scheme: Type.Optional(Type.Enum(["http", "https"])),
    refreshSeconds: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 3600, description: "At the longest; a shorter TTL goes first." }),
    ),
  },
  { ...strict, title: "RouteDns" },
);

const pem = Type.String({ maxLength: 65_536, pattern: "^\\s*-----BEGIN [A-Z ]+-----" });

const tls = Type.Object(
  {
    verify: Type.Optional(Type.Boolean({ description: "Default true." })),
    ca: Type.Optional(pem),
    serverName: Type.Optional(Type.String({ pattern: "^[\\w.-]{1,253}$" })),
    clientCertificate: Type.Optional(
      Type.Object(
        { $secret: Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$" }) },
        {
          ...strict,
          description:
            "What the gateway shows of itself (mTLS): the name of a secret of the tenant with the certificate, its " +
            "chain and its private key, PEM one after the other. A new value counts within seconds.",
        },
      ),
    ),
  },
  {
    ...strict,
    title: "RouteTls",
    description: "For backends with https. What a backend says itself goes before what the connection says.",
  },
);

export const backend = Type.Object(
  {
    url: Type.Optional(url),
    service: Type.Optional(serviceName),
    dns: Type.Optional(dns),
    weight: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 1000, description: "Default 1; 0 takes no traffic." }),
    ),
    tls: Type.Optional(tls),
  },
  {
    ...strict,
    title: "RouteBackend",
    description:
      "One of: `url`; `service`, whose instances register themselves; `dns`, a name that is resolved again and again.",
  },
);

export const healthCheck = Type.Object(
  {
    path,
    intervalMs: Type.Optional(
      Type.Integer({ minimum: 100, maximum: 3_600_000, description: "Default 5,000." }),
    ),
    timeoutMs: Type.Optional(Type.Integer({ minimum: 10, maximum: 600_000, description: "Default 2,000." })),
    unhealthyAfter: Type.Optional(count(100, "Failures in a row; default 3.")),
    healthyAfter: Type.Optional(count(100, "Successes in a row; default 2.")),
    statuses: Type.Optional(
      Type.Array(Type.Integer({ minimum: 100, maximum: 599 }), {
        minItems: 1,
        maxItems: 100,
        description: "Default 200 to 399.",
      }),
    ),
    host: Type.Optional(Type.String({ pattern: "^[\\w.:-]{1,253}$" })),
  },
  { ...strict, title: "RouteHealthCheck" },
);

export const outlier = Type.Object(
  {
    enabled: Type.Optional(Type.Boolean({ description: "Default true." })),
    consecutiveFailures: Type.Optional(count(1000, "5xx or failed connections in a row; default 5.")),
    ejectMs: Type.Optional(
      milliseconds(3_600_000, "The first time; longer each time that follows soon. Default 30,000."),
    ),
    ejectShareMax: Type.Optional(share),
  },
  { ...strict, title: "RouteOutlier" },
);

export const breaker = Type.Object(
  {
    enabled: Type.Optional(Type.Boolean({ description: "Default true." })),
    failures: Type.Optional(count(1000, "In a row until it opens; default 5.")),
    openMs: Type.Optional(milliseconds(3_600_000, "Until it lets a request try again; default 30,000.")),
    halfOpenRequests: Type.Optional(count(100, "Let through while half-open; default 1.")),
  },
  { ...strict, title: "RouteBreaker" },
);

export const connection = Type.Object(
  {
    protocol: Type.Optional(
      Type.Enum(["h1", "h2"], { description: "Default h1. gRPC needs h2: by ALPN, or in the clear." }),
    ),
    connectionsMax: Type.Optional(count(1_000_000, "Open at once; default 1,024.")),
    idleMax: Type.Optional(count(100_000, "Kept idle, for each worker; default 64.")),
    idleMs: Type.Optional(milliseconds(3_600_000, "Kept idle at most; default 60,000.")),
    slowStartMs: Type.Optional(
      milliseconds(3_600_000, "Time in which a backend that came back gets its whole share; default 0."),
    ),
    tls: Type.Optional(tls),
  },
  { ...strict, title: "RouteConnection", description: "How the gateway speaks to the backends." },
);

export type BackendSpec = Static<typeof backend>;
export type DnsSpec = Static<typeof dns>;
