/** Against a real OpenID provider (the npm package oidc-provider), which issues JWT access tokens. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { ManualClock, systemClock } from "../../core/clock.ts";
import { hasCode } from "../../core/errors.ts";
import { type OidcOptions, oidcIssuer } from "./oidc.ts";
import { Verifier } from "./verifier.ts";

const audience = "https://hotswap.example/api";
type Provider = new (issuer: string, configuration: object) => { callback(): RequestListener };
// The package ships no types; a name that is not a literal keeps the compiler from asking for them.
const packageName: string = "oidc-provider";
const { default: Provider } = (await import(packageName)) as { default: Provider };

const makeKey = (kid: string) => ({
  ...generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" }),
  kid,
  use: "sig",
  alg: "RS256",
});

// It warns of what only a provider in production would need.
console.warn = console.info = () => {};

/** A provider whose tokens carry `claims`; counts the requests for its keys. */
async function startProvider(t: TestContext, claims: object) {
  const server: Server = createServer((request, response) => {
    if (request.url === "/jwks") keyReads += 1;
    if (down) return void request.socket.destroy();
    callback(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let keyReads = 0;
  let down = false;
  let callback: RequestListener;
  const useKey = (key: object) => {
    callback = new Provider(issuer, configuration(key, claims)).callback();
  };
  useKey(makeKey("first"));
  const token = async () => {
    const response = await fetch(`${issuer}/token`, {
      method: "POST",
      headers: { authorization: `Basic ${Buffer.from("service:secret").toString("base64")}` },
      body: new URLSearchParams({ grant_type: "client_credentials", resource: audience }),
    });
    const { access_token: text } = (await response.json()) as { access_token: string };
    return `Bearer ${text}`;
  };
  return {
    issuer,
    token,
    useKey,
    keyReads: () => keyReads,
    setDown: (value: boolean) => {
      down = value;
    },
  };
}

function configuration(key: object, claims: object) {
  return {
    jwks: { keys: [key] },
    clients: [
      {
        client_id: "service",
        client_secret: "secret",
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
      },
    ],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ scope: "", audience, accessTokenFormat: "jwt", accessTokenTTL: 600 }),
      },
    },
    extraTokenClaims: () => claims,
    cookies: { keys: ["test"] },
  };
}

const keycloakClaims = { realm_access: { roles: ["producer", "offline_access"] }, tenant: "acme" };

async function setUp(t: TestContext, options: Partial<OidcOptions> = {}, claims: object = keycloakClaims) {
  const provider = await startProvider(t, claims);
  const clock = new ManualClock(systemClock.now());
  const trusted = oidcIssuer({
    issuer: provider.issuer,
    audience,
    clock,
    rolesClaim: "realm_access.roles",
    ...options,
  });
  const verify = async (token: string) =>
    new Verifier({ issuers: [trusted], clock }).verify(token, "192.0.2.7");
  return { provider, clock, verify };
}

test("a token of the provider is a principal, with roles as Keycloak writes them", async (t) => {
  const { provider, verify } = await setUp(t);
  const principal = await verify(await provider.token());
  assert.equal(principal.subject, "service");
  assert.equal(principal.tenant, "acme");
  assert.deepEqual(principal.roles, ["producer"]);
});

test("roles can be mapped, and a tenant be set for issuers that know none", async (t) => {
  const claims = { "https://acme.example/groups": "hs-admins users admin" };
  const options: Partial<OidcOptions> = {
    rolesClaim: "https://acme.example/groups",
    roleMap: { "hs-admins": "operator", users: "viewer" },
    defaultTenant: "everyone",
  };
  const { provider, verify } = await setUp(t, options, claims);
  const principal = await verify(await provider.token());
  assert.deepEqual(principal.roles, ["operator", "viewer"], "a role that the map leaves out does not count");
  assert.equal(principal.tenant, "everyone");
});

test("without a tenant, of another audience, or of an algorithm not allowed, it is refused", async (t) => {
  const { provider, verify } = await setUp(t, {}, {});
  const token = await provider.token();
  const isInvalid = (error: unknown) => hasCode(error, "token_invalid");
  await assert.rejects(verify(token), isInvalid);
  for (const options of [{ audience: "other" }, { algorithms: ["ES256"] }]) {
    const clock = new ManualClock(systemClock.now());
    const trusted = oidcIssuer({
      issuer: provider.issuer,
      audience,
      clock,
      defaultTenant: "acme",
      ...options,
    });
    const verifier = new Verifier({ issuers: [trusted], clock });
    await assert.rejects(async () => verifier.verify(token, undefined), isInvalid);
  }
});

test("a rotated key is found, but unknown keys make it ask once per cool-down only", async (t) => {
  const { provider, verify, clock } = await setUp(t);
  const old = await provider.token();
  await verify(old);
  assert.equal(provider.keyReads(), 1);

  provider.useKey(makeKey("second"));
  const rotated = await provider.token();
  await assert.rejects(verify(rotated), (error) => hasCode(error, "token_invalid"));
  assert.equal(provider.keyReads(), 1, "within the cool-down nothing is fetched");

  clock.advance(30_000);
  const all = await Promise.all([verify(rotated), verify(rotated), verify(rotated)]);
  assert.equal(all.length, 3);
  assert.equal(provider.keyReads(), 2, "those who come together ask once");
  await assert.rejects(
    verify(old),
    (error) => hasCode(error, "token_invalid"),
    "a withdrawn key counts no more",
  );
});

test("while the provider is down known keys go on counting, for an hour", async (t) => {
  const { provider, verify, clock } = await setUp(t);
  const isUnavailable = (error: unknown) => {
    assert.ok(hasCode(error, "issuer_unavailable"));
    assert.ok(error.retryAfterMs! > 0);
    return true;
  };
  const token = await provider.token();
  provider.setDown(true);
  await assert.rejects(verify(token), isUnavailable);
  provider.setDown(false);
  await assert.rejects(verify(token), isUnavailable, "it does not ask again at once");
  clock.advance(1_000);
  await verify(token);

  provider.setDown(true);
  clock.advance(3_600_000 - 1_000);
  clock.jump(systemClock.now()); // wall time is of no interest here, and the token must not expire
  await verify(token);
  clock.advance(1_000);
  clock.jump(systemClock.now());
  await assert.rejects(verify(token), isUnavailable);
});

test("a discovery document of another issuer is not believed", async (t) => {
  const { provider } = await setUp(t);
  const token = await provider.token();
  const clock = new ManualClock(systemClock.now());
  const lying: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (!String(input).includes("openid-configuration")) return response;
    const document = (await response.json()) as object;
    return new Response(JSON.stringify({ ...document, issuer: "https://evil.example" }));
  };
  const trusted = oidcIssuer({
    issuer: provider.issuer,
    audience,
    clock,
    defaultTenant: "acme",
    fetch: lying,
  });
  const verifier = new Verifier({ issuers: [trusted], clock });
  await assert.rejects(
    async () => verifier.verify(token, undefined),
    (error) => hasCode(error, "issuer_unavailable"),
  );
});
