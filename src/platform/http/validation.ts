/**
 * Schemas to validators. Bodies are taken as they are: no coercion, no defaults invented for wrong types, no
 * silent removal. Query and path parameters arrive as text and are coerced. All errors of a document are
 * collected, each with a JSON Pointer; there are at most `errorsMax` of them in an answer.
 */
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import type { TSchema } from "typebox";
import { type FieldError, HotSwapError } from "../../core/errors.ts";
import { pointerToken } from "../../core/json.ts";

const errorsMax = 20;

const options = {
  ...{ allErrors: true, strict: true, strictTypes: false, useDefaults: true, ownProperties: true },
  verbose: true, // for what a text should be; see `fieldError`
  // Our own schemas: that they are schemas is tested (test/endpoints) rather than found at every start.
  ...{ meta: false, validateSchema: false },
};
// ajv-formats is CommonJS; under NodeNext its callable default is one level down.
const addFormats = formats.default;
const strictAjv = new Ajv2020(options);
const coercingAjv = new Ajv2020({ ...options, coerceTypes: "array" });
// RFC 3339 knows leap seconds and a Date does not: what passes here can be made into one.
const rfc3339 = addFormats.get("date-time") as { validate: (text: string) => boolean };
const isInstant = (text: string) => rfc3339.validate(text) && !Number.isNaN(Date.parse(text));
for (const ajv of [strictAjv, coercingAjv]) addFormats(ajv).addFormat("date-time", isInstant);

export type Part = "body" | "query" | "path";

/**
 * The result throws `validation_failed` or returns the value with defaults filled in. It is compiled once, when it
 * is first used: those of all routes would take longer than everything else that a start does.
 */
export function validator(schema: TSchema, part: Part): (value: unknown) => unknown {
  let compiled: ValidateFunction | undefined;
  return (value) => {
    compiled ??= (part === "body" ? strictAjv : coercingAjv).compile(schema);
    const validate = compiled;
    if (validate(value)) {
      if (part !== "body") refuseUnkeepable(value, part);
      return value;
    }
    // What an `if` leads to has its own errors; that it was led to says nothing.
    const all = (validate.errors ?? []).slice(0, 20 * errorsMax).filter(({ keyword }) => keyword !== "if");
    const errors = nearest(all);
    const fields = errors.slice(0, errorsMax).map((error) => fieldError(error, part));
    throw new HotSwapError("validation_failed", summary(fields), { fields });
  };
}

/**
 * Of alternatives only what is wrong with the one that was most likely meant: it is of the kind that was given, and
 * the least is wrong with it. Where none is of that kind, each says what it takes. Inner alternatives go first.
 */
function nearest(errors: readonly ErrorObject[]): ErrorObject[] {
  let kept = [...errors];
  const choices = errors.filter(({ keyword }) => keyword === "anyOf");
  for (const choice of choices.toSorted((a, b) => b.schemaPath.length - a.schemaPath.length)) {
    const isInside = ({ schemaPath, instancePath }: ErrorObject) =>
      schemaPath.startsWith(`${choice.schemaPath}/`) &&
      `${instancePath}/`.startsWith(`${choice.instancePath}/`);
    const inside = kept.filter(isInside);
    if (inside.length === 0) continue;
    const branches = [...Map.groupBy(inside, (error) => branchOf(error, choice)).values()];
    const meant = branches.filter((branch) => !branch.some((error) => isOfOtherKind(error, choice)));
    const least = Math.min(...meant.map(({ length }) => length));
    const told = meant.length > 0 ? meant.find(({ length }) => length === least)! : inside;
    kept = kept.filter((error) => error !== choice && (!isInside(error) || told.includes(error)));
  }
  return kept;
}

const branchOf = ({ schemaPath }: ErrorObject, choice: ErrorObject): string =>
  schemaPath.slice(choice.schemaPath.length + 1).split("/", 1)[0]!;

const isOfOtherKind = ({ keyword, instancePath }: ErrorObject, choice: ErrorObject): boolean =>
  instancePath === choice.instancePath && (keyword === "type" || keyword === "const");

const noQuery = Object.freeze({});

/** Validates a query. Without one it is the defaults, which are the same for all requests and made once. */
export function queryReader(schema: TSchema | undefined): (query: unknown) => unknown {
  if (!schema) return () => noQuery;
  const validate = validator(schema, "query");
  let defaults: unknown;
  return (query) => {
    if (query !== undefined) return validate(query);
    defaults ??= Object.freeze(validate({}));
    return defaults;
  };
}

/**
 * Refuses what no store can keep as it is: halves of surrogate pairs, which are no characters, numbers beyond a
 * double (both not I-JSON, RFC 7493 §2), and U+0000, which PostgreSQL does not hold; in names of members too. Not
 * for messages: their payload is kept byte for byte and may hold anything.
 */
export function refuseUnkeepable(value: unknown, part: Part): void {
  const found = findUnkeepable(value);
  if (!found) return;
  const pointer = [part === "body" ? "" : part, ...found.path.map(pointerToken)].join("/");
  const fields = [{ pointer, message: found.message }];
  throw new HotSwapError("validation_failed", summary(fields), { fields });
}

interface Unkeepable {
  path: (string | number)[];
  message: string;
}

function findUnkeepable(value: unknown): Unkeepable | undefined {
  if (typeof value === "string") {
    if (value.isWellFormed() && !value.includes("\0")) return undefined;
    return { path: [], message: "must be whole characters, and U+0000 is none here" };
  }
  if (typeof value === "number") {
    return Number.isFinite(value) ? undefined : { path: [], message: "is larger than a number can be" };
  }
  if (typeof value !== "object" || value === null) return undefined;
  const names = Array.isArray(value) ? undefined : Object.keys(value);
  const members: unknown[] = Array.isArray(value) ? value : Object.values(value);
  for (let at = 0; at < members.length; at++) {
    const found = findUnkeepable(members[at]) ?? findUnkeepable(names?.[at]);
    if (found) return { path: [names?.[at] ?? at, ...found.path], message: found.message };
  }
  return undefined;
}

function summary(fields: FieldError[]): string {
  const first = fields[0];
  if (!first) return "The request does not fit its schema.";
  const more = fields.length > 1 ? ` (and ${fields.length - 1} more)` : "";
  return `${first.pointer || "The body"} ${first.message}${more}.`;
}

function fieldError(error: ErrorObject, part: Part): FieldError {
  const prefix = part === "body" ? "" : part;
  const params = error.params as Record<string, unknown>;
  const inner = (name: unknown) => `${prefix}${error.instancePath}/${pointerToken(String(name))}`;
  switch (error.keyword) {
    case "additionalProperties":
      return { pointer: inner(params.additionalProperty), message: "is not a known field" };
    case "unevaluatedProperties":
      return { pointer: inner(params.unevaluatedProperty), message: "is not a known field" };
    case "required":
      return { pointer: inner(params.missingProperty), message: "is required" };
    case "enum":
      return {
        pointer: prefix + error.instancePath,
        message: `must be one of ${list(params.allowedValues)}`,
      };
    case "const":
      return {
        pointer: prefix + error.instancePath,
        message: `must be ${JSON.stringify(params.allowedValue)}`,
      };
    default: {
      const message = error.message ?? "is not valid";
      return { pointer: prefix + error.instancePath, message: message + meaning(error) };
    }
  }
}

/** Who reads a pattern, or that there is too much of something, wants to know what was meant. */
function meaning({ keyword, params, parentSchema }: ErrorObject): string {
  const says = ["pattern", "minProperties", "maxProperties"].includes(keyword) || params.type === "object";
  if (!says) return "";
  const { description } = parentSchema as { description?: unknown };
  return typeof description === "string" ? ` (${description.replace(/\.$/, "")})` : "";
}

function list(values: unknown): string {
  return Array.isArray(values) ? values.map((value) => JSON.stringify(value)).join(", ") : String(values);
}
