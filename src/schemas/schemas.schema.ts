/** Schemas of the registry as the API shows them. */
import { Type } from "typebox";
import { INTEGER_MAX } from "../core/bounds.ts";
import { schemaStates } from "./lifecycle.ts";
import { modes } from "./modes.ts";

const strict = { additionalProperties: false } as const;

export const subjectName = Type.String({
  title: "SubjectName",
  pattern: "^[A-Za-z0-9_:][A-Za-z0-9._:-]{0,254}$",
  description: "What the schema describes, such as `orders-value`; letters, digits, `.`, `_`, `:` and `-`.",
});
export const mode = Type.Enum([...modes], {
  description:
    "`backward`: the new schema reads what was written under the old; `forward`: the old reads the new; `full`: " +
    "both. Against the latest version, or with `_transitive` against all of them.",
});
export const version = Type.Integer({ minimum: 1, maximum: INTEGER_MAX });
const state = Type.Enum([...schemaStates]);
const description = Type.String({ maxLength: 1024, pattern: "^[^\\u0000]*$" });
const reason = Type.String({ minLength: 1, maxLength: 2000, pattern: "^[^\\u0000]*$" });
const time = Type.String({ format: "date-time" });
const jsonSchema = Type.Union([Type.Object({}, { additionalProperties: true }), Type.Boolean()], {
  description: "JSON Schema of draft 2020-12 (taken when $schema is absent) or 7.",
});
const orNull = (schema: Parameters<typeof Type.Union>[0][number]) => Type.Union([schema, Type.Null()]);

const comparison = {
  verdict: Type.Enum(["compatible", "incompatible", "unknown"], {
    description: "`compatible` is proven; `unknown` is not, and counts as incompatible.",
  }),
  counterexample: Type.Optional(
    Type.Unknown({ description: "A document that is valid under one and not the other." }),
  ),
  reason: Type.Optional(Type.String({ description: "Why it could not be proven." })),
};
export const verdict = Type.Object(
  {
    mode,
    compatible: Type.Boolean(),
    checks: Type.Array(
      Type.Object({ version, direction: Type.Enum(["backward", "forward"]), ...comparison }),
    ),
  },
  { title: "CompatibilityVerdict" },
);

const about = {
  id: Type.String({ format: "uuid" }),
  subject: subjectName,
  version,
  number: Type.Integer({ description: "The id that serializers put before a message; one for each text." }),
  state,
  draft: Type.Enum(["2020-12", "draft-07"]),
  hash: Type.String({ description: "SHA-256 of the canonical JSON (RFC 8785)." }),
  description,
  author: Type.String(),
  compatible: Type.Boolean(),
  approvalId: orNull(Type.String({ description: "See /api/v1/approvals." })),
  createdAt: time,
  updatedAt: time,
};
export const schemaSummary = Type.Object(about, { title: "SchemaSummary" });
const shown = { ...about, schema: Type.Unknown(), compatibility: verdict };
export const schemaVersion = Type.Object(shown, { title: "SchemaVersion" });
export const registered = Type.Object({ ...shown, created: Type.Boolean() }, { title: "RegisteredSchema" });

export const newSchema = Type.Object(
  {
    subject: subjectName,
    schema: jsonSchema,
    description: Type.Optional(description),
    submit: Type.Optional(Type.Boolean({ description: "Submits it for approval at once; default false." })),
  },
  strict,
);

export const checkBody = Type.Object(
  {
    subject: subjectName,
    schema: jsonSchema,
    compatibility: Type.Optional(mode),
    version: Type.Optional(
      Type.Integer({ minimum: 1, maximum: INTEGER_MAX, description: "Compare with this one only." }),
    ),
    replay: Type.Optional(
      Type.Object(
        {
          topic: Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$" }),
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, description: "Default 1,000." })),
        },
        { ...strict, description: "Tries the newest messages of a topic. Needs messages.read." },
      ),
    ),
  },
  strict,
);
const count = Type.Integer({ minimum: 0 });
export const checked = Type.Object({
  compatibility: verdict,
  replay: orNull(
    Type.Object({
      topic: Type.String(),
      messages: count,
      failing: count,
      share: Type.Number({ minimum: 0, maximum: 1 }),
      places: Type.Array(Type.Object({ pointer: Type.String(), message: Type.String(), count })),
    }),
  ),
});

export const validateBody = Type.Object(
  { payload: Type.Unknown({ description: "Any JSON value." }) },
  strict,
);
export const validated = Type.Object({
  valid: Type.Boolean(),
  errors: Type.Array(Type.Object({ pointer: Type.String(), message: Type.String() })),
});

export const approveBody = Type.Object({ reason: Type.Optional(reason) }, strict);
export const endBody = Type.Object(
  {
    reason: Type.Optional(reason),
    force: Type.Optional(Type.Boolean({ description: "Also when something uses it." })),
  },
  strict,
);

export const userKind = Type.Enum(["topic", "subscription", "consumer", "config", "schema"]);

export const usage = Type.Object({
  items: Type.Array(
    Type.Object({
      kind: userKind,
      name: Type.String({ description: "Of a schema that refers to it, `subject@version`." }),
      of: orNull(
        Type.String({ description: "The topic of a subscription; `topic/subscription` of a consumer." }),
      ),
      version: orNull(Type.Integer({ description: "As it is named there; null is the latest." })),
    }),
    { description: "The first 1,000." },
  ),
  total: count,
  missing: Type.Array(Type.String(), {
    description: "Names of nodes that did not say in time who consumes there.",
  }),
});

export const diffed = Type.Object({
  from: version,
  to: version,
  changes: Type.Array(
    Type.Object({
      pointer: Type.String(),
      kind: Type.Enum(["added", "removed", "changed"]),
      before: Type.Optional(Type.Unknown()),
      after: Type.Optional(Type.Unknown()),
      annotation: Type.Boolean({ description: "True where no document is any more or less valid by it." }),
    }),
  ),
  backward: Type.Object(comparison),
  forward: Type.Object(comparison),
});

export const subject = Type.Object(
  {
    name: subjectName,
    compatibility: orNull(mode),
    effective: mode,
    lastVersion: count,
    createdAt: time,
    updatedAt: time,
  },
  { title: "Subject" },
);
export const subjectChange = Type.Object(
  { compatibility: Type.Union([mode, Type.Null()], { description: "null: as the default has it." }) },
  strict,
);
