/** Where in a partition somebody wants to be: at its beginning, its end, an offset, or a time. */
import { hasCode } from "../../core/errors.ts";
import type { LogPartition } from "../../stores/log/port.ts";
import { publishedAtOf } from "../message.ts";

export type Where = "earliest" | "latest" | { offset: number } | { time: number };

/** The offset of the first message there or behind it, between the partition's start and end. */
export async function placeOf(log: LogPartition, where: Where): Promise<number> {
  if (where === "earliest") return log.start;
  if (where === "latest") return log.end;
  if ("offset" in where) return Math.min(Math.max(where.offset, log.start), log.end);
  return firstAt(log, where.time);
}

/**
 * The first offset that was published at or after `time`, in about twenty reads. Publish times grow with the offset
 * but where the wall clock was set back; there it is one of the places where the time is passed.
 */
async function firstAt(log: LogPartition, time: number): Promise<number> {
  let low = log.start;
  let high = log.end;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const found = await readFrom(log, middle, high);
    // Nothing readable between the middle and the end: what is wanted lies before it, if anywhere.
    if (!found || found.publishedAt >= time) high = middle;
    else low = found.offset + 1;
  }
  return low;
}

async function readFrom(log: LogPartition, from: number, to: number) {
  for (let at = from; at < to; ) {
    try {
      const [record] = await log.read(at, { records: 1, bytes: 1 });
      return record && { offset: record.offset, publishedAt: publishedAtOf(record.body) };
    } catch (error) {
      if (hasCode(error, "log_corrupt")) at = Math.max(at + 1, Number(error.data?.next ?? 0));
      else if (hasCode(error, "log_offset_out_of_range")) at = Math.max(at + 1, log.start);
      else throw error;
    }
  }
  return undefined;
}
