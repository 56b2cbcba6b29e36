/**
 * The binary frames of the stream: one buffer in, one buffer out, many messages each. The layout is described in
 * docs/reference/stream.md; integers are little-endian, offsets and fences are doubles, which hold them exactly.
 *
 * A payload that comes in stays a view on the frame, one that goes out is copied once, from the log's own bytes. A
 * frame that cannot be read throws `frame_invalid` before anything of it has had an effect.
 */
import { HotSwapError } from "../../core/errors.ts";
import type { Received } from "../delivery/delivered.ts";
import type { Receipt } from "../ids.ts";
import { checkFormat, headersEnd, headersStart, payloadStart, publishedAtOf } from "../message.ts";

export const frameVersion = 1;
export const kind = {
  publish: 1,
  ack: 2,
  nack: 3,
  extend: 4,
  receipts: 17,
  messages: 18,
  settled: 19,
} as const;

const headBytes = 16;
const publishEntryBytes = 12;
const claimBytes = 24;
const nackBytes = claimBytes + 8;
const extendBytes = claimBytes + 8;
const receiptBytes = 16;
const deliveryBytes = 36;
const failureBytes = 12;
/** Where key, headers and payload of a stored message begin. */
const storedPrefixBytes = 16;
const noBytes = Buffer.alloc(0);

export interface FrameHead {
  kind: number;
  channel: number;
  /** The sender's number for it, which the answer repeats. */
  id: number;
  count: number;
}

/** A message as it lies in a frame; the buffers are views. */
export interface PublishEntry {
  key: string | undefined;
  /** JSON text of an object with everything but key and payload; empty when there is nothing. */
  fields: Buffer;
  payload: Buffer;
}

export interface NackClaim {
  receipt: Receipt;
  /** Undefined: what the subscription's policy says. */
  delayMs: number | undefined;
  reason: string | undefined;
  deadLetter: boolean;
  release: boolean;
}

export function readHead(frame: Buffer): FrameHead {
  if (frame.length < headBytes) throw invalid("it has no head");
  if (frame[0] !== frameVersion) throw invalid(`its version is ${frame[0]}, not ${frameVersion}`);
  return {
    kind: frame[1]!,
    channel: frame.readUInt32LE(4),
    id: frame.readUInt32LE(8),
    count: frame.readUInt32LE(12),
  };
}

/** How many messages an ack or nack that has been read elsewhere, or will be, is about. */
export function countOfClaims(frame: Buffer, head: FrameHead): number {
  let sum = 0;
  for (let at = headBytes; at + claimBytes <= frame.length; ) {
    sum += frame.readUInt32LE(at + 4);
    at += claimBytes;
    if (head.kind === kind.nack) at += 8 + frame.readUInt16LE(Math.min(at + 4, frame.length - 2));
  }
  return sum;
}

export function readPublish(frame: Buffer, { count }: FrameHead): PublishEntry[] {
  refuseMore(frame, count, publishEntryBytes);
  const entries = new Array<PublishEntry>(count);
  let at = headBytes;
  for (let index = 0; index < count; index++) {
    if (at + publishEntryBytes > frame.length) throw invalid(`message ${index} is cut off`);
    const payloadBytes = frame.readUInt32LE(at);
    const fieldBytes = frame.readUInt32LE(at + 4);
    const keyBytes = frame.readUInt16LE(at + 8);
    const key = at + publishEntryBytes;
    const fields = key + keyBytes;
    const payload = fields + fieldBytes;
    at = payload + payloadBytes;
    if (at > frame.length) throw invalid(`message ${index} is cut off`);
    entries[index] = {
      key: keyBytes === 0 ? undefined : frame.toString("utf8", key, fields),
      fields: fieldBytes === 0 ? noBytes : frame.subarray(fields, payload),
      payload: frame.subarray(payload, at),
    };
  }
  if (at !== frame.length) throw invalid("something follows its last message");
  return entries;
}

/** Receipts of an ack: each entry is a run of offsets under one fence. At most `limit` messages in all. */
export function readAck(frame: Buffer, { count }: FrameHead, subscription: number, limit: number): Receipt[] {
  const receipts: Receipt[] = [];
  const end = readClaims(frame, count, claimBytes, headBytes, (at) => {
    readRun(frame, at, subscription, limit, receipts);
    return at + claimBytes;
  });
  if (end !== frame.length) throw invalid("something follows its last entry");
  return receipts;
}

export function readNack(
  frame: Buffer,
  { count }: FrameHead,
  subscription: number,
  limit: number,
): NackClaim[] {
  const claims: NackClaim[] = [];
  const end = readClaims(frame, count, nackBytes, headBytes, (at) => {
    const run: Receipt[] = [];
    readRun(frame, at, subscription, limit - claims.length, run);
    const wait = frame.readUInt32LE(at + claimBytes);
    const delayMs = wait === delayOfPolicy ? undefined : wait;
    const flags = frame.readUInt16LE(at + claimBytes + 6);
    const reasonBytes = frame.readUInt16LE(at + claimBytes + 4);
    const next = at + nackBytes + reasonBytes;
    if (next > frame.length) throw invalid("a reason is cut off");
    if (delayMs !== undefined && delayMs > delayMsMax)
      throw invalid(`a delay is longer than ${delayMsMax} ms`);
    const reason = reasonBytes === 0 ? undefined : frame.toString("utf8", at + nackBytes, next);
    if (reason !== undefined && reason.length > reasonMax)
      throw invalid(`a reason is longer than ${reasonMax}`);
    const [deadLetter, release] = [(flags & 1) !== 0, (flags & 2) !== 0];
    if (flags > 2) throw invalid("it has flags that are unknown, or that exclude each other");
    for (const receipt of run) claims.push({ receipt, delayMs, reason, deadLetter, release });
    return next;
  });
  if (end !== frame.length) throw invalid("something follows its last entry");
  return claims;
}

const delayMsMax = 86_400_000;
const delayOfPolicy = 0xffffffff;
const reasonMax = 1024;
const extendSecondsMax = 43_200;

/** Receipts, with the seconds that their leases are to last from now on. */
export function readExtend(frame: Buffer, { count }: FrameHead, subscription: number, limit: number) {
  const bySeconds = new Map<number, Receipt[]>();
  let left = limit;
  const end = readClaims(frame, count, extendBytes, headBytes, (at) => {
    const seconds = frame.readUInt32LE(at + claimBytes);
    if (seconds < 1 || seconds > extendSecondsMax) throw invalid(`seconds must be 1 to ${extendSecondsMax}`);
    const receipts = bySeconds.get(seconds) ?? [];
    bySeconds.set(seconds, receipts);
    const before = receipts.length;
    readRun(frame, at, subscription, before + left, receipts);
    left -= receipts.length - before;
    return at + extendBytes;
  });
  if (end !== frame.length) throw invalid("something follows its last entry");
  return bySeconds;
}

function readClaims(
  frame: Buffer,
  count: number,
  bytes: number,
  start: number,
  read: (at: number) => number,
): number {
  refuseMore(frame, count, bytes);
  let at = start;
  for (let index = 0; index < count; index++) {
    if (at + bytes > frame.length) throw invalid(`entry ${index} is cut off`);
    at = read(at);
  }
  return at;
}

function readRun(frame: Buffer, at: number, subscription: number, limit: number, into: Receipt[]): void {
  const partition = frame.readUInt16LE(at);
  const length = frame.readUInt32LE(at + 4);
  const first = frame.readDoubleLE(at + 8);
  const fence = frame.readDoubleLE(at + 16);
  if (length < 1 || into.length + length > limit) throw invalid(`it is about more than ${limit} messages`);
  if (!isCount(first) || !isCount(first + length) || !isCount(fence)) {
    throw invalid("an offset or fence is not a whole number");
  }
  for (let offset = first; offset < first + length; offset++) {
    into.push({ subscription, partition, offset, fence });
  }
}

const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0;

/** What one message of a publish came to. */
export type Published = { partition: number; offset: number } | { problem: string } | { receipt: string };

export function writeReceipts(channel: number, id: number, published: readonly Published[]): Buffer {
  const texts = published.map((one) => ("offset" in one ? "" : "problem" in one ? one.problem : one.receipt));
  const textBytes = texts.reduce((sum, text) => sum + (text === "" ? 0 : Buffer.byteLength(text)), 0);
  const frame = newFrame(
    kind.receipts,
    channel,
    id,
    published.length,
    published.length * receiptBytes + textBytes,
  );
  let at = headBytes;
  published.forEach((one, index) => {
    const placed = "offset" in one;
    frame[at] = placed ? 0 : "problem" in one ? 1 : 2;
    frame[at + 1] = 0;
    frame.writeUInt16LE(placed ? one.partition : 0, at + 2);
    frame.writeDoubleLE(placed ? one.offset : 0, at + 8);
    const written = texts[index] === "" ? 0 : frame.write(texts[index]!, at + receiptBytes);
    frame.writeUInt32LE(written, at + 4);
    at += receiptBytes + written;
  });
  return frame;
}

/** `extras` are the members that a delivery has besides those with a place of their own, as JSON text or "". */
export function writeMessages(
  channel: number,
  fence: number,
  { deliveries, expiresAt }: Pick<Received, "deliveries" | "expiresAt">,
  extras: (index: number) => string,
): Buffer {
  const texts = deliveries.map((_, index) => extras(index));
  let bytes = 16;
  deliveries.forEach(({ body }, index) => {
    checkFormat(body);
    bytes += deliveryBytes + body.length - storedPrefixBytes;
    if (texts[index] !== "") bytes += Buffer.byteLength(texts[index]!);
  });
  const frame = newFrame(kind.messages, channel, 0, deliveries.length, bytes);
  frame.writeDoubleLE(fence, headBytes);
  frame.writeDoubleLE(expiresAt, headBytes + 8);
  let at = headBytes + 16;
  for (let index = 0; index < deliveries.length; index++) {
    const { body, partition, offset, attempt } = deliveries[index]!;
    const headers = headersStart(body);
    const end = headersEnd(body);
    const payload = payloadStart(body);
    frame.writeUInt32LE(body.length - payload, at);
    frame.writeUInt32LE(end - headers, at + 4);
    frame.writeUInt16LE(headers - storedPrefixBytes, at + 12);
    frame.writeUInt16LE(partition, at + 14);
    frame.writeUInt32LE(attempt, at + 16);
    frame.writeDoubleLE(offset, at + 20);
    frame.writeDoubleLE(publishedAtOf(body), at + 28);
    const start = at + deliveryBytes;
    at = start + body.copy(frame, start, storedPrefixBytes, end);
    const extraBytes = texts[index] === "" ? 0 : frame.write(texts[index]!, at);
    frame.writeUInt32LE(extraBytes, start - deliveryBytes + 8);
    at += extraBytes;
    at += body.copy(frame, at, payload);
  }
  return frame.subarray(0, at);
}

export interface Failure {
  partition: number;
  offset: number;
  code: "lease_lost" | "receipt_invalid";
}

export function writeSettled(
  channel: number,
  id: number,
  counts: { settled: number; alreadySettled: number; failed: readonly Failure[] },
): Buffer {
  const { settled, alreadySettled, failed } = counts;
  const frame = newFrame(kind.settled, channel, id, failed.length, 8 + failed.length * failureBytes);
  frame.writeUInt32LE(settled, headBytes);
  frame.writeUInt32LE(alreadySettled, headBytes + 4);
  failed.forEach(({ partition, offset, code }, index) => {
    const at = headBytes + 8 + index * failureBytes;
    frame.writeUInt16LE(partition, at);
    frame.writeUInt16LE(code === "lease_lost" ? 1 : 2, at + 2);
    frame.writeDoubleLE(offset, at + 4);
  });
  return frame;
}

function newFrame(frameKind: number, channel: number, id: number, count: number, bytes: number): Buffer {
  const frame = Buffer.allocUnsafe(headBytes + bytes);
  frame[0] = frameVersion;
  frame[1] = frameKind;
  frame.writeUInt16LE(0, 2);
  frame.writeUInt32LE(channel, 4);
  frame.writeUInt32LE(id, 8);
  frame.writeUInt32LE(count, 12);
  return frame;
}

/** A count that the frame cannot hold must not make us allocate for it. */
function refuseMore(frame: Buffer, count: number, bytesEach: number): void {
  if (count === 0 || count * bytesEach > frame.length - headBytes) {
    throw invalid(`it cannot hold the ${count} entries that it announces`);
  }
}

export function invalid(why: string): HotSwapError {
  return new HotSwapError("frame_invalid", `The frame cannot be read: ${why}.`);
}
