/**
 * Ed25519 keys kept in the secret store under one name, as a private JWK Set: the first key signs, all of
 * them verify, so that a key can be rotated without breaking what an older one has signed. Made at first
 * use.
 *
 * Two nodes that share a secret store and start for the very first time at once may each make a ring; the
 * last one written wins, and a node that lost signs with a key nobody knows until it is restarted.
 */
import { createPrivateKey, generateKeyPairSync, type JsonWebKey, type KeyObject, sign } from "node:crypto";
import type { JWK } from "jose";
import { calculateJwkThumbprint } from "jose/jwk/thumbprint";
import { HotSwapError } from "../../core/errors.ts";
import type { SecretStore } from "../../stores/secrets/port.ts";

export interface KeyRing {
  /** `kid` of the key that signs. */
  readonly keyId: string;
  readonly privateKey: KeyObject;
  /** Public halves of all keys, the signing one first. */
  readonly publicKeys: readonly JWK[];
}

/** `mark` goes in front of the ids of new keys, so that what a key is for can be seen in every token. */
export async function openKeyRing(secrets: SecretStore, name: string, mark = ""): Promise<KeyRing> {
  let stored = await secrets.get(name);
  if (stored === undefined) {
    await secrets.set(name, JSON.stringify({ keys: [await makeKey(mark)] }));
    stored = await secrets.get(name); // what is stored counts, should another node have been faster
  }
  try {
    return toKeyRing((JSON.parse(stored ?? "") as { keys: JWK[] }).keys);
  } catch {
    // The cause is left out: a parser's message may quote the secret.
    throw new HotSwapError("setting_invalid", `The secret ${name} does not hold an Ed25519 JWK Set.`);
  }
}

/** A ring of one new key that is kept nowhere. */
export async function makeKeyRing(): Promise<KeyRing> {
  return toKeyRing([await makeKey("")]);
}

function toKeyRing(keys: readonly JWK[]): KeyRing {
  const signing = keys[0]!;
  const privateKey = createPrivateKey({ key: signing as JsonWebKey, format: "jwk" });
  if (privateKey.asymmetricKeyType !== "ed25519" || !signing.kid) throw new TypeError("not an Ed25519 key");
  return { keyId: signing.kid, privateKey, publicKeys: keys.map(publicHalf) };
}

/** Ed25519 over UTF-8 text, as base64url. */
export function signText(ring: KeyRing, text: string): string {
  return sign(null, Buffer.from(text), ring.privateKey).toString("base64url");
}

async function makeKey(mark: string): Promise<JWK> {
  const jwk = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" }) as JWK;
  return { ...jwk, kid: mark + (await calculateJwkThumbprint(jwk)), use: "sig", alg: "EdDSA" };
}

function publicHalf({ kty, crv, x, kid, use, alg }: JWK): JWK {
  return { kty, crv, x, kid, use, alg } as JWK;
}
