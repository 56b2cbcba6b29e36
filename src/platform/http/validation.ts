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
addFormats(strictAjv);
addFormats(coercingAjv);

export type Part = "body" | "query" | "path";

/** Compiles once; the result throws `validation_failed` or returns the value with defaults filled in. */
export function validator(schema: TSchema, part: Part): (value: unknown) => unknown {
  const validate: ValidateFunction = (part === "body" ? strictAjv : coercingAjv).compile(schema);
  return (value) => {
    if (validate(value)) return value;
    const fields = (validate.errors ?? []).slice(0, errorsMax).map((error) => fieldError(error, part));
    throw new HotSwapError("validation_failed", summary(fields), { fields });
  };
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
