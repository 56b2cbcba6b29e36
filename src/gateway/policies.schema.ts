/** Who may call a route, and how often. */
import { Type } from "typebox";
import { count, headerName, routeName, strict, token } from "./fields.schema.ts";

export const limits = Type.Object(
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

export const auth = Type.Object(
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

export const cors = Type.Object(
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

export const addresses = Type.Array(Type.String({ pattern: "^[0-9A-Fa-f.:]{2,45}(/\\d{1,3})?$" }), {
  maxItems: 1000,
  description: "Addresses and networks such as 10.0.0.0/8 or 2001:db8::/32.",
});
