/**
 * Named secrets, encrypted at rest. Values never appear in logs, errors or audit entries.
 *
 * A name is 1 to 200 characters `A-Z a-z 0-9 . _ / -` and begins with a letter or digit; a value is at most
 * 64 KiB of UTF-8. Anything else rejects with `validation_failed`.
 */
import type { Service } from "../../core/lifecycle.ts";

export interface SecretStore extends Service {
  get(name: string): Promise<string | undefined>;
  /** Resolves when the value is durable. */
  set(name: string, value: string): Promise<void>;
  /** Idempotent. */
  delete(name: string): Promise<void>;
  /** Names only, in order. */
  list(): Promise<string[]>;
}

export const namePattern = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$/;
export const valueBytesMax = 64 * 1024;
