/** Named secrets, encrypted at rest. Values never appear in logs, errors or audit entries. */
import type { Service } from "../../core/lifecycle.ts";

export interface SecretStore extends Service {
  get(name: string): Promise<string | undefined>;
  set(name: string, value: string): Promise<void>;
  delete(name: string): Promise<void>;
  /** Names only. */
  list(): Promise<string[]>;
}
