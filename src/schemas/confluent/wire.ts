/**
 * What the routes of the Confluent registry's surface share: its media type, its names of the modes, its error
 * codes. Errors stay problems (RFC 9457) and carry `error_code` and `message` besides, which is what its clients
 * read.
 */
import { type Static, type TSchema, Type } from "typebox";
import { INTEGER_MAX } from "../../core/bounds.ts";
import { HotSwapError } from "../../core/errors.ts";
import { parseJson } from "../../platform/http/body.ts";
import type { Problem } from "../../platform/http/problem.ts";
import { Reply } from "../../platform/http/route.ts";
import { validator } from "../../platform/http/validation.ts";
import { type Mode, modes } from "../modes.ts";
import { subjectName } from "../schemas.schema.ts";
import type { VersionRow } from "../tables.ts";
import { type GivenReference, referencesMax, sourceOf } from "./references.ts";

export const mediaType = "application/vnd.schemaregistry.v1+json";

export const subjectNotFound = 40401;
export const versionNotFound = 40402;
export const schemaNotFound = 40403;
export const subjectSoftDeleted = 40404;
export const subjectNotSoftDeleted = 40405;
export const versionSoftDeleted = 40406;
export const versionNotSoftDeleted = 40407;
const invalidSchema = 42201;
export const invalidVersion = 42202;
export const invalidLevel = 42203;
const referenceExists = 42206;

export function failure(code: "schema_not_found" | "validation_failed", errorCode: number, detail: string) {
  return new HotSwapError(code, detail, { data: { errorCode } });
}

/** Its own code where the handler named one, else that of the kind of error. */
export function withErrorCode(problem: Problem): Record<string, unknown> {
  const named = problem.data?.errorCode;
  const usual: Partial<Record<Problem["code"], number>> = {
    schema_invalid: invalidSchema,
    schema_incompatible: 409,
    schema_not_found: schemaNotFound,
    schema_in_use: referenceExists,
  };
  const error_code = typeof named === "number" ? named : (usual[problem.code] ?? problem.status);
  return { error_code, message: problem.detail };
}

export const version = Type.String({ maxLength: 20, description: "A number, or `latest`." });

/** What every route of the surface has. */
export const surface = { responseType: mediaType, problem: withErrorCode } as const;

export const content = (schema: TSchema) => ({ [mediaType]: schema, "application/json": schema });

const depthLimit = 64;

/** A body of either media type, as every client of the registry sends it. */
export function reader<Body>(schema: TSchema): (bytes: Buffer) => Body {
  const validate = validator(schema, "body");
  return (bytes) => validate(parseJson(bytes, depthLimit)) as Body;
}

export function reply(body: unknown): Reply {
  return new Reply(JSON.stringify(body), { headers: { "content-type": mediaType } });
}

const flags = ["true", "false", "True", "False"] as const;
export type Flag = (typeof flags)[number];
export const isSet = (flag?: Flag): boolean => flag?.toLowerCase() === "true";
/** Not `Type.Boolean`: the Python client writes its own `True` and `False`. */
const flag = (description?: string) =>
  Type.Optional(Type.Unsafe<Flag>({ type: "string", enum: flags, ...(description && { description }) }));

/** Query parameters that its clients send; those that ask for what we do not have change nothing. */
export const options = {
  normalize: flag(),
  deleted: flag("Those that are deleted and not for good, too."),
  deletedOnly: flag("Only those."),
  deleted_only: flag("The same, as the Python client writes it."),
  permanent: flag("For good what is deleted already."),
  verbose: flag(),
  fetchMaxId: flag(),
  defaultToGlobal: flag(),
  latestOnly: flag(),
  lookupDeletedSchema: flag(),
  findTags: flag(),
  format: Type.Optional(Type.String({ maxLength: 64 })),
  referenceFormat: Type.Optional(Type.String({ maxLength: 64 })),
  reference_format: Type.Optional(Type.String({ maxLength: 64 })),
  subject: Type.Optional(Type.String({ maxLength: 255 })),
  subjectPrefix: Type.Optional(Type.String({ maxLength: 255 })),
  offset: Type.Optional(Type.Integer({ minimum: 0, maximum: INTEGER_MAX })),
  limit: Type.Optional(Type.Integer({ minimum: -INTEGER_MAX - 1, maximum: INTEGER_MAX })),
};
export const query = Type.Object(options, { additionalProperties: false });

/** As its clients ask for a part: no limit, or one below 1, is all. */
export function part<Item>(items: readonly Item[], { offset = 0, limit = 0 }: Static<typeof query>): Item[] {
  return items.slice(offset, limit > 0 ? offset + limit : undefined);
}

const nothing = Type.Union([Type.Null(), Type.Object({}, { additionalProperties: true })]);
const reference = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 1024, description: "What `$ref` calls it." }),
    subject: subjectName,
    version: Type.Integer({ minimum: -1, maximum: INTEGER_MAX, description: "-1 for the latest." }),
  },
  { title: "RegistryReference" },
);
/** A schema as it is registered, looked up or compared. */
export const schemaBody = Type.Object(
  {
    schema: Type.String({ description: "JSON text." }),
    schemaType: Type.Optional(Type.String({ description: "JSON; there is no other." })),
    references: Type.Optional(Type.Union([Type.Null(), Type.Array(reference, { maxItems: referencesMax })])),
    id: Type.Optional(Type.Integer({ minimum: -1, maximum: INTEGER_MAX })),
    version: Type.Optional(Type.Integer({ minimum: -1, maximum: INTEGER_MAX })),
    metadata: Type.Optional(nothing),
    ruleSet: Type.Optional(nothing),
    schemaTags: Type.Optional(Type.Unknown()),
  },
  { additionalProperties: false, title: "RegistrySchema" },
);

export interface SchemaBody {
  schema: string;
  schemaType?: string;
  references?: readonly GivenReference[] | null;
}

/** The text of the schema; its meaning is looked at in a worker. */
export function textOf({ schema, schemaType }: SchemaBody): string {
  const refuse = (message: string) =>
    new HotSwapError("schema_invalid", `The schema ${message}.`, {
      fields: [{ pointer: "/schema", message }],
    });
  if (schemaType !== "JSON") throw refuse("must be of schemaType JSON");
  try {
    JSON.parse(schema);
    return schema;
  } catch {
    throw refuse("is not JSON text");
  }
}

const levels = new Map(modes.map((mode) => [mode.toUpperCase(), mode]));
export const levelOf = (mode: Mode) => mode.toUpperCase();

export function modeOf(level: string): Mode {
  const mode = levels.get(level.toUpperCase());
  if (mode) return mode;
  throw failure(
    "validation_failed",
    invalidLevel,
    `The level must be one of ${[...levels.keys()].join(", ")}.`,
  );
}

export const level = Type.String({ description: [...levels.keys()].join(", ") });

export const shownVersion = Type.Object({
  subject: Type.String(),
  id: Type.Integer(),
  version: Type.Integer(),
  schemaType: Type.String(),
  schema: Type.String(),
  references: Type.Optional(Type.Array(reference)),
});
/** A schema by its id. */
export const shownText = Type.Object({
  schema: Type.String(),
  schemaType: Type.String(),
  references: Type.Optional(Type.Array(reference)),
});

export const toShown = (row: VersionRow) => ({
  subject: row.subject,
  id: row.number,
  version: row.version,
  schemaType: "JSON",
  ...sourceOf(row),
});
