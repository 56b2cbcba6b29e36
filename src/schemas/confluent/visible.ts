/**
 * Which versions the Confluent registry's surface shows: those in force. What its clients call deleted is retired, and
 * shown when they ask for it; what they delete for good is gone.
 */
import { isInForce, type SchemaState } from "../lifecycle.ts";
import type { Schemas } from "../schemas.ts";
import type { VersionRow } from "../tables.ts";
import * as wire from "./wire.ts";

interface Which {
  deleted?: wire.Flag;
  deletedOnly?: wire.Flag;
  deleted_only?: wire.Flag;
}

const inForce = ["approved", "deprecated"] as const satisfies SchemaState[];

export function statesOf({ deleted, deletedOnly, deleted_only }: Which): readonly SchemaState[] {
  if (wire.isSet(deletedOnly ?? deleted_only)) return ["retired"];
  return wire.isSet(deleted) ? [...inForce, "retired"] : inForce;
}

/** Error 40401 when there is none, 40404 when there is only what was deleted. */
export async function visible(
  schemas: Schemas,
  tenant: string,
  subject: string,
  which: Which = {},
): Promise<VersionRow[]> {
  const states = statesOf(which);
  const all = await schemas.versionsOf(tenant, subject);
  const rows = all.filter(({ state }) => states.includes(state));
  if (rows.length > 0) return rows;
  if (all.some(({ state }) => state === "retired")) {
    const detail = `Subject '${subject}' was soft deleted. Set permanent=true to delete permanently.`;
    throw wire.failure("schema_not_found", wire.subjectSoftDeleted, detail);
  }
  throw wire.failure("schema_not_found", wire.subjectNotFound, `Subject '${subject}' not found.`);
}

/** Error 40402 when there is no such version, 42202 when it is no number. */
export async function one(
  schemas: Schemas,
  tenant: string,
  subject: string,
  wanted: string,
  which: Which = {},
): Promise<VersionRow> {
  const rows = await visible(schemas, tenant, subject, which);
  if (wanted === "latest" || wanted === "-1")
    return (
      rows.findLast(({ state }) => state === "approved") ??
      rows.findLast(({ state }) => isInForce(state)) ??
      rows.at(-1)!
    );
  if (!/^[1-9]\d{0,9}$/.test(wanted))
    throw wire.failure("validation_failed", wire.invalidVersion, "The version must be a number or `latest`.");
  const row = rows.find((candidate) => candidate.version === Number(wanted));
  if (row) return row;
  throw wire.failure("schema_not_found", wire.versionNotFound, `Version ${wanted} not found.`);
}
