/** What the library says of a document that is not valid, as a place and a sentence each. */
import type { ErrorObject } from "ajv";
import type { FieldError } from "../../core/errors.ts";
import { pointerToken } from "../../core/json.ts";

/** Places that one answer tells of. */
export const violationsMax = 20;

/** `below` is put before each pointer: where the document is in what the caller sent. */
export function violationsOf(errors: readonly ErrorObject[], below: string): FieldError[] {
  return errors.slice(0, violationsMax).map((error) => violationOf(error, below));
}

function violationOf({ keyword, instancePath, params, message }: ErrorObject, below: string): FieldError {
  const here = `${below}${instancePath}`;
  const inner = (name: unknown) => `${here}/${pointerToken(String(name))}`;
  switch (keyword) {
    case "additionalProperties":
      return { pointer: inner(params.additionalProperty), message: "is not a known property" };
    case "unevaluatedProperties":
      return { pointer: inner(params.unevaluatedProperty), message: "is not a known property" };
    case "required":
      return { pointer: inner(params.missingProperty), message: "is required" };
    case "dependentRequired":
    case "dependencies":
      return { pointer: inner(params.missingProperty), message: `is required with ${params.property}` };
    case "propertyNames":
      return { pointer: inner(params.propertyName), message: "has a name that is not allowed" };
    case "enum":
      return { pointer: here, message: `must be one of ${listed(params.allowedValues)}` };
    case "const":
      return { pointer: here, message: `must be ${short(JSON.stringify(params.allowedValue))}` };
    case "false schema":
      return { pointer: here, message: "is not allowed" };
    default:
      return { pointer: here, message: message ?? "is not valid" };
  }
}

const short = (text: string) => (text.length > 100 ? `${text.slice(0, 100)}…` : text);

function listed(values: unknown): string {
  if (!Array.isArray(values)) return "the allowed values";
  return short(values.map((value) => JSON.stringify(value)).join(", "));
}
