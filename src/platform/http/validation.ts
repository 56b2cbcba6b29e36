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

const options = { allErrors: true, strict: true, strictTypes: false, useDefaults: true, ownProperties: true };
// ajv-formats is CommonJS; under NodeNext its callable default is one level down.
const addFormats = formats.default;
const strictAjv = new Ajv2020(options);
const coercingAjv = new Ajv2020({ ...options, coerceTypes: "array" });
// RFC 3339 knows leap seconds and a Date does not: what passes here can be made into one.
const rfc3339 = addFormats.get("date-time") as { validate: (text: string) => boolean };
const isInstant = (text: string) => rfc3339.validate(text) && !Number.isNaN(Date.parse(text));
for (const ajv of [strictAjv, coercingAjv]) addFormats(ajv).addFormat("date-time", isInstant);

export type Part = "body" | "query" | "path";

/** Compiles once; the result throws `validation_failed` or returns the value with defaults filled in. */
export function validator(schema: TSchema, part: Part): (value: unknown) => unknown {
  const validate: ValidateFunction = (part === "body" ? strictAjv : coercingAjv).compile(schema);
  return (value) => {
    if (validate(value)) {
      if (part !== "body") refuseBrokenText(value, part);
      return value;
    }
    const fields = (validate.errors ?? []).slice(0, errorsMax).map((error) => fieldError(error, part));
    throw new HotSwapError("validation_failed", summary(fields), { fields });
  };
}

/**
 * Refuses text that no store can keep as it is: U+0000, which PostgreSQL does not hold, and halves of surrogate
 * pairs, which are no characters (I-JSON, RFC 7493 §2.1). Looks into names of members too.
 */
export function refuseBrokenText(value: unknown, part: Part): void {
  const pointer = brokenText(value, part === "body" ? "" : part);
  if (pointer === undefined) return;
  const field = { pointer, message: "must be whole characters, and U+0000 is none here" };
  throw new HotSwapError("validation_failed", summary([field]), { fields: [field] });
}

function brokenText(value: unknown, pointer: string): string | undefined {
  if (typeof value === "string") return value.isWellFormed() && !value.includes("\0") ? undefined : pointer;
  if (typeof value !== "object" || value === null) return undefined;
  for (const [name, member] of Object.entries(value)) {
    const broken = brokenText(name, pointer) ?? brokenText(member, `${pointer}/${pointerToken(name)}`);
    if (broken !== undefined) return broken;
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
    default:
      return { pointer: prefix + error.instancePath, message: error.message ?? "is not valid" };
  }
}

function list(values: unknown): string {
  return Array.isArray(values) ? values.map((value) => JSON.stringify(value)).join(", ") : String(values);
}
