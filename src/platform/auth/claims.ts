/**
 * From the claims of a verified token to a Principal. What HotSwap acts on is checked here, whoever signed
 * it: a tenant named `*` would see all tenants' rows, and an attribute that is not understood could be a
 * restriction, so either one refuses the token instead of widening it. Roles of other systems are left
 * out.
 */
import type { JWTPayload } from "jose";
import { HotSwapError } from "../../core/errors.ts";
import { roles as knownRoles, type Role } from "../access/permissions.ts";
import type { Principal } from "./principal.ts";

export interface ClaimMapping {
  /** Name of the claim, or a path into it such as `realm_access.roles` (Keycloak). */
  rolesClaim: string;
  /**
   * Issuer's role to HotSwap's. With a map, only roles named in it count; without, roles of the same name.
   */
  roleMap?: Readonly<Record<string, Role>> | undefined;
  tenantClaim: string;
  /** For issuers that know no tenants; without it a token must name one. */
  defaultTenant?: string | undefined;
  attributesClaim: string;
}

export const embeddedMapping: ClaimMapping = {
  rolesClaim: "roles",
  tenantClaim: "tenant",
  attributesClaim: "attributes",
};

const tenantPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const subjectPattern = /^(?!system:)[^\p{Cc}]{1,256}$/u;
const attributePattern = /^(environment|label\.[\w.-]{1,63})$/;

export const isTenant = (value: unknown): value is string =>
  typeof value === "string" && tenantPattern.test(value);

/** `system:` is reserved for what the server does by itself, so that an audit entry cannot be mistaken. */
export const isSubject = (value: unknown): value is string =>
  typeof value === "string" && subjectPattern.test(value);

export function isAttributes(value: unknown): value is Record<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const entries = Object.entries(value);
  const fits = ([name, text]: [string, unknown]) =>
    attributePattern.test(name) && typeof text === "string" && text.length > 0 && text.length <= 256;
  return entries.length <= 16 && entries.every(fits);
}

export function toPrincipal(payload: JWTPayload, mapping: ClaimMapping): Principal {
  const tenant = claimAt(payload, mapping.tenantClaim) ?? mapping.defaultTenant;
  const attributes = claimAt(payload, mapping.attributesClaim) ?? {};
  if (!isSubject(payload.sub)) throw refused("`sub` is missing or is not a name that can be used");
  if (!isTenant(tenant)) throw refused(`\`${mapping.tenantClaim}\` does not name a tenant`);
  if (!isAttributes(attributes)) {
    throw refused(
      `\`${mapping.attributesClaim}\` may hold \`environment\` and \`label.<name>\` only, as text`,
    );
  }
  return Object.freeze({
    subject: payload.sub,
    tenant,
    roles: Object.freeze(rolesIn(claimAt(payload, mapping.rolesClaim), mapping.roleMap)),
    attributes: Object.freeze({ ...attributes }),
    expiresAt: payload.exp ?? 0,
  });
}

function rolesIn(claim: unknown, map: ClaimMapping["roleMap"]): Role[] {
  const names = typeof claim === "string" ? claim.split(/[ ,]+/) : Array.isArray(claim) ? claim : [];
  const toRole = (name: unknown): Role | undefined => {
    if (typeof name !== "string") return undefined;
    if (map) return Object.hasOwn(map, name) ? map[name] : undefined;
    return knownRoles.find((role) => role === name);
  };
  return [...new Set(names.map(toRole).filter((role) => role !== undefined))];
}

/** The whole name first, because issuers also use URLs, dots included, as names of claims. */
function claimAt(payload: JWTPayload, path: string): unknown {
  if (Object.hasOwn(payload, path)) return payload[path];
  let value: unknown = payload;
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

function refused(reason: string): HotSwapError {
  return new HotSwapError("token_invalid", `In the token ${reason}.`);
}
