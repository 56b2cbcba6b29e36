/** Reading a partition in bulk, for what is rebuilt from it: from an offset on, or what is recent. */
import { hasCode } from "../../core/errors.ts";
import type { LogPartition, LogRecord } from "../../stores/log/port.ts";
import { isMessage, publishedAtOf } from "../message.ts";

const chunk = { records: 4096, bytes: 4 << 20 };

/**
 * Records from `from` to before `to`, in order, in chunks. Damaged ones are left out: what they said is lost, and who
 * would receive them is told so.
 */
export async function* scan(log: LogPartition, from: number, to: number): AsyncGenerator<LogRecord[]> {
  for (let at = Math.max(from, log.start); at < to; ) {
    try {
      const limit = { records: Math.min(chunk.records, to - at), bytes: chunk.bytes };
      const records = await log.read(at, limit);
      at += records.length;
      yield records;
    } catch (error) {
      if (hasCode(error, "log_corrupt")) at = Math.max(at + 1, Number(error.data?.next ?? 0));
      else if (hasCode(error, "log_offset_out_of_range")) at = Math.max(at + 1, log.start);
      else throw error;
    }
  }
}

/**
 * The offset from which on everything published at or after `since` lies. Looks backwards in steps that double and
 * stops at one that is older as a whole, so that a clock that went back in between costs some reading, not an answer.
 * Records that are no messages (the marks of a delay log) have no time, and a step of nothing else says nothing.
 */
export async function recentFrom(log: LogPartition, since: number): Promise<number> {
  let from = log.end;
  for (let step = 512; from > log.start; step *= 2) {
    const before = from;
    from = Math.max(log.start, from - step);
    let newest: number | undefined;
    for await (const records of scan(log, from, before)) {
      for (const { body } of records) {
        if (isMessage(body)) newest = Math.max(newest ?? Number.NEGATIVE_INFINITY, publishedAtOf(body));
      }
      if (newest !== undefined && newest >= since) break;
    }
    if (newest !== undefined && newest < since) return before;
  }
  return from;
}
