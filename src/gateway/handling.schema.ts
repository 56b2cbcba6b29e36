/** How a route's requests are handled on their way: deadlines, further attempts, changes, copies. */
import { Type } from "typebox";
import { headerName, headerValue, milliseconds, share, strict, token, url } from "./fields.schema.ts";

export const timeouts = Type.Object(
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

export const retry = Type.Object(
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

export const headerChange = Type.Object(
  {
    set: Type.Optional(Type.Record(Type.String({ pattern: token }), headerValue, { maxProperties: 64 })),
    add: Type.Optional(Type.Record(Type.String({ pattern: token }), headerValue, { maxProperties: 64 })),
    remove: Type.Optional(Type.Array(headerName, { maxItems: 64 })),
  },
  { ...strict, title: "RouteHeaderChange" },
);

export const requestTransform = Type.Object(
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

export const redirect = Type.Object(
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

export const mirror = Type.Object(
  {
    url,
    share: Type.Optional(share),
    bodyBytesMax: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 1_048_576, description: "Larger bodies are not mirrored." }),
    ),
  },
  { ...strict, title: "RouteMirror", description: "A copy goes there; its answer is thrown away." },
);
