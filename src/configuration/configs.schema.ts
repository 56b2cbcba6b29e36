/** Configurations and their versions as the API shows them. */
import { Type } from "typebox";
import { INTEGER_MAX } from "../core/bounds.ts";
import { formats } from "./formats/format.ts";
import { eventTypes } from "./tables.ts";

const strict = { additionalProperties: false } as const;
const orNull = (schema: Parameters<typeof Type.Union>[0][number]) => Type.Union([schema, Type.Null()]);
const time = Type.String({ format: "date-time" });
const count = Type.Integer({ minimum: 0 });

export const configName = Type.String({
  title: "ConfigName",
  pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
  description:
    "Letters, digits, dot, dash and underscore; begins with a letter or digit; at most 128. One for the whole tenant, " +
    "such as `checkout-production`. `export` and `import` are taken.",
});
export const serviceName = Type.String({
  pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
  description: "Whose configuration it is; instances register under this name.",
});
export const environmentName = Type.String({
  pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
  description: "`development`, `staging`, `production`, or any other name.",
});
const format = Type.Enum([...formats]);
const description = Type.String({ maxLength: 1024, pattern: "^[^\\u0000]*$" });
const labels = Type.Record(
  Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$" }),
  Type.String({ maxLength: 256, pattern: "^[^\\u0000]*$" }),
  { maxProperties: 32 },
);
const subject = Type.String({ pattern: "^[A-Za-z0-9_:][A-Za-z0-9._:-]{0,254}$" });
const schemaVersion = Type.Union([Type.Integer({ minimum: 1, maximum: INTEGER_MAX }), Type.Null()], {
  description: "null, the default: the latest in force.",
});
const aboutSchema = { description: "The schema that each new version must fit; null for none." };
const givenSchema = Type.Union(
  [Type.Object({ subject, version: Type.Optional(schemaVersion) }, strict), Type.Null()],
  aboutSchema,
);
const note = Type.String({
  maxLength: 1024,
  pattern: "^[^\\u0000]*$",
  description: "What it is for, as the message of a commit.",
});
const text = Type.String({ description: "The document, as it is written: comments and order are kept." });
export const versionNumber = Type.Integer({ minimum: 1, maximum: INTEGER_MAX });
const hash = Type.String({
  pattern: "^[0-9a-f]{64}$",
  description: "SHA-256 over the canonical JSON (RFC 8785) of the value, and its schema if there is one.",
});

const editable = {
  description: Type.Optional(description),
  labels: Type.Optional(labels),
  schema: Type.Optional(givenSchema),
};
const identity = { name: configName, service: serviceName, environment: environmentName, format };

export const newConfig = Type.Object({ ...identity, ...editable }, strict);
export const configUpdate = Type.Object(editable, { ...strict, description: "What is not given stays." });
export const config = Type.Object(
  {
    ...identity,
    description,
    labels,
    schema: Type.Union([Type.Object({ subject, version: schemaVersion }), Type.Null()], aboutSchema),
    currentVersion: orNull(Type.Integer({ description: "In force; null before the first deployment." })),
    latestVersion: orNull(
      Type.Integer({ description: "The one to go on from: written last, or what that was rolled back to." }),
    ),
    needsApproval: Type.Boolean({
      description: "Whether a deployment of it must be approved by somebody else.",
    }),
    revision: Type.Integer({ description: "Its ETag." }),
    createdAt: time,
    updatedAt: time,
  },
  { title: "Config" },
);

export const newVersion = Type.Object(
  {
    text,
    note: Type.Optional(note),
    parent: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: INTEGER_MAX,
        description: "The version it was made from, 0 for none: refused when there is a newer one.",
      }),
    ),
  },
  strict,
);
const origin = orNull(Type.Object({ config: configName, version: versionNumber, hash }));
const summary = {
  config: configName,
  version: versionNumber,
  hash,
  note,
  author: Type.String(),
  parent: orNull(versionNumber),
  schema: orNull(Type.Object({ subject, version: versionNumber })),
  secrets: Type.Array(Type.String(), { description: "Names of the secrets that it refers to." }),
  origin,
  current: Type.Boolean({ description: "Whether it is in force." }),
  createdAt: time,
};
export const versionSummary = Type.Object(summary, { title: "ConfigVersionSummary" });
const whole = {
  ...summary,
  format,
  text,
  value: Type.Unknown({ description: "What the text says, as JSON." }),
};
export const version = Type.Object(whole, { title: "ConfigVersion" });
const warning = Type.Object({ pointer: Type.String(), message: Type.String() });
const made = {
  created: Type.Boolean({ description: "False when the content is that of a version that there is." }),
  warnings: Type.Array(warning),
};
export const madeVersion = Type.Object({ ...summary, ...made }, { title: "MadeConfigVersion" });

const place = {
  label: Type.String({ description: "For people: `servers[eu].port`." }),
  before: Type.Optional(Type.Unknown()),
  after: Type.Optional(Type.Unknown()),
};
const kind = Type.Enum(["added", "removed", "changed", "moved"]);
export const changes = Type.Array(
  Type.Object({ kind, pointer: Type.String({ description: "JSON Pointer." }), ...place }),
);
export const diff = Type.Object(
  {
    from: versionNumber,
    to: versionNumber,
    patch: Type.Array(
      Type.Object({
        op: Type.Enum(["add", "remove", "replace", "move"]),
        path: Type.String(),
        from: Type.Optional(Type.String()),
        value: Type.Optional(Type.Unknown()),
      }),
      {
        description:
          "JSON Patch (RFC 6902) from the one to the other; values that look like secrets are masked.",
      },
    ),
    changes,
  },
  { title: "ConfigDiff" },
);

export const promotion = Type.Object(
  {
    to: configName,
    version: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: INTEGER_MAX,
        description: "Default: the one in force, or else the newest.",
      }),
    ),
    note: Type.Optional(note),
  },
  strict,
);

export const event = Type.Object({
  id: Type.String({ format: "uuid" }),
  type: Type.Enum([...eventTypes]),
  version: versionNumber,
  fromVersion: orNull(versionNumber),
  author: Type.String(),
  note,
  deployment: orNull(Type.String()),
  at: time,
});
export const blamed = Type.Object({
  version: versionNumber,
  items: Type.Array(
    Type.Object({
      pointer: Type.String(),
      version: versionNumber,
      author: Type.String(),
      note,
      createdAt: time,
    }),
  ),
});

const mistake = Type.Object({
  pointer: Type.String(),
  message: Type.String(),
  line: Type.Integer({ minimum: 1 }),
  column: Type.Integer({ minimum: 1 }),
});
export const draftBody = Type.Object({ text }, strict);
export const publishBody = Type.Object({ note: Type.Optional(note) }, strict);
export const draft = Type.Object(
  {
    config: configName,
    author: Type.String(),
    text,
    parent: orNull(Type.Integer({ description: "The newest version when it was begun." })),
    revision: Type.Integer({ description: "Its ETag." }),
    updatedAt: time,
    mistakes: Type.Array(mistake, { description: "What keeps it from being a version." }),
    warnings: Type.Array(warning),
    changes: orNull(changes),
  },
  { title: "ConfigDraft" },
);
export const drafts = Type.Object({
  items: Type.Array(Type.Object({ author: Type.String(), parent: orNull(Type.Integer()), updatedAt: time })),
});

const exported = { ...identity, description, labels, schema: givenSchema, text: orNull(text) };
export const exportedConfig = Type.Object(
  {
    ...exported,
    version: orNull(versionNumber),
    hash: orNull(hash),
  },
  { title: "ExportedConfig" },
);
export const importBody = Type.Object(
  {
    configs: Type.Array(
      Type.Object(
        {
          ...identity,
          ...editable,
          text: Type.Optional(Type.Union([text, Type.Null()])),
          version: Type.Optional(
            orNull(
              Type.Integer({
                minimum: 0,
                maximum: INTEGER_MAX,
                description: "As an export has it; not looked at.",
              }),
            ),
          ),
          hash: Type.Optional(orNull(Type.String({ description: "As an export has it; not looked at." }))),
        },
        strict,
      ),
      { minItems: 1, maxItems: 1_000 },
    ),
    note: Type.Optional(note),
  },
  strict,
);
export const imported = Type.Object({
  dryRun: Type.Boolean(),
  created: Type.Array(configName),
  changed: Type.Array(Type.Object({ name: configName, version: versionNumber, changes })),
  unchanged: count,
});
