/**
 * A route as the API and files have it. What only needs one field to be judged is said here, with the defaults;
 * what takes several fields or a look inside of a text is in route-checks.ts.
 */
import { type Static, Type } from "typebox";
import { backend, breaker, connection, healthCheck, outlier } from "./backends.schema.ts";
import { headerName, routeName, strict, token, url } from "./fields.schema.ts";
import { headerChange, mirror, redirect, requestTransform, retry, timeouts } from "./handling.schema.ts";
import { match } from "./match.schema.ts";
import { addresses, auth, cors, limits } from "./policies.schema.ts";

export const strategies = [
  "round-robin",
  "weighted",
  "least-connections",
  "two-choices",
  "ip-hash",
  "header",
  "sticky",
] as const;

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

export const findingKinds = ["unreachable", "ambiguous", "overlap", "settings-differ"] as const;

export const finding = Type.Object(
  {
    kind: Type.Enum([...findingKinds], {
      description:
        "`unreachable`: `other` takes all that `route` matches. `ambiguous`: both match some requests and only the " +
        "smaller id decides. `overlap`: both match some requests, which `other` takes. `settings-differ`: both name " +
        "a backend with other settings for it; those of `other` count.",
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
