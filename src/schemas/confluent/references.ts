/**
 * References of the Confluent registry: a schema names versions of other subjects, and `$ref` points at them by the
 * names that it gives them. They are copied in, each once, as a definition whose `$id` is its name; so a schema never
 * changes its meaning by what becomes of another, and nothing is ever fetched. What was sent is kept beside it.
 */
import { HotSwapError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import { isInForce } from "../lifecycle.ts";
import type { Schemas } from "../schemas.ts";
import type { Source, SourceReference, VersionRow } from "../tables.ts";

/** In one schema, and in all that it leads to. */
export const referencesMax = 64;
const documentsMax = 256;

/** As it is sent: of version -1 the latest is meant. */
export type GivenReference = SourceReference;

interface Bundle {
  text: string;
  /** Undefined of a schema without references. */
  source: Source | undefined;
}

type Document = { [member: string]: Json };

/** Throws `schema_invalid` with a pointer to the reference that leads nowhere. */
export async function bundle(
  schemas: Schemas,
  tenant: string,
  text: string,
  given: readonly GivenReference[],
): Promise<Bundle> {
  if (given.length === 0) return { text, source: undefined };
  const root: Json = JSON.parse(text);
  if (!isDocument(root)) throw refused("/schema", "must be an object, as it has references");
  const found = new Map<string, { of: string; document: Document }>();
  const references = await gather(schemas, tenant, given, found, undefined);
  const keyword = String(root.$schema ?? "").includes("draft-07") ? "definitions" : "$defs";
  const own = root[keyword] ?? {};
  if (!isDocument(own)) throw refused(`/schema/${keyword}`, "must be an object");
  const definitions: Document = { ...own };
  for (const [name, { document }] of found) {
    if (Object.hasOwn(own, name)) throw refused(`/schema/${keyword}`, `has the name of a reference: ${name}`);
    if (document.$schema !== undefined && document.$schema !== root.$schema)
      throw refused("/references", `leads to ${name}, which is of another draft of JSON Schema`);
    const { $schema: _, ...rest } = document;
    definitions[name] = { ...rest, $id: name };
  }
  const bundled = JSON.stringify({ ...root, [keyword]: definitions });
  return { text: bundled, source: { text, references } };
}

/** Adds what these lead to, and what that leads to; gives them with their versions as numbers. */
async function gather(
  schemas: Schemas,
  tenant: string,
  given: readonly GivenReference[],
  found: Map<string, { of: string; document: Document }>,
  /** The reference of the request that led here. */
  from: string | undefined,
): Promise<SourceReference[]> {
  const resolved: SourceReference[] = [];
  for (const [index, { name, subject, version }] of given.entries()) {
    const pointer = from ?? `/references/${index}`;
    const row = await versionOf(schemas, tenant, subject, version);
    if (!row) throw refused(pointer, `leads to version ${version} of ${subject}, which is not in force`);
    resolved.push({ name, subject, version: row.version });
    const of = `${subject} version ${row.version}`;
    const known = found.get(name);
    if (known && known.of !== of) throw refused(pointer, `calls ${of} what is also ${known.of}: ${name}`);
    if (known) continue;
    if (found.size >= documentsMax) throw refused(pointer, `leads to more than ${documentsMax} schemas`);
    const document: Json = JSON.parse(row.source ?? row.text);
    if (!isDocument(document)) throw refused(pointer, "leads to a schema that is no object");
    found.set(name, { of, document });
    await gather(schemas, tenant, row.source_references ?? [], found, pointer);
  }
  return resolved;
}

async function versionOf(schemas: Schemas, tenant: string, subject: string, version: number) {
  if (version === -1) return schemas.inForce(tenant, subject);
  const rows = await schemas.versionsOf(tenant, subject);
  return rows.find((row) => row.version === version && (isInForce(row.state) || row.state === "retired"));
}

/** As it was sent, with its references. */
export function sourceOf({ text, source, source_references: references }: SourceColumns) {
  return { schema: source ?? text, ...(references && { references }) };
}
type SourceColumns = Pick<VersionRow, "text" | "source" | "source_references">;

const isDocument = (value: Json): value is Document =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function refused(pointer: string, message: string): HotSwapError {
  const detail = `The schema's ${pointer.slice(1)} ${message}.`;
  return new HotSwapError("schema_invalid", detail, { fields: [{ pointer, message }] });
}
