/** The message log. See README.md for its format, its invariants and what it does when a disk fails. */

import type { LogStore } from "./port.ts";
import { DiskLog, type LogOptions } from "./store.disk.ts";

export type { LogLimits } from "./context.ts";
export {
  type Durability,
  durabilities,
  type LogPartition,
  type LogRecord,
  type LogStore,
  type ReadLimit,
} from "./port.ts";
export type { LogOptions } from "./store.disk.ts";

/** A log over a folder, or over another disk. `start` it before use. */
export function openLog(options: LogOptions): LogStore {
  return new DiskLog(options);
}
