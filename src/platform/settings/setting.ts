/** What is said of one setting: its meaning, its kind, its default, and how it is given. */
import type { Kind } from "./kind.ts";

interface About {
  meaning: string;
  /** Never shown, not even when it is invalid. May also be given as a file, by the variable with `_FILE`. */
  secret?: boolean;
  /** How to come by a value, for the message when it is missing. */
  advice?: string;
  variable?: string;
  flag?: string;
  /** `hotswap start` refuses to run without it; in development HotSwap makes do with a key of its own. */
  requiredInProduction?: boolean;
  /** Needed as soon as this other setting has a value. */
  requiredWith?: string;
  /** May not be larger than this other setting. */
  atMost?: string;
}

export interface Setting<Value> extends About {
  kind: Kind<Value>;
  default?: Value;
}

export function setting<Value>(kind: Kind<Value>, about: About & { default: NoInfer<Value> }): Setting<Value>;
export function setting<Value>(kind: Kind<Value>, about: About): Setting<Value | undefined>;
export function setting<Value>(kind: Kind<Value>, about: About & { default?: Value }): Setting<Value> {
  return { kind, ...about };
}

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;
