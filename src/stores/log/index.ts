/** The message log. See README.md for its format, its invariants and what it does when a disk fails. */

import { DiskLog, type LogOptions } from "./disk.log.ts";
import type { LogStore } from "./port.ts";

export type { LogLimits } from "./context.ts";
export type { LogOptions } from "./disk.log.ts";
export {
  type Durability,
  durabilities,
  type LogPartition,
  type LogRecord,
  type LogStore,
  type ReadLimit,
} from "./port.ts";

/** A log over a folder, or over another disk. `start` it before use. */
export function openLog(options: LogOptions): LogStore {
  return new DiskLog(options);
}
