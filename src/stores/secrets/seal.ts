/**
 * Sealing of one value: AES-256-GCM under a random nonce, with the name as additional data, so that sealed
 * values cannot change places. Random 96-bit nonces are safe for 2^32 values under one key (NIST SP
 * 800-38D).
 */
import { createCipheriv, createDecipheriv } from "node:crypto";

export const keyBytes = 32;
export const nonceBytes = 12;
const tagBytes = 16;
const context = "hotswap-secrets-1\0";

/** base64 of nonce, ciphertext and tag. */
export function seal(key: Uint8Array, nonce: Uint8Array, name: string, value: string): string {
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(Buffer.from(context + name));
  const text = [cipher.update(value, "utf8"), cipher.final()];
  return Buffer.concat([nonce, ...text, cipher.getAuthTag()]).toString("base64");
}

/** Undefined when this was not sealed with this key under this name, or has been changed since. */
export function unseal(key: Uint8Array, name: string, sealed: string): string | undefined {
  const bytes = Buffer.from(sealed, "base64");
  if (bytes.length < nonceBytes + tagBytes || bytes.toString("base64") !== sealed) return undefined;
  const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(Buffer.from(context + name));
  decipher.setAuthTag(bytes.subarray(-tagBytes));
  const text = decipher.update(bytes.subarray(nonceBytes, -tagBytes));
  try {
    return Buffer.concat([text, decipher.final()]).toString("utf8");
  } catch {
    return undefined; // OpenSSL says no more than that it does not fit
  }
}
