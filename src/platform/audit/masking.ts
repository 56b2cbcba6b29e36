/**
 * What of a change may stand in the audit: secrets are masked by the name of their field, and size is
 * bounded.
 */
import { canonicalJson, type Json } from "../../core/json.ts";
import { sha256 } from "./chain.ts";

const secretName =
  /passw|passphrase|secret|token|authorization|cookie|credential|api[-_]?key|private[-_]?key/i;
const detailCharactersMax = 16 * 1024;

export const masked = "[masked]";

/** Whether a field of this name is likely to hold a secret. */
export const isSecretName = (name: string): boolean => secretName.test(name);

/** A copy as plain JSON, in which the value of each field that is named like a secret is replaced. */
export function mask(value: unknown): Json {
  const text = JSON.stringify(value, (name, member) =>
    isSecretName(name) && member !== null ? masked : member,
  );
  return text === undefined ? null : (JSON.parse(text) as Json);
}

/** Detail that is too large is replaced by its size and digest. */
export function boundedDetail(value: unknown): Json {
  const detail = mask(value);
  const text = canonicalJson(detail);
  return text.length <= detailCharactersMax ? detail : { tooLarge: text.length, sha256: sha256(text) };
}

/** Digest of what a resource was or became, secrets left out: a short one could be guessed from its hash. */
export function digestOf(value: unknown): string | null {
  return value === undefined || value === null ? null : sha256(canonicalJson(mask(value)));
}
