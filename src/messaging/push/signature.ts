/**
 * Signatures of Standard Webhooks (standardwebhooks.com): HMAC-SHA256 over id, time and body. While a secret is being
 * replaced a request carries the signatures of all, so that a receiver may change over when it likes.
 */
import { createHmac } from "node:crypto";
import type { Random } from "../../core/random.ts";

export const secretPattern = "^whsec_[A-Za-z0-9+/]{32,86}={0,2}$";
/** Of one subscription at a time: the current one and those that it replaces. */
export const secretsMax = 3;

export interface Signed {
  id: string;
  /** Epoch seconds of this attempt. */
  timestamp: number;
  body: Buffer;
}

export function signatures(secrets: readonly string[], { id, timestamp, body }: Signed): string {
  const one = (secret: string) => {
    const key = Buffer.from(secret.slice("whsec_".length), "base64");
    return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64")}`;
  };
  return secrets.map(one).join(" ");
}

export function makeSecret(random: Random): string {
  return `whsec_${Buffer.from(random.bytes(32)).toString("base64")}`;
}
