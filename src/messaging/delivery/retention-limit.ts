/** Which messages of a partition are beyond the limits of its topic. */
import type { LogPartition } from "../../stores/log/port.ts";
import { placeOf } from "./places.ts";
import type { TopicSpec } from "./spec.ts";

export type RetentionLimits = Pick<TopicSpec, "retentionMs" | "retentionBytes" | "dedupWindowMs">;

/** Messages below the offset are beyond a limit of the topic. `share` is that of the partition, of 1. */
export async function limitOf(
  log: LogPartition,
  limits: RetentionLimits,
  now: number,
  share: number,
): Promise<number> {
  const { retentionMs, retentionBytes, dedupWindowMs } = limits;
  const { start, end, bytes } = log;
  let limit = start;
  if (retentionBytes !== undefined && bytes > retentionBytes * share) {
    const mean = bytes / Math.max(1, end - start);
    limit = Math.min(end, start + Math.floor((bytes - retentionBytes * share) / mean));
  }
  if (retentionMs === undefined) return limit;
  return Math.max(limit, await placeOf(log, { time: now - Math.max(retentionMs, dedupWindowMs) }));
}
