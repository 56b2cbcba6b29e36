/**
 * What names a secret: routes as they are, and versions of them that a deployment has begun to serve. Earlier
 * revisions, and deployments that have not begun, do not keep it. Runs inside the caller's transaction.
 */
import { sql } from "kysely";
import type { GatewayTx } from "./revisions.sql.ts";

export interface SecretUse {
  readonly route: string;
  readonly deployment?: string;
}

const usesMax = 100;

export async function selectSecretUses(tx: GatewayTx, tenant: string, secret: string): Promise<SecretUse[]> {
  const tls = { clientCertificate: { $secret: secret } };
  const ofAll = JSON.stringify({ connection: { tls } });
  const ofOne = JSON.stringify({ backends: [{ tls }] });
  const routes = tx
    .selectFrom("gateway_routes")
    .where("gateway_routes.tenant_id", "=", tenant)
    .where("until_revision", "is", null)
    .orderBy(sql`name collate "C"`)
    .limit(usesMax);
  const own = await routes
    .select("name as route")
    .where(sql<boolean>`(gateway_routes.spec @> ${ofAll}::jsonb or gateway_routes.spec @> ${ofOne}::jsonb)`)
    .execute();
  const deployed = await routes
    .innerJoin("gateway_splits as split", (join) =>
      join
        .onRef("split.tenant_id", "=", "gateway_routes.tenant_id")
        .onRef("split.route", "=", "gateway_routes.id")
        .on("split.active", "=", true),
    )
    .innerJoin("gateway_route_versions as version", (join) =>
      join
        .onRef("version.tenant_id", "=", "split.tenant_id")
        .onRef("version.route", "=", "split.route")
        .onRef("version.hash", "=", "split.to_hash"),
    )
    .select(["name as route", "split.deployment"])
    .where(sql<boolean>`(version.spec @> ${ofAll}::jsonb or version.spec @> ${ofOne}::jsonb)`)
    .execute();
  return [...own, ...deployed];
}
