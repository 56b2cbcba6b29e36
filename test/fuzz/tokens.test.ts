/**
 * Tokens that are not what they say: expired, forged, for somebody else, tampered with. None lets anybody in,
 * each gets 401 with a code of the catalogue, and nothing happens.
 */
import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { decodeJwt, decodeProtectedHeader, SignJWT } from "jose";
import { openKeyRing } from "../../src/platform/auth/key-ring.ts";
import { openSecrets } from "../../src/stores/secrets/index.ts";
import { Caller, TestServer } from "../server.ts";

let server: TestServer;
let valid: string;
/** The server's own key, as a thief or a careless issuer would use it. */
let own: { key: KeyObject; kid: string };
const stranger = generateKeyPairSync("ed25519").privateKey;

before(async () => {
  server = await TestServer.start();
  valid = await server.token({ subject: "ann", roles: ["viewer"] });
  const secrets = openSecrets({ path: join(server.data, "secrets.json") });
  await secrets.start();
  const { privateKey, keyId } = await openKeyRing(secrets, "auth/issuer-development");
  own = { key: privateKey, kid: keyId };
  await secrets.stop();
  assert.equal((await new Caller(server, await signed({})).get("/topics")).status, 200); // the way to forge works
});
after(() => server?.remove());

const now = () => Math.floor(Date.now() / 1000);

/** A token as the server makes it, but for what is changed. */
function signed(claims: object, header: object = {}, key: KeyObject | Uint8Array = own.key): Promise<string> {
  const usual = { ...decodeJwt(valid), iat: now(), exp: now() + 600 };
  const all = Object.entries({ ...usual, ...claims }).filter(([, value]) => value !== undefined);
  return new SignJWT(Object.fromEntries(all))
    .setProtectedHeader({ ...decodeProtectedHeader(valid), alg: "EdDSA", ...header })
    .sign(key);
}

async function assertStopped(
  token: string,
  code: "token_invalid" | "token_expired" = "token_invalid",
): Promise<void> {
  const caller = new Caller(server, token);
  const name = `forged.${token.length}`;
  for (const answer of [await caller.get("/topics"), await caller.post("/topics", { name })]) {
    assert.equal(answer.status, 401, answer.text);
    assert.equal(answer.json.code, code);
    assert.match(
      answer.headers.get("www-authenticate") ?? "",
      /^Bearer realm="hotswap", error="invalid_token"$/,
    );
    assert.ok(!answer.text.includes(token.slice(-20)), "the answer repeats the token");
  }
  const admin = await server.as();
  assert.equal((await admin.get(`/topics/${name}`)).status, 404);
}

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

describe("tokens signed with the right key", () => {
  const wrong: Record<string, Record<string, unknown>> = {
    "for another audience": { aud: "elsewhere" },
    "for no audience": { aud: undefined },
    "from another issuer": { iss: "https://issuer.example" },
    "as from production": { iss: "hotswap" },
    "from nobody": { iss: undefined },
    "without an end": { exp: undefined },
    "not valid yet": { nbf: now() + 3600 },
    "of nobody": { sub: undefined },
    "of the system": { sub: "system:approvals" },
    "without a tenant": { tenant: undefined },
    "of every tenant": { tenant: "*" },
    "of a tenant with a path": { tenant: "../acme" },
    "of two tenants": { tenant: ["acme", "bravo"] },
    "with a restriction that nobody knows": { attributes: { region: "eu" } },
  };
  for (const [what, claims] of Object.entries(wrong)) {
    it(`${what} are refused`, async () => assertStopped(await signed(claims)));
  }

  it("that have ended are refused as expired", async () => {
    await assertStopped(await signed({ exp: now() - 60 }), "token_expired");
    await assertStopped(await signed({ exp: 1 }), "token_expired");
  });

  it("give no role that is not one", async () => {
    for (const roles of [["root"], "superadmin", { admin: true }, [["admin"]], ["Admin"], 7]) {
      const caller = new Caller(server, await signed({ roles }));
      const { status, json } = await caller.get("/topics");
      assert.deepEqual([status, json.code], [403, "permission_denied"], JSON.stringify(roles));
    }
  });
});

describe("forged tokens", () => {
  it("of another key are refused, whatever their header says of it", async () => {
    const jwk = generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" });
    for (const header of [
      {},
      { kid: undefined },
      { kid: "../../secrets.json" },
      { kid: "' or 1=1 --" },
      { jwk },
      { jku: `${server.url}/.well-known/jwks.json` },
      { x5u: "http://127.0.0.1:1/x" },
      { crit: ["exp"], exp: 1 },
    ]) {
      await assertStopped(await signed({}, header, stranger).catch(() => "a.b.c"));
    }
  });

  it("of no algorithm are refused", async () => {
    const [, claims] = valid.split(".");
    for (const alg of ["none", "None", "NONE", "", undefined]) {
      for (const signature of ["", "x", valid.split(".")[2]]) {
        await assertStopped(`${base64({ alg, typ: "JWT" })}.${claims}.${signature}`);
      }
    }
  });

  it("that use the public key as a shared secret are refused", async () => {
    const { keys } = (await new Caller(server, undefined).get("//.well-known/jwks.json")).json;
    for (const secret of [keys[0].x, JSON.stringify(keys[0]), JSON.stringify({ keys })]) {
      await assertStopped(await signed({}, { alg: "HS256" }, Buffer.from(secret)));
    }
  });

  it("with claims of their own under a true signature are refused", async () => {
    const [header, , signature] = valid.split(".");
    await assertStopped(`${header}.${base64({ ...decodeJwt(valid), roles: ["admin"] })}.${signature}`);
    await assertStopped(
      `${base64({ ...decodeProtectedHeader(valid), kid: "other" })}.${valid.split(".")[1]}.${signature}`,
    );
  });

  it("with any one character changed are refused", async () => {
    // The last character is left out: four of its bits mean nothing.
    const place = fc.integer({ min: 0, max: valid.length - 2 });
    const character = fc.constantFrom(..."ABCDabcd0189-_.");
    const property = fc.asyncProperty(place, character, async (at, other) => {
      fc.pre(valid[at] !== other);
      const { status } = await new Caller(server, valid.slice(0, at) + other + valid.slice(at + 1)).get(
        "/topics",
      );
      assert.equal(status, 401);
    });
    await fc.assert(property, { numRuns: 200 });
  });
});

describe("what is no token", () => {
  const headers = [
    "Bearer",
    "Bearer ",
    "Bearer x",
    "Bearer a.b",
    "Bearer a.b.c",
    "Bearer a.b.c.d",
    "Bearer ..",
    "bearer null",
    "Basic YWRtaW46YWRtaW4=",
    "Token x",
    ",",
    `Bearer ${"x".repeat(9000)}`,
    "Bearer \u00ff.\u00ff.\u00ff",
    "Bearer a.b.c, Bearer d.e.f",
  ]; // prettier-ignore
  it("is refused", async () => {
    for (const authorization of headers) {
      const answer = await new Caller(server, undefined).get("/topics", { headers: { authorization } });
      assert.equal(answer.status, 401, authorization);
      assert.equal(answer.json.code, "token_invalid");
    }
  });

  it("is refused also when a true one comes in another place", async () => {
    const nobody = new Caller(server, undefined);
    for (const path of [`/topics?access_token=${valid}`, `/topics?token=${valid}`]) {
      assert.equal((await nobody.get(path)).status, 401);
    }
    const cookie = { headers: { cookie: `token=${valid}; authorization=Bearer ${valid}` } };
    assert.equal((await nobody.get("/topics", cookie)).status, 401);
  });
});
