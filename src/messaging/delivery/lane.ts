/**
 * One partition as one subscription sees it: the cursor over it, and records that were read ahead of the
 * receivers. Reading waits for the disk; choosing does not, and happens in subscription.ts.
 */
import { hasCode } from "../../core/errors.ts";
import type { LogPartition, LogRecord } from "../../stores/log/port.ts";
import { keyOf } from "../message.ts";
import type { Cursor, Settlement } from "./cursor.ts";
import type { Entry } from "./entry.ts";

/** How much is read ahead of the receivers, a partition. */
const readAhead = { records: 1000, bytes: 2 << 20 };

export interface Lane {
  readonly partition: number;
  readonly log: LogPartition;
  readonly cursor: Cursor;
  /** Records read ahead, from `cursor.next` on. */
  ahead: LogRecord[];
  aheadAt: number;
  filling: Promise<void> | undefined;
  /** Ranges that were passed over and are not journalled yet; both ends included. */
  passed: [from: number, to: number][] | undefined;
  readonly unlisten: () => void;
}

/** A message that a receive has leased. */
export interface Taken {
  lane: Lane;
  entry: Entry;
  body: Buffer | undefined;
  /** Whether it was looked at just now, with its body at hand, and found wanted. */
  isFresh: boolean;
}

/** Opens a lane: gives the cursor the keys that its journal does not hold, and listens for new records. */
export async function openLane(
  partition: number,
  log: LogPartition,
  cursor: Cursor,
  onAppend: () => void,
): Promise<Lane> {
  await restoreKeys(cursor, log);
  const unlisten = log.onAppend(onAppend);
  return { partition, log, cursor, ahead: [], aheadAt: 0, filling: undefined, passed: undefined, unlisten };
}

/**
 * Passes over the message at the cursor's frontier. The journal is told with the next settlement of the lane: what
 * it misses in a crash is looked at again, with the same result.
 */
export function pass(lane: Lane): void {
  const offset = lane.cursor.next;
  lane.cursor.pass();
  const last = lane.passed?.at(-1);
  if (last && last[1] + 1 === offset) last[1] = offset;
  else if (lane.passed) lane.passed.push([offset, offset]);
  else lane.passed = [[offset, offset]];
}

/**
 * The cursor's answer to a receipt. It knows what was delivered since the start, or since a seek; what it has not come
 * to again may have been out before that, under a lease which is over.
 */
export function outcomeOf(lane: Lane, offset: number, outcome: Settlement): Settlement {
  return outcome === "never" && offset < lane.log.end ? "stale" : outcome;
}

/** Reads ahead once for all who wait for it. */
export function fill(lane: Lane): Promise<void> {
  lane.filling ??= readMore(lane);
  return lane.filling;
}

async function readMore(lane: Lane): Promise<void> {
  try {
    lane.cursor.skipTo(lane.log.start);
    lane.ahead = await lane.log.read(lane.cursor.next, readAhead);
    lane.aheadAt = 0;
  } catch (error) {
    // Retention moved the start between the look and the read: the next round begins at the new start.
    if (!hasCode(error, "log_offset_out_of_range")) throw error;
  } finally {
    lane.filling = undefined;
  }
}

/**
 * Reads what is not at hand. A message that cannot be read keeps its lease until the deadline, so that it does
 * not come back at once, and so do those behind it of its key, which may not overtake it.
 */
export async function load(
  taken: readonly Taken[],
  onDamage: (error: unknown) => void,
): Promise<{ loaded: Taken[]; damage: unknown }> {
  const loaded: Taken[] = [];
  const held = new Set<string>();
  let damage: unknown;
  for (const one of taken) {
    const { lane, entry } = one;
    if (held.size > 0 && held.has(lineOf(lane, entry))) continue;
    try {
      one.body ??= await readOne(lane.log, entry.offset);
      loaded.push(one);
    } catch (error) {
      damage = error;
      if (entry.key !== undefined) held.add(lineOf(lane, entry));
      onDamage(error);
    }
  }
  return { loaded, damage };
}

/** What must stay in order; a message without a key is in no line. */
const lineOf = ({ partition }: Lane, { key }: Entry) => (key === undefined ? "" : `${partition}/${key}`);

/** Undefined when retention has removed it. */
export async function readOne(log: LogPartition, offset: number): Promise<Buffer | undefined> {
  try {
    const [record] = await log.read(offset, { records: 1, bytes: 1 });
    return record?.body;
  } catch (error) {
    if (hasCode(error, "log_offset_out_of_range")) return undefined;
    throw error;
  }
}

/** The journal knows offsets only; the keys of what is outstanding are in the log. */
async function restoreKeys(cursor: Cursor, log: LogPartition): Promise<void> {
  cursor.skipTo(log.start);
  const keys = new Map<number, string | undefined>();
  for (const { offset } of cursor.records()) {
    if (keys.has(offset)) continue;
    try {
      const records = await log.read(offset, { records: 256, bytes: 1 << 20 });
      for (const record of records) keys.set(record.offset, keyOf(record.body));
    } catch (error) {
      if (!hasCode(error, "log_corrupt")) throw error;
      keys.set(offset, undefined); // has no key any more; who receives it is told of the damage
    }
  }
  cursor.restoreKeys((offset) => keys.get(offset));
}
