/**
 * What the verifier knows of an issuer: which key, audience and algorithms count, and what its claims mean.
 */
import type { JWTVerifyGetKey } from "jose";
import type { ClaimMapping } from "./claims.ts";

/** `iss` of development tokens. */
export const developmentIssuer = "hotswap-development";

export interface TrustedIssuer {
  /** `iss`, compared exactly. */
  name: string;
  audience: string;
  /** Allow-list of signature algorithms (JWA names). */
  algorithms: readonly string[];
  /** Tokens count on loopback connections only. */
  development: boolean;
  mapping: ClaimMapping;
  /** Resolves a token's header to the key; may fetch. */
  key: JWTVerifyGetKey;
}
