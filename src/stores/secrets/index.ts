/** The door of the secret store. Vault will be another driver behind the same port. */
import { type Random, systemRandom } from "../../core/random.ts";
import { FileSecretStore } from "./file.ts";
import type { SecretStore } from "./port.ts";

export type { SecretStore } from "./port.ts";

export interface OpenSecretsOptions {
  /** The encrypted file; its folder is made when it does not exist. */
  path: string;
  /** 32 bytes in base64; without it a key is made beside the file, for its owner only. */
  masterKey?: string | undefined;
  random?: Random;
}

/** The store, not started. */
export function openSecrets({ random = systemRandom, ...options }: OpenSecretsOptions): SecretStore {
  return new FileSecretStore({ random, ...options });
}
