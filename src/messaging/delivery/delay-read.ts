/**
 * Reads messages of a delay log by id. Those that are due together were often published together, so what lies close
 * is read in one go, the few that lie between included.
 */
import { hasCode } from "../../core/errors.ts";
import type { LogPartition } from "../../stores/log/port.ts";

/** Records between two wanted ones that are cheaper to read than a second call. */
const gapMax = 16;
const bytesMax = 4 << 20;
/** Reads under way at once: Node has four threads for them. */
const readersMax = 8;

/** Of a damaged one `onDamage` is told, and it is missing in the answer. */
export async function readDue(
  log: LogPartition,
  ids: readonly number[],
  onDamage: (error: unknown) => void = () => {},
): Promise<Map<number, Buffer>> {
  const runs = toRuns(ids);
  const wanted = new Set(ids);
  const found = new Map<number, Buffer>();
  const readRuns = async () => {
    for (let run = runs.pop(); run; run = runs.pop()) await readRun(log, run, wanted, found, onDamage);
  };
  await Promise.all(Array.from({ length: readersMax }, readRuns));
  return found;
}

type Run = [from: number, to: number];

function toRuns(ids: readonly number[]): Run[] {
  const runs: Run[] = [];
  for (const id of ids.toSorted((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last && id - last[1] <= gapMax) last[1] = id;
    else runs.push([id, id]);
  }
  return runs;
}

async function readRun(
  log: LogPartition,
  [from, to]: Run,
  wanted: ReadonlySet<number>,
  found: Map<number, Buffer>,
  onDamage: (error: unknown) => void,
): Promise<void> {
  for (let at = from; at <= to; ) {
    try {
      const records = await log.read(at, { records: to - at + 1, bytes: bytesMax });
      for (const { offset, body } of records) if (wanted.has(offset)) found.set(offset, body);
      at += Math.max(1, records.length);
    } catch (error) {
      if (!hasCode(error, "log_corrupt")) throw error;
      onDamage(error);
      at += 1;
    }
  }
}
