/** Who makes a request, as the token says; immutable for the life of the request. */
import type { Role } from "../access/permissions.ts";

export interface Principal {
  /** `sub` of the token; "anonymous" on public routes. */
  subject: string;
  tenant: string;
  roles: readonly Role[];
  /** Attributes for conditions, such as environment; from the claim `attributes`. */
  attributes: Readonly<Record<string, string>>;
  /** Epoch seconds at which the token ends. */
  expiresAt: number;
}

export const anonymous: Principal = {
  subject: "anonymous",
  tenant: "",
  roles: [],
  attributes: {},
  expiresAt: Number.POSITIVE_INFINITY,
};
