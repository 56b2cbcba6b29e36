import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { decodeJwt, SignJWT, UnsecuredJWT } from "jose";
import type { ErrorCode } from "../../core/catalogue.ts";
import { ManualClock } from "../../core/clock.ts";
import { hasCode } from "../../core/errors.ts";
import { Issuer, type IssuerOptions, type TokenRequest } from "./issuer.ts";
import { openKeyRing } from "./key-ring.ts";
import type { Principal } from "./principal.ts";
import { testSecrets } from "./testing.ts";
import { isLoopback, Verifier, type VerifierOptions } from "./verifier.ts";

const request: TokenRequest = { subject: "ann", tenant: "acme", roles: ["producer"], ttlSeconds: 60 };
const here = "127.0.0.1";
const elsewhere = "192.0.2.7";

async function setUp(
  t: TestContext,
  issuerOptions: Partial<IssuerOptions> = {},
  options: Partial<VerifierOptions> = {},
) {
  const clock = new ManualClock();
  const secrets = await testSecrets(t);
  const issuer = await Issuer.open({ secrets, clock, mode: "production", ...issuerOptions });
  const verifier = new Verifier({ issuers: [issuer.trusted()], clock, ...options });
  const verify = async (token: string, address: string | undefined = elsewhere) =>
    verifier.verify(`Bearer ${token}`, address);
  /** A token of the issuer's own key, with claims that `mint` would not write. */
  const forge = async (claims: Record<string, unknown>) => {
    const ring = await openKeyRing(secrets, issuer.development ? "auth/issuer-development" : "auth/issuer");
    const good = decodeJwt(await issuer.mint(request));
    const token = new SignJWT({ ...good, ...claims });
    return token.setProtectedHeader({ alg: "EdDSA", kid: ring.keyId }).sign(ring.privateKey);
  };
  return { clock, secrets, issuer, verifier, verify, forge };
}

const refusedWith = (code: ErrorCode, detail?: RegExp) => (error: unknown) => {
  assert.ok(hasCode(error, code), `${error}`);
  if (detail) assert.match(error.message, detail);
  return true;
};

test("a minted token is its principal, and synchronously so at the second use", async (t) => {
  const { issuer, verifier, clock } = await setUp(t);
  const token = await issuer.mint({ ...request, attributes: { environment: "staging,dev" } });
  const first = verifier.verify(`Bearer ${token}`, elsewhere);
  assert.ok(first instanceof Promise);
  const principal: Principal = await first;
  assert.deepEqual(principal, {
    subject: "ann",
    tenant: "acme",
    roles: ["producer"],
    attributes: { environment: "staging,dev" },
    expiresAt: clock.now() / 1000 + 60,
  });
  assert.equal(verifier.verify(`Bearer ${token}`, elsewhere), principal);
});

test("without a token, or with what is none", async (t) => {
  const { verifier } = await setUp(t);
  assert.throws(() => verifier.verify(undefined, here), refusedWith("token_missing"));
  assert.throws(() => verifier.verify("", here), refusedWith("token_missing"));
  for (const header of [
    "Basic YTpi",
    "Bearer",
    "Bearer a.b",
    "Bearer a.b.c",
    "Bearer ..",
    `Bearer ${"a".repeat(9000)}.b.c`,
  ]) {
    await assert.rejects(async () => verifier.verify(header, here), refusedWith("token_invalid"));
  }
});

test("any text at all is refused with a code of the catalogue", async (t) => {
  const { verifier, issuer } = await setUp(t);
  const parts = (await issuer.mint(request)).split(".");
  const somePart = fc.oneof(fc.constantFrom(...parts), fc.base64String(), fc.string());
  const someHeader = fc.oneof(
    fc.string(),
    fc.tuple(somePart, somePart, somePart).map((p) => `Bearer ${p.join(".")}`),
  );
  const property = fc.asyncProperty(someHeader, async (header) => {
    if (header === `Bearer ${parts.join(".")}`) return;
    await assert.rejects(
      async () => verifier.verify(header, here),
      (error) => hasCode(error, "token_invalid") || hasCode(error, "token_missing"),
    );
  });
  await fc.assert(property, { numRuns: 300 });
});

test("a token whose text is changed anywhere is refused", async (t) => {
  const { verify, issuer } = await setUp(t);
  const token = await issuer.mint(request);
  await verify(token); // so that it is in the cache, under the end of its signature
  const property = fc.asyncProperty(
    fc.nat(token.length - 1),
    fc.constantFrom(..."Aq_9-"),
    async (at, letter) => {
      const changed = token.slice(0, at) + letter + token.slice(at + 1);
      // The last letter of the signature carries bits that base64url does not use.
      if (changed === token || at === token.length - 1) return;
      await assert.rejects(verify(changed), refusedWith("token_invalid"));
    },
  );
  await fc.assert(property);
});

test("expiry counts at every use, in the cache too, with the tolerance", async (t) => {
  const { verify, verifier, issuer, clock } = await setUp(t, {}, { clockToleranceSeconds: 5 });
  const token = await issuer.mint(request);
  const late = await issuer.mint({ ...request, subject: "bob" });
  await verify(token);
  clock.advance(64_999);
  await verify(token);
  await verify(late);
  clock.advance(1);
  assert.throws(() => verifier.verify(`Bearer ${token}`, elsewhere), refusedWith("token_expired"));
  const unseen = new Verifier({ issuers: [issuer.trusted()], clock, clockToleranceSeconds: 5 });
  await assert.rejects(async () => unseen.verify(`Bearer ${late}`, elsewhere), refusedWith("token_expired"));
});

test("a token that is not valid yet is refused", async (t) => {
  const { verify, forge, clock } = await setUp(t);
  const token = await forge({ nbf: clock.now() / 1000 + 20 });
  await assert.rejects(verify(token), refusedWith("token_invalid", /`nbf`/));
  clock.advance(20_000);
  assert.equal((await verify(token)).subject, "ann");
});

test("a token of another key, audience or issuer, or without a signature, is refused", async (t) => {
  const { verify, issuer, forge, clock } = await setUp(t);
  const stranger = await setUp(t);
  await assert.rejects(verify(await stranger.issuer.mint(request)), refusedWith("token_invalid"));
  await assert.rejects(verify(await forge({ aud: "other" })), refusedWith("token_invalid", /`aud`/));
  await assert.rejects(verify(await forge({ iss: "other" })), refusedWith("token_invalid", /not trusted/));
  await assert.rejects(verify(await forge({ iss: 7 })), refusedWith("token_invalid", /not trusted/));
  await assert.rejects(verify(await forge({ exp: undefined })), refusedWith("token_invalid", /`exp`/));
  const claims = decodeJwt(await issuer.mint(request));
  const unsigned = new UnsecuredJWT(claims).encode();
  await assert.rejects(verify(`${unsigned}AA`), refusedWith("token_invalid"));
  // The classic: the public key, which everybody knows, used as the secret of an HMAC.
  const secret = Buffer.from(JSON.stringify(issuer.jwks.keys[0]));
  const confused = await new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", kid: issuer.jwks.keys[0]!.kid! })
    .setExpirationTime(clock.now() / 1000 + 60)
    .sign(secret);
  await assert.rejects(verify(confused), refusedWith("token_invalid"));
});

test("claims that would widen what a token may do are refused", async (t) => {
  const { verify, forge } = await setUp(t);
  const refused: Record<string, unknown>[] = [
    { tenant: "*" },
    { tenant: "" },
    { tenant: undefined },
    { tenant: ["acme"] },
    { sub: "system:sweep" },
    { sub: "a\u0000b" },
    { sub: "" },
    { attributes: "environment" },
    { attributes: { enviroment: "staging" } },
    { attributes: { environment: ["staging"] } },
    { attributes: { environment: "" } },
  ];
  for (const claims of refused) {
    await assert.rejects(verify(await forge(claims)), refusedWith("token_invalid"), JSON.stringify(claims));
  }
  const principal = await verify(await forge({ roles: ["viewer", "root", 7, "viewer", "__proto__"] }));
  assert.deepEqual(principal.roles, ["viewer"]);
});

test("development tokens count on loopback only, cached or not", async (t) => {
  const { verify, verifier, issuer } = await setUp(t, { mode: "development" });
  const token = await issuer.mint(request);
  assert.equal(decodeJwt(token).iss, "hotswap-development");
  await assert.rejects(verify(token, elsewhere), refusedWith("token_invalid", /same machine/));
  assert.equal((await verify(token, here)).subject, "ann");
  assert.throws(
    () => verifier.verify(`Bearer ${token}`, elsewhere),
    refusedWith("token_invalid", /same machine/),
  );
  assert.throws(() => verifier.verify(`Bearer ${token}`, undefined), refusedWith("token_invalid"));
});

test("production takes neither development tokens nor a development key", async (t) => {
  const { issuer, secrets, clock } = await setUp(t, { mode: "development" });
  const production = await Issuer.open({ secrets, clock, mode: "production" });
  const verifier = new Verifier({ issuers: [production.trusted()], clock });
  const token = await issuer.mint(request);
  await assert.rejects(
    async () => verifier.verify(`Bearer ${token}`, here),
    refusedWith("token_invalid", /production/),
  );

  await secrets.set("auth/issuer", (await secrets.get("auth/issuer-development"))!);
  await assert.rejects(Issuer.open({ secrets, clock, mode: "production" }), refusedWith("setting_invalid"));
  const named = Issuer.open({ secrets, clock, mode: "production", name: "hotswap-development" });
  await assert.rejects(named, refusedWith("setting_invalid"));
});

test("what counts as loopback", () => {
  for (const address of ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
    assert.ok(isLoopback(address), address);
  for (const address of ["128.0.0.1", "10.127.0.0.1", "::ffff:10.0.0.1", "::2", "", "127.evil", undefined]) {
    assert.ok(!isLoopback(address), address);
  }
});

test("the cache is bounded and is checked anew after its age", async (t) => {
  const { verifier, verify, issuer, clock } = await setUp(t, {}, { cacheEntries: 2, cacheMaxAgeMs: 1000 });
  const [a, b, c] = await Promise.all(["a", "b", "c"].map((subject) => issuer.mint({ ...request, subject })));
  for (const token of [a!, b!, c!]) await verify(token);
  const isCached = (token: string) => {
    const answer = verifier.verify(`Bearer ${token}`, elsewhere);
    return !(answer instanceof Promise);
  };
  assert.deepEqual([isCached(b!), isCached(c!), isCached(a!)], [true, true, false]);
  clock.advance(1000);
  assert.equal(isCached(c!), false);
});

test("a key is kept, and an issuer opened again verifies older tokens", async (t) => {
  const { issuer, secrets, clock } = await setUp(t);
  const token = await issuer.mint(request);
  const again = await Issuer.open({ secrets, clock, mode: "production" });
  assert.deepEqual(again.jwks, issuer.jwks);
  const verifier = new Verifier({ issuers: [again.trusted()], clock });
  assert.equal((await verifier.verify(`Bearer ${token}`, here)).subject, "ann");
  assert.ok(
    issuer.jwks.keys.every((key) => !("d" in key)),
    "the private half stays inside",
  );
});

test("a damaged key is refused without being shown", async (t) => {
  const secrets = await testSecrets(t);
  for (const text of ["hunter2", '{"keys":[]}', '{"keys":[{"kty":"oct","k":"aHVudGVyMg"}]}']) {
    await secrets.set("auth/issuer", text);
    const opened = Issuer.open({ secrets, clock: new ManualClock(), mode: "production" });
    await assert.rejects(opened, (error: Error) => {
      assert.ok(hasCode(error, "setting_invalid"));
      assert.doesNotMatch(`${error.stack}${error.cause}`, /hunter2|aHVudGVyMg/);
      return true;
    });
  }
});

test("what the verifier would not take is not minted", async (t) => {
  const { issuer } = await setUp(t);
  const mint = (part: Partial<TokenRequest>) => issuer.mint({ ...request, ...part });
  for (const part of [
    { subject: "system:x" },
    { tenant: "*" },
    { roles: ["root" as "admin"] },
    { attributes: { region: "eu" } },
    { ttlSeconds: 0 },
    { ttlSeconds: 1.5 },
    { ttlSeconds: 1e9 },
  ]) {
    await assert.rejects(mint(part), refusedWith("validation_failed"), JSON.stringify(part));
  }
});
