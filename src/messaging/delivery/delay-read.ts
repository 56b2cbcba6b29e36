/**
 * Reads messages of a delay log by id. Those that are due together were often published together, so what lies close
 * is read in one go, the few that lie between included.
 */
import { hasCode } from "../../core/errors.ts";
import type { LogPartition } from "../../stores/log/port.ts";

/** Records between two wanted ones that are cheaper to read than a second call. */
const gapMax = 16;
const bytesMax = 4 << 20;

/** Of a damaged one `onDamage` is told, and it is missing in the answer. */
export async function readDue(
  log: LogPartition,
  ids: readonly number[],
  onDamage: (error: unknown) => void = () => {},
): Promise<Map<number, Buffer>> {
  const sorted = ids.toSorted((a, b) => a - b);
  const wanted = new Set(sorted);
  const found = new Map<number, Buffer>();
  for (let i = 0; i < sorted.length; ) {
    const first = sorted[i]!;
    let last = i;
    while (last + 1 < sorted.length && sorted[last + 1]! - sorted[last]! <= gapMax) last += 1;
    const next = await readRun(log, first, sorted[last]!, wanted, found, onDamage);
    while (i < sorted.length && sorted[i]! < next) i += 1;
  }
  return found;
}

/** Resolves to the first offset that was not looked at. */
async function readRun(
  log: LogPartition,
  from: number,
  to: number,
  wanted: ReadonlySet<number>,
  found: Map<number, Buffer>,
  onDamage: (error: unknown) => void,
): Promise<number> {
  try {
    const records = await log.read(from, { records: to - from + 1, bytes: bytesMax });
    for (const { offset, body } of records) if (wanted.has(offset)) found.set(offset, body);
    return from + Math.max(1, records.length);
  } catch (error) {
    if (!hasCode(error, "log_corrupt")) throw error;
    onDamage(error);
    return from + 1;
  }
}
