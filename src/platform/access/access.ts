/**
 * May this principal do this, to this resource? Pure: the answer depends on the arguments and the table in
 * permissions.ts only. Three conditions, each of which can only take away:
 *
 * - one of the principal's roles has the permission (`admin` has all);
 * - the resource is of the principal's tenant, for every role;
 * - the resource fits each restriction that the token carries: `environment`, and `label.<name>`. A
 *   restriction holds one value or several with commas between them. A resource without that attribute
 *   does not fit.
 *
 * The HTTP edge checks before anything is read, with a resource that has no attributes, so that a restricted
 * token is refused by every route but those that say that they check the resource themselves.
 */
import { HotSwapError } from "../../core/errors.ts";
import type { Principal } from "../auth/principal.ts";
import { type Permission, permissions, type Role } from "./permissions.ts";

/** What conditions can be about. */
export interface Resource {
  tenant?: string;
  environment?: string | undefined;
  labels?: Readonly<Record<string, string>>;
}

export type Decision = { allowed: true } | { allowed: false; reason: string };

const allowed: Decision = { allowed: true };

export function hasPermission(roles: readonly Role[], permission: Permission): boolean {
  const holders: readonly Role[] = permissions[permission];
  for (const role of roles) if (role === "admin" || holders.includes(role)) return true;
  return false;
}

export function decide(principal: Principal, permission: Permission, resource?: Resource): Decision {
  if (!hasPermission(principal.roles, permission)) {
    return { allowed: false, reason: `the token's roles do not include it` };
  }
  if (!resource) return allowed;
  if (resource.tenant !== undefined && resource.tenant !== principal.tenant) {
    return { allowed: false, reason: "the resource is of another tenant" };
  }
  for (const name in principal.attributes) {
    const values = principal.attributes[name]!;
    if (fits(name, values, resource)) continue;
    return { allowed: false, reason: `the token is restricted to ${name} ${values}` };
  }
  return allowed;
}

/** Throws `permission_denied`, naming the permission, unless `decide` allows. */
export function authorize(principal: Principal, permission: Permission, resource?: Resource): void {
  const decision = decide(principal, permission, resource);
  if (decision.allowed) return;
  throw new HotSwapError("permission_denied", `${permission} is needed; ${decision.reason}.`, {
    data: { permission },
  });
}

/** An attribute that is not understood may be a restriction, so nothing fits it. */
function fits(name: string, values: string, resource: Resource): boolean {
  const value = name === "environment" ? resource.environment : labelOf(name, resource);
  return value !== undefined && values.split(",").some((one) => one.trim() === value);
}

function labelOf(name: string, { labels }: Resource): string | undefined {
  if (!labels || !name.startsWith("label.")) return undefined;
  const label = name.slice("label.".length);
  return Object.hasOwn(labels, label) ? labels[label] : undefined;
}
