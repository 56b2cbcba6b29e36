/**
 * A document as a configuration holds it: text in one of four formats, its value, and its hash. Every refusal names the
 * place twice: by JSON Pointer, and by line and column of the text.
 */
import { createHash } from "node:crypto";
import { type FieldError, HotSwapError } from "../core/errors.ts";
import { canonicalJson, type Json } from "../core/json.ts";
import { type Format, type Limits, type Parsed, type Place, tooLarge, Unreadable } from "./formats/format.ts";
import { parseJsonText } from "./formats/json.ts";
import { parseProperties } from "./formats/properties.ts";
import { parseToml } from "./formats/toml.ts";
import { parseYaml } from "./formats/yaml.ts";

/** One place of a document, and what is wrong there. */
export interface Mistake extends FieldError, Place {}

/** Throws `config_too_large`, or `config_invalid` with the place. */
export function parseDocument(format: Format, text: string, limits: Limits): Parsed {
  if (Buffer.byteLength(text) > limits.textBytes) throw tooLarge(limits.textBytes);
  try {
    const parsed = parseAs(format, text, limits);
    if (typeof parsed.value !== "object" || parsed.value === null) {
      throw new Unreadable("must be an object or a list", parsed.locate(""));
    }
    return parsed;
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    throw invalid([{ pointer: error.pointer, message: error.message, ...error.place }]);
  }
}

function parseAs(format: Format, text: string, limits: Limits): Parsed {
  switch (format) {
    case "json":
      return parseJsonText(text, limits);
    case "yaml":
      return parseYaml(text, limits);
    case "toml":
      return parseToml(text, limits);
    case "properties":
      return parseProperties(text);
  }
}

/** The places in the text of what is wrong with its value. */
export function mistakesOf({ locate }: Parsed, fields: readonly FieldError[]): Mistake[] {
  return fields.map(({ pointer, message }) => ({ pointer, message, ...locate(pointer) }));
}

export function invalid(
  mistakes: readonly Mistake[],
  code: "config_invalid" | "config_schema_violated" | "config_secret_unknown" = "config_invalid",
  because = "",
): HotSwapError {
  const [first] = mistakes;
  const shown = ({ pointer, message, line, column }: Mistake) =>
    `${pointer || "The document"} ${message} (line ${line}, column ${column})`;
  const more = mistakes.length > 1 ? `, and ${mistakes.length - 1} more` : "";
  return new HotSwapError(code, `${shown(first!)}${more}${because}.`, {
    fields: mistakes.map(({ pointer, message, line, column }) => ({
      pointer,
      message: `${message} (line ${line}, column ${column})`,
    })),
    data: { places: mistakes.map(({ pointer, line, column }) => ({ pointer, line, column })) },
  });
}

/** The schema version that a value was held against. */
export interface SchemaRef {
  subject: string;
  version: number;
}

/** SHA-256 over the canonical text of the value, and, where there is one, its schema. */
export function hashOf(value: Json, schema: SchemaRef | undefined): string {
  const hash = createHash("sha256").update(canonicalJson(value));
  if (schema) hash.update(`\n${schema.subject}/${schema.version}`);
  return hash.digest("hex");
}
