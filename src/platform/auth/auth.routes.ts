/** The embedded issuer's public keys, for whoever wants to verify HotSwap's tokens. */
import { Type } from "typebox";
import { Reply, type Route, route } from "../http/route.ts";
import type { Issuer } from "./issuer.ts";

const Key = Type.Object(
  {
    kty: Type.String(),
    crv: Type.String(),
    x: Type.String({ description: "Public key, base64url." }),
    kid: Type.String(),
    use: Type.String(),
    alg: Type.String(),
  },
  { additionalProperties: false },
);

export function authRoutes(issuer: Pick<Issuer, "jwks">): Route[] {
  return [
    route({
      id: "auth.keys.list",
      method: "GET",
      path: "/.well-known/jwks.json",
      summary: "Public keys of the embedded issuer (RFC 7517)",
      permission: "public",
      audit: { none: "reads only" },
      response: Type.Object({ keys: Type.Array(Key) }, { additionalProperties: false }),
      handler: () => new Reply(issuer.jwks, { headers: { "cache-control": "public, max-age=300" } }),
    }),
  ];
}
