/** Acks, nacks and extensions of a binary frame: which messages they are about, and what became of each. */
import type { Settlement } from "../delivery/cursor.ts";
import type { Receipt } from "../ids.ts";
import type { Consumption } from "./consumption.ts";
import { type Failure, type FrameHead, invalid, kind, readAck, readExtend, readNack } from "./frames.ts";

export interface Settling {
  receipts: readonly Receipt[];
  outcomes: Promise<Settlement[]>;
}

/** Reads the whole frame before anything of it counts. `limit` is for the messages of one frame. */
export function settle(
  frame: Buffer,
  head: FrameHead,
  { live, number }: Pick<Consumption, "live" | "number">,
  limit: number,
): Settling {
  if (head.kind === kind.ack) {
    const receipts = readAck(frame, head, number, limit);
    return { receipts, outcomes: live.ack(receipts) };
  }
  if (head.kind === kind.nack) {
    const claims = readNack(frame, head, number, limit);
    return { receipts: claims.map(({ receipt }) => receipt), outcomes: live.nack(claims) };
  }
  if (head.kind === kind.extend) {
    const bySeconds = [...readExtend(frame, head, number, limit)];
    const outcomes = bySeconds.flatMap(([seconds, receipts]) => live.extend(receipts, seconds * 1000));
    return { receipts: bySeconds.flatMap(([, receipts]) => receipts), outcomes: Promise.resolve(outcomes) };
  }
  throw invalid(`its kind is ${head.kind}`);
}

export function countOf(receipts: readonly Receipt[], outcomes: readonly Settlement[]) {
  const counts = { settled: 0, alreadySettled: 0, failed: [] as Failure[] };
  outcomes.forEach((outcome, index) => {
    if (outcome === "ok") counts.settled += 1;
    else if (outcome === "done") counts.alreadySettled += 1;
    else {
      const { partition, offset } = receipts[index]!;
      const code = outcome === "stale" ? "lease_lost" : "receipt_invalid";
      counts.failed.push({ partition, offset, code });
    }
  });
  return counts;
}
