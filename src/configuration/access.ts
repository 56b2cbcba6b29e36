/** Tokens may be restricted to environments and labels: a configuration is where such a restriction is held against. */
import { authorize, decide } from "../platform/access/access.ts";
import type { Permission } from "../platform/access/permissions.ts";
import type { Principal } from "../platform/auth/principal.ts";

export interface Restricted {
  environment: string;
  labels: Readonly<Record<string, string>>;
}

/** Throws `permission_denied` when the token is for other environments or labels. */
export function guard(
  principal: Principal,
  permission: Permission,
  { environment, labels }: Restricted,
): void {
  authorize(principal, permission, { tenant: principal.tenant, environment, labels });
}

export function mayRead(principal: Principal, { environment, labels }: Restricted): boolean {
  return decide(principal, "configs.read", { tenant: principal.tenant, environment, labels }).allowed;
}
