/**
 * From a text to what a version holds: parsed, its secrets found, and held against the schema of its configuration. A
 * schema sees the values of secrets in their places, as the instance will; what it has to say never quotes them.
 */
import { HotSwapError } from "../core/errors.ts";
import { type Json, pointerToken } from "../core/json.ts";
import { isSecretName } from "../platform/audit/index.ts";
import type { SchemaRegistry } from "../schemas/index.ts";
import type { Sql } from "../stores/sql/port.ts";
import { isObject } from "./diff.ts";
import { hashOf, invalid, type Mistake, mistakesOf, parseDocument, type SchemaRef } from "./document.ts";
import type { Limits, Parsed } from "./formats/format.ts";
import { isReference, referencesOf, type SecretReference } from "./secret-references.ts";
import type { Secrets } from "./secrets.ts";
import type { ConfigRow, ConfigurationTx } from "./tables.ts";

/** What a text is read by. */
export type Binding = Pick<ConfigRow, "format" | "schema_subject" | "schema_version">;

export interface Warning {
  pointer: string;
  message: string;
}

export interface Prepared {
  text: string;
  value: Json;
  hash: string;
  schema: SchemaRef | undefined;
  /** Names, each once. */
  secrets: string[];
  warnings: Warning[];
}

export interface PreparationParts {
  sql: Sql;
  schemas: Pick<SchemaRegistry, "inForce">;
  secrets: Pick<Secrets, "missing" | "resolve">;
  limits: Limits;
}

const warningsMax = 20;

export class Preparation {
  readonly #parts: PreparationParts;

  constructor(parts: PreparationParts) {
    this.#parts = parts;
  }

  /** Throws `config_invalid`, `config_secret_unknown`, `config_schema_violated` or `schema_not_found`. */
  async prepare(tenant: string, binding: Binding, text: string): Promise<Prepared> {
    const parsed = parseDocument(binding.format, text, this.#parts.limits);
    const { references, mistakes } = referencesOf(parsed.value);
    if (mistakes.length > 0) throw invalid(mistakesOf(parsed, mistakes));
    await this.#refuseUnknownSecrets(tenant, parsed, references);
    const schema = await this.#holdAgainstSchema(tenant, binding, parsed);
    return {
      ...{ text, value: parsed.value, schema },
      hash: hashOf(parsed.value, schema),
      secrets: [...new Set(references.map(({ name }) => name))].sort(),
      warnings: literalSecrets(parsed.value),
    };
  }

  /** The same, of a text that may be anything: what is wrong with it, and nothing thrown for that. */
  async inspect(
    tenant: string,
    binding: Binding,
    text: string,
  ): Promise<{ prepared?: Prepared; mistakes: Mistake[] }> {
    try {
      return { prepared: await this.prepare(tenant, binding, text), mistakes: [] };
    } catch (error) {
      if (!(error instanceof HotSwapError) || error.entry.kind !== "unprocessable") throw error;
      const places = (error.data?.places ?? []) as { line: number; column: number }[];
      const mistakes = error.fields.map((field, index) => {
        const { line = 1, column = 1 } = places[index] ?? {};
        return { ...field, line, column };
      });
      return {
        mistakes:
          mistakes.length > 0 ? mistakes : [{ pointer: "", message: error.message, line: 1, column: 1 }],
      };
    }
  }

  async #refuseUnknownSecrets(
    tenant: string,
    parsed: Parsed,
    references: readonly SecretReference[],
  ): Promise<void> {
    if (references.length === 0) return;
    const names = [...new Set(references.map(({ name }) => name))];
    const { sql, secrets } = this.#parts;
    const missing = await sql.tenant(tenant, (tx: ConfigurationTx) => secrets.missing(tx, tenant, names));
    const unknown = references.filter(({ name }) => missing.includes(name));
    if (unknown.length === 0) return;
    const fields = unknown.map(({ name, pointer }) => ({
      pointer,
      message: `refers to ${name}, which is not there`,
    }));
    throw invalid(mistakesOf(parsed, fields), "config_secret_unknown");
  }

  async #holdAgainstSchema(tenant: string, binding: Binding, parsed: Parsed): Promise<SchemaRef | undefined> {
    const { schema_subject: subject, schema_version: version } = binding;
    if (subject === null) return undefined;
    const { schemas, secrets } = this.#parts;
    const inForce = await schemas.inForce(tenant, subject, version ?? undefined);
    if (!inForce)
      throw new HotSwapError("schema_not_found", `The schema ${subject} is not in force any more.`);
    const fields = inForce.validator.violations(await secrets.resolve(tenant, parsed.value), "");
    if (!fields) return { subject, version: inForce.version };
    const because = `; the schema is ${subject} version ${inForce.version}`;
    throw invalid(mistakesOf(parsed, fields), "config_schema_violated", because);
  }
}

/** Texts below names like `password` that stand in the document itself. */
function literalSecrets(value: Json): Warning[] {
  const warnings: Warning[] = [];
  const visit = (at: Json, pointer: string, isSecret: boolean): void => {
    if (warnings.length >= warningsMax || isReference(at)) return;
    if (typeof at === "string" && isSecret && at !== "" && !at.includes("${secret:")) {
      warnings.push({ pointer, message: "looks like a secret; set it as one and refer to it" });
    } else if (Array.isArray(at)) {
      for (const [index, inner] of at.entries()) visit(inner, `${pointer}/${index}`, isSecret);
    } else if (isObject(at)) {
      for (const [name, inner] of Object.entries(at)) {
        visit(inner, `${pointer}/${pointerToken(name)}`, isSecret || isSecretName(name));
      }
    }
  };
  visit(value, "", false);
  return warnings;
}
