/**
 * A route as the API and files have it. What only needs one field to be judged is said here, with the defaults;
 * what takes several fields or a look inside of a text is in route-checks.ts.
 */
import { type Static, Type } from "typebox";

const strict = { additionalProperties: false } as const;

const token = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$";
const headerName = Type.String({ pattern: token, description: "A header field name." });
const headerValue = Type.String({ maxLength: 4096, pattern: "^[^\\x00-\\x08\\x0a-\\x1f\\x7f]*$" });
const milliseconds = (maximum: number, description: string) =>
  Type.Integer({ minimum: 0, maximum, description });
const share = Type.Number({ minimum: 0, maximum: 1, description: "From 0 to 1." });
const count = (maximum: number, description: string) => Type.Integer({ minimum: 1, maximum, description });

export const routeName = Type.String({
  title: "RouteName",
  pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
  description: "Letters, digits, dot, dash and underscore; begins with a letter or digit; at most 128.",
});

const host = Type.String({
  pattern: "^(\\*\\.)?[a-z0-9]([a-z0-9-]{0,62})(\\.[a-z0-9]([a-z0-9-]{0,62}))*$",
  maxLength: 253,
  description: "`api.example.org`, or `*.example.org` for one or more labels before it. Lower case, no port.",
});

const path = Type.String({
  pattern: "^/[^\\s?#\\\\]*$",
  maxLength: 1024,
  description: "Begins with `/`; percent-encoded as on the wire; no query.",
});

const condition = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 128 }),
    equals: Type.Optional(Type.String({ maxLength: 1024 })),
    prefix: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
    oneOf: Type.Optional(Type.Array(Type.String({ maxLength: 1024 }), { minItems: 1, maxItems: 100 })),
    present: Type.Optional(Type.Boolean({ description: "`false`: it must be absent." })),
  },
  { ...strict, title: "RouteCondition", description: "One of `equals`, `prefix`, `oneOf` and `present`." },
);

const conditions = (of: string) =>
  Type.Union(
    [
      Type.Array(condition, { maxItems: 16 }),
      Type.Record(Type.String({ minLength: 1, maxLength: 128 }), Type.String({ maxLength: 1024 }), {
        maxProperties: 16,
        description: "Name to the value that it must have.",
      }),
    ],
    { description: `All of these ${of} must fit.` },
  );

const match = Type.Object(
  {
    host: Type.Optional(host),
    path: Type.Optional(
      Type.Object(
        {
          prefix: Type.Optional(path),
          exact: Type.Optional(path),
          template: Type.Optional(path),
        },
        {
          ...strict,
          minProperties: 1,
          maxProperties: 1,
          description:
            "One of: `prefix` by whole segments, `/a` fits `/a/b` and not `/ab`; `exact`; `template` such as " +
            "`/orders/{id}/lines`, where a name takes one segment and `{rest*}` at the end what is left.",
        },
      ),
    ),
    methods: Type.Optional(
      Type.Array(Type.String({ pattern: "^[A-Z][A-Z-]{0,31}$" }), {
        minItems: 1,
        maxItems: 16,
        uniqueItems: true,
      }),
    ),
    headers: Type.Optional(conditions("header fields")),
    query: Type.Optional(conditions("parameters of the query")),
  },
  { ...strict, title: "RouteMatch", description: "A part that is absent fits every request." },
);

export const strategies = [
  "round-robin",
  "weighted",
  "least-connections",
  "two-choices",
  "ip-hash",
  "header",
  "sticky",
] as const;

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

const url = Type.String({
  pattern: "^https?://[^\\s/?#@]{1,255}/?$",
  description: "`http://` or `https://`, host and port.",
});

const backend = Type.Object(
  {
    url: Type.Optional(url),
    service: Type.Optional(serviceName),
    dns: Type.Optional(dns),
    weight: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 1000, description: "Default 1; 0 takes no traffic." }),
    ),
  },
  {
    ...strict,
    title: "RouteBackend",
    description:
      "One of: `url`; `service`, whose instances register themselves; `dns`, a name that is resolved again and again.",
  },
);

const healthCheck = Type.Object(
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

const outlier = Type.Object(
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

const breaker = Type.Object(
  {
    enabled: Type.Optional(Type.Boolean({ description: "Default true." })),
    failures: Type.Optional(count(1000, "In a row until it opens; default 5.")),
    openMs: Type.Optional(milliseconds(3_600_000, "Until it lets a request try again; default 30,000.")),
    halfOpenRequests: Type.Optional(count(100, "Let through while half-open; default 1.")),
  },
  { ...strict, title: "RouteBreaker" },
);

const pem = Type.String({ maxLength: 65_536, pattern: "^\\s*-----BEGIN [A-Z ]+-----" });

const connection = Type.Object(
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
    tls: Type.Optional(
      Type.Object(
        {
          verify: Type.Optional(Type.Boolean({ description: "Default true." })),
          ca: Type.Optional(pem),
          serverName: Type.Optional(Type.String({ pattern: "^[\\w.-]{1,253}$" })),
        },
        strict,
      ),
    ),
  },
  { ...strict, title: "RouteConnection", description: "How the gateway speaks to the backends." },
);

const timeouts = Type.Object(
  {
    connectMs: Type.Optional(milliseconds(600_000, "Default 2,000.")),
    firstByteMs: Type.Optional(
      milliseconds(3_600_000, "From the request's end to the answer's first byte; default 30,000."),
    ),
    idleMs: Type.Optional(milliseconds(86_400_000, "Without a byte in either direction; default 60,000.")),
    totalMs: Type.Optional(milliseconds(86_400_000, "Of all attempts together; default 0, which is none.")),
  },
  { ...strict, title: "RouteTimeouts" },
);

const retry = Type.Object(
  {
    attempts: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 10, description: "Further attempts; default 1; 0 for none." }),
    ),
    statuses: Type.Optional(
      Type.Array(Type.Integer({ minimum: 400, maximum: 599 }), {
        maxItems: 50,
        description: "Default 502, 503, 504. A failed connection is always tried again.",
      }),
    ),
    backoffMs: Type.Optional(milliseconds(60_000, "The first delay, doubled each time; default 25.")),
    budget: Type.Optional(share),
    budgetFloor: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1000,
        description: "Retries per second always allowed; default 3.",
      }),
    ),
    methods: Type.Optional(
      Type.Array(Type.String({ pattern: "^[A-Z][A-Z-]{0,31}$" }), {
        maxItems: 16,
        description: "Default those that are idempotent.",
      }),
    ),
  },
  { ...strict, title: "RouteRetry" },
);

const headerChange = Type.Object(
  {
    set: Type.Optional(Type.Record(Type.String({ pattern: token }), headerValue, { maxProperties: 64 })),
    add: Type.Optional(Type.Record(Type.String({ pattern: token }), headerValue, { maxProperties: 64 })),
    remove: Type.Optional(Type.Array(headerName, { maxItems: 64 })),
  },
  { ...strict, title: "RouteHeaderChange" },
);

const requestTransform = Type.Object(
  {
    headers: Type.Optional(headerChange),
    replacePrefix: Type.Optional(
      Type.String({
        pattern: "^/[^\\s?#\\\\]*$",
        maxLength: 1024,
        description: "Takes the place of the matched prefix; `/` takes it away.",
      }),
    ),
    path: Type.Optional(
      Type.String({
        pattern: "^/[^\\s?#\\\\]*$",
        maxLength: 1024,
        description: "A whole path; `{name}` of the match's template is filled in. The query stays.",
      }),
    ),
    host: Type.Optional(
      Type.Enum(["preserve", "backend"], { description: "Which Host the backend sees; default preserve." }),
    ),
  },
  { ...strict, title: "RouteRequestTransform" },
);

const redirect = Type.Object(
  {
    status: Type.Optional(Type.Enum([301, 302, 303, 307, 308], { description: "Default 308." })),
    location: Type.String({
      pattern: "^(https?://|/)[^\\s]*$",
      maxLength: 2048,
      description: "Absolute or a path; `{path}` and `{query}`, with its `?`, are filled in.",
    }),
  },
  {
    ...strict,
    title: "RouteRedirect",
    description: "The gateway answers by itself; the route has no backends then.",
  },
);

const mirror = Type.Object(
  {
    url,
    share: Type.Optional(share),
    bodyBytesMax: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 1_048_576, description: "Larger bodies are not mirrored." }),
    ),
  },
  { ...strict, title: "RouteMirror", description: "A copy goes there; its answer is thrown away." },
);

const limits = Type.Object(
  {
    requestBytesMax: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 2 ** 40, description: "Default 104,857,600; 0 is none." }),
    ),
    rate: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Type.Optional(Type.String({ pattern: "^[a-z][a-z0-9_-]{0,63}$" })),
            requests: count(1_000_000, "How many in that time."),
            perSeconds: Type.Optional(
              Type.Integer({ minimum: 1, maximum: 86_400, description: "Default 60." }),
            ),
            burst: Type.Optional(count(1_000_000, "How many at once; default all of them.")),
            per: Type.Optional(
              Type.Enum(["client", "route", "tenant"], {
                description: "Default client: the subject of its token or key, or its address.",
              }),
            ),
          },
          strict,
        ),
        { maxItems: 8 },
      ),
    ),
  },
  { ...strict, title: "RouteLimits" },
);

const jwt = Type.Object(
  {
    issuer: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 1024,
        description:
          "The `iss` of accepted tokens. Without it tokens of the route's tenant that HotSwap itself accepts.",
      }),
    ),
    jwksUrl: Type.Optional(
      Type.String({
        pattern: "^https?://[^\\s]+$",
        maxLength: 2048,
        description: "Where its public keys are. Without it they are found by OpenID Connect discovery.",
      }),
    ),
    audience: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
    scopes: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 128 }), {
        maxItems: 32,
        description: "A token must have all of these.",
      }),
    ),
    anyRole: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 128 }), {
        maxItems: 32,
        description: "A token must have one of these.",
      }),
    ),
    scopeRoles: Type.Optional(
      Type.Record(
        Type.String({ minLength: 1, maxLength: 128 }),
        Type.String({ minLength: 1, maxLength: 128 }),
        { maxProperties: 64, description: "A scope that stands for a role." },
      ),
    ),
    claimHeaders: Type.Optional(
      Type.Record(Type.String({ minLength: 1, maxLength: 128 }), Type.String({ pattern: token }), {
        maxProperties: 32,
        description: "Claim to the header field that tells it to the backend; `sub` to `x-user`.",
      }),
    ),
  },
  { ...strict, title: "RouteJwt" },
);

const auth = Type.Object(
  {
    jwt: Type.Optional(jwt),
    apiKey: Type.Optional(
      Type.Object(
        {
          header: Type.Optional(headerName),
          groups: Type.Optional(
            Type.Array(routeName, {
              maxItems: 32,
              description: "A key must be in one of these; default any.",
            }),
          ),
        },
        strict,
      ),
    ),
  },
  { ...strict, title: "RouteAuth", description: "With both, both are needed." },
);

const cors = Type.Object(
  {
    origins: Type.Array(Type.String({ pattern: "^(\\*|https?://[^\\s/]+)$", maxLength: 512 }), {
      minItems: 1,
      maxItems: 100,
    }),
    methods: Type.Optional(Type.Array(Type.String({ pattern: "^[A-Z][A-Z-]{0,31}$" }), { maxItems: 16 })),
    headers: Type.Optional(Type.Array(headerName, { maxItems: 64 })),
    exposed: Type.Optional(Type.Array(headerName, { maxItems: 64 })),
    credentials: Type.Optional(Type.Boolean()),
    maxAgeSeconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400 })),
  },
  { ...strict, title: "RouteCors" },
);

const addresses = Type.Array(Type.String({ pattern: "^[0-9A-Fa-f.:]{2,45}(/\\d{1,3})?$" }), {
  maxItems: 1000,
  description: "Addresses and networks such as 10.0.0.0/8 or 2001:db8::/32.",
});

export const labels = Type.Record(
  Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$" }),
  Type.String({ maxLength: 256 }),
  { maxProperties: 32 },
);

const members = {
  name: routeName,
  description: Type.Optional(Type.String({ maxLength: 1024 })),
  enabled: Type.Optional(Type.Boolean({ description: "Default true." })),
  priority: Type.Optional(
    Type.Integer({
      minimum: -10_000,
      maximum: 10_000,
      description: "Of the routes that match, the highest wins; then the more specific one. Default 0.",
    }),
  ),
  labels: Type.Optional(labels),
  match,
  strategy: Type.Optional(Type.Enum([...strategies], { description: "Default round-robin." })),
  header: Type.Optional(
    Type.Object(
      {
        name: headerName,
        byValue: Type.Record(Type.String({ maxLength: 1024 }), url, { minProperties: 1, maxProperties: 100 }),
        otherwise: Type.Optional(url),
      },
      { ...strict, description: "For the strategy header: which backend a value leads to." },
    ),
  ),
  sticky: Type.Optional(
    Type.Object(
      {
        cookie: Type.Optional(Type.String({ pattern: token })),
        ttlSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 31_536_000 })),
        secure: Type.Optional(Type.Boolean()),
      },
      { ...strict, description: "For the strategy sticky." },
    ),
  ),
  backends: Type.Optional(Type.Array(backend, { maxItems: 256 })),
  connection: Type.Optional(connection),
  health: Type.Optional(healthCheck),
  outlier: Type.Optional(outlier),
  breaker: Type.Optional(breaker),
  timeouts: Type.Optional(timeouts),
  retry: Type.Optional(retry),
  request: Type.Optional(requestTransform),
  response: Type.Optional(Type.Object({ headers: Type.Optional(headerChange) }, strict)),
  redirect: Type.Optional(redirect),
  mirror: Type.Optional(mirror),
  limits: Type.Optional(limits),
  auth: Type.Optional(auth),
  cors: Type.Optional(cors),
  ip: Type.Optional(Type.Object({ allow: Type.Optional(addresses), deny: Type.Optional(addresses) }, strict)),
  upgrades: Type.Optional(Type.Boolean({ description: "WebSocket and other upgrades; default true." })),
};

export const routeSpec = Type.Object(members, { ...strict, title: "RouteSpec" });
export type RouteSpec = Static<typeof routeSpec>;
export type BackendSpec = Static<typeof backend>;
export type DnsSpec = Static<typeof dns>;
export type ConditionSpec = Static<typeof condition>;

export const findingKinds = ["unreachable", "ambiguous", "overlap", "settings-differ"] as const;

export const finding = Type.Object(
  {
    kind: Type.Enum([...findingKinds], {
      description:
        "`unreachable`: another route takes all that it matches. `ambiguous`: both match some requests and only the " +
        "smaller id decides. `overlap`: both match some requests; the first one named wins. `settings-differ`: both " +
        "name a backend with other settings for it; those of the first one named count.",
    }),
    route: routeName,
    other: routeName,
    message: Type.String(),
  },
  { title: "RouteFinding" },
);
export type Finding = Static<typeof finding>;

export const route = Type.Object(
  {
    id: Type.String(),
    ...members,
    version: Type.Integer({ description: "Of this route; its ETag." }),
    revision: Type.Integer({ description: "Of the route set that this version came with." }),
    createdAt: Type.String({ format: "date-time" }),
    updatedAt: Type.String({ format: "date-time" }),
  },
  { title: "Route" },
);

export const changedRoute = Type.Object(
  {
    ...route.properties,
    warnings: Type.Array(finding),
  },
  { title: "ChangedRoute" },
);

export const analysis = Type.Object({
  revision: Type.Integer(),
  routes: Type.Integer(),
  findings: Type.Array(finding),
  truncated: Type.Boolean({ description: "There may be more than were looked for." }),
});
