/** Which requests are a route's own. */
import { type Static, Type } from "typebox";
import { path, strict } from "./fields.schema.ts";

const host = Type.String({
  pattern: "^(\\*\\.)?[a-z0-9]([a-z0-9-]{0,62})(\\.[a-z0-9]([a-z0-9-]{0,62}))*$",
  maxLength: 253,
  description: "`api.example.org`, or `*.example.org` for one or more labels before it. Lower case, no port.",
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

export const match = Type.Object(
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

export type ConditionSpec = Static<typeof condition>;
