/**
 * The chain of audit entries, pure. Each entry names the hash of the one before it, and its own hash is
 * SHA-256 over that, its position, and the digest of its content, which is SHA-256 over its canonical text
 * (RFC 8785). So no entry can be edited, removed or moved without changing every hash after it. A checkpoint
 * is a signature (Ed25519) over a position and the hash there, so that a chain cannot be made anew either by
 * somebody without the key.
 */
import { createHash, createPublicKey, verify } from "node:crypto";
import { canonicalJson, type Json } from "../../core/json.ts";
import { type KeyRing, signText } from "../auth/key-ring.ts";

export const outcomes = ["success", "denied", "failure"] as const;
export type Outcome = (typeof outcomes)[number];

/** What happened. */
export interface AuditContent {
  tenant: string;
  /** ISO 8601, UTC, with milliseconds. */
  at: string;
  actor: string;
  action: string;
  resource: string;
  requestId: string;
  outcome: Outcome;
  detail: Json;
  /** SHA-256 over the canonical text of the resource before and after; null where there is none. */
  before: string | null;
  after: string | null;
}

/** The same in its place. */
export interface AuditEntry extends AuditContent {
  /** Position in the tenant's chain, from 1, without gaps. */
  seq: number;
  /** Hash of the entry before; `genesis` for the first. */
  previous: string;
  hash: string;
}

export interface Checkpoint {
  tenant: string;
  seq: number;
  hash: string;
  at: string;
  keyId: string;
  /** base64url. */
  signature: string;
}

export const genesis = "0".repeat(64);

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

export function contentDigest(content: AuditContent): string {
  return sha256(canonicalJson(content));
}

/** What the entry's hash must be; the database computes the same when the entry is chained. */
export function hashOf({ seq, previous, hash: _, ...content }: AuditEntry): string {
  return sha256(`${previous}\n${seq}\n${contentDigest(content)}`);
}

export function signCheckpoint(ring: KeyRing, at: Omit<Checkpoint, "keyId" | "signature">): Checkpoint {
  const unsigned = { ...at, keyId: ring.keyId };
  return { ...unsigned, signature: signText(ring, signedText(unsigned)) };
}

/** A public key in an export: an Ed25519 JWK whose `kid` is its own thumbprint (RFC 7638). */
export type CheckpointKey = Record<"kty" | "crv" | "x" | "kid", string>;

export function checkpointKeys(ring: KeyRing): CheckpointKey[] {
  return ring.publicKeys.map(({ kty, crv, x, kid }) => ({ kty, crv, x, kid }) as CheckpointKey);
}

/** Whether one of the keys has made the checkpoint. Never throws for what is in either. */
export function isSignedBy(keys: readonly CheckpointKey[], checkpoint: Checkpoint): boolean {
  const { signature, ...unsigned } = checkpoint;
  const jwk = keys.find((key) => key.kid === checkpoint.keyId);
  if (!jwk || typeof signature !== "string") return false;
  const thumbprint = canonicalJson({ crv: jwk.crv, kty: jwk.kty, x: jwk.x });
  if (createHash("sha256").update(thumbprint).digest("base64url") !== jwk.kid) return false;
  const bytes = Buffer.from(signature, "base64url");
  if (bytes.toString("base64url") !== signature) return false;
  try {
    const key = createPublicKey({ key: jwk, format: "jwk" });
    return key.asymmetricKeyType === "ed25519" && verify(null, Buffer.from(signedText(unsigned)), key, bytes);
  } catch {
    return false; // not a key
  }
}

/** The `purpose` keeps a signature made for something else from counting here. */
function signedText(checkpoint: Omit<Checkpoint, "signature">): string {
  return canonicalJson({ ...checkpoint, purpose: "hotswap-audit-checkpoint" });
}
