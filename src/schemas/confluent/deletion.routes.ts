/**
 * Deleting, as clients of the Confluent registry do it: first a version goes out of force, then, when they ask for it
 * with `permanent`, it is gone. Neither while a topic, a configuration or another schema uses it: they would break.
 */
import { Type } from "typebox";
import type { Actor } from "../../platform/http/change.ts";
import { type Route, route } from "../../platform/http/route.ts";
import { isInForce } from "../lifecycle.ts";
import { subjectName } from "../schemas.schema.ts";
import { inUse, type Schemas, type UsageOptions } from "../schemas.ts";
import type { VersionRow } from "../tables.ts";
import { one, visible } from "./visible.ts";
import * as wire from "./wire.ts";

const write = {
  ...wire.surface,
  method: "DELETE",
  permission: "schemas.write",
  query: wire.query,
  errors: ["schema_not_found", "schema_in_use", "schema_state_refused"],
} as const;
const everything = { deleted: "true" } as const;

export function deletionRoutes(schemas: Schemas): Route[] {
  return [
    route({
      ...write,
      id: "schemas.registry.deleteSubject",
      path: "/subjects/{subject}",
      summary: "Take all versions of a subject out of force, or away for good (Confluent registry)",
      audit: { action: "schema.withdraw" },
      params: Type.Object({ subject: subjectName }),
      response: Type.Array(Type.Integer()),
      handler: async (context) => {
        const { principal, requestId, params, query } = context;
        const { subject } = params;
        const permanent = wire.isSet(query.permanent);
        const { tenant } = principal;
        const rows = await visible(schemas, tenant, subject, permanent ? everything : {});
        if (permanent && rows.some(({ state }) => isInForce(state))) {
          const detail = `Subject '${subject}' was not deleted first before being permanently deleted.`;
          throw wire.failure("schema_not_found", wire.subjectNotSoftDeleted, detail);
        }
        if (!permanent)
          for (const row of rows) await refuseUsed(schemas, row, { going: subject, caller: context });
        for (const row of rows)
          await end(schemas, { principal, requestId }, row, permanent, { going: subject });
        return wire.reply(rows.map(({ version }) => version));
      },
    }),
    route({
      ...write,
      id: "schemas.registry.deleteVersion",
      path: "/subjects/{subject}/versions/{version}",
      summary: "Take a version out of force, or away for good (Confluent registry)",
      audit: { action: "schema.withdraw" },
      params: Type.Object({ subject: subjectName, version: wire.version }),
      response: Type.Integer(),
      handler: async (context) => {
        const { principal, requestId, params, query } = context;
        const { subject, version } = params;
        const permanent = wire.isSet(query.permanent);
        const row = await one(schemas, principal.tenant, subject, version, everything);
        const isDeleted = row.state === "retired";
        if (permanent !== isDeleted) {
          const [code, said] = isDeleted
            ? [wire.versionSoftDeleted, "was soft deleted. Set permanent=true to delete permanently."]
            : [wire.versionNotSoftDeleted, "was not deleted first before being permanently deleted."];
          const detail = `Subject '${subject}' Version ${row.version} ${said}`;
          throw wire.failure("schema_not_found", code, detail);
        }
        await end(schemas, { principal, requestId }, row, permanent, { caller: context });
        return wire.reply(row.version);
      },
    }),
  ];
}

/** Throws `schema_in_use`. Schemas of a subject that goes as a whole may refer to each other. */
async function refuseUsed(schemas: Schemas, row: VersionRow, options: UsageOptions): Promise<void> {
  const usage = await schemas.usage(row, options);
  if (usage.total > 0) throw inUse(row, usage);
}

async function end(
  schemas: Schemas,
  actor: Actor,
  row: VersionRow,
  permanent: boolean,
  options: UsageOptions,
): Promise<void> {
  if (permanent) await schemas.delete(actor, row.id);
  else await schemas.end(actor, row.id, "withdraw", options);
}
