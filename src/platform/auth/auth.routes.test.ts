import assert from "node:assert/strict";
import { test } from "node:test";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { systemClock } from "../../core/clock.ts";
import { authRoutes } from "./auth.routes.ts";
import { Issuer } from "./issuer.ts";
import { testSecrets, testServer } from "./testing.ts";

test("anybody can verify HotSwap's tokens with the keys at /.well-known/jwks.json", async (t) => {
  const issuer = await Issuer.open({ secrets: await testSecrets(t), clock: systemClock, mode: "production" });
  const call = await testServer(t, authRoutes(issuer));
  const answer = await call("GET", "/.well-known/jwks.json", { headers: { authorization: "" } });
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.json, issuer.jwks);
  const token = await issuer.mint({ subject: "ann", tenant: "acme", roles: ["viewer"], ttlSeconds: 60 });
  const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(answer.url)), {
    issuer: "hotswap",
    audience: "hotswap",
  });
  assert.equal(payload.sub, "ann");
});
