/**
 * The binary frames of the stream, from the client's side; docs/reference/stream.md describes the layout. Reading
 * makes views on the frame, and text only of what is asked for.
 */
import type { Durability } from "./message.ts";

const version = 1;
export const frameKind = {
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
const receiptBytes = 16;
const deliveryBytes = 36;
const failureBytes = 12;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const noBytes = new Uint8Array(0);

/** A message on its way out. */
export interface OutgoingMessage {
  key: string | undefined;
  /** JSON text of an object with everything else: headers, content type …; "" when there is nothing. */
  fields: string;
  payload: string | Uint8Array;
}

export interface FrameHead {
  kind: number;
  channel: number;
  id: number;
  count: number;
}

/** Grows as it is written; most frames have their size from the start. */
class Writer {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  at = 0;

  constructor(size: number) {
    this.#bytes = new Uint8Array(size);
    this.#view = new DataView(this.#bytes.buffer);
  }

  head(kind: number, channel: number, id: number, count: number): void {
    this.#bytes[0] = version;
    this.#bytes[1] = kind;
    this.#view.setUint32(4, channel, true);
    this.#view.setUint32(8, id, true);
    this.#view.setUint32(12, count, true);
    this.at = headBytes;
  }

  /** Leaves `bytes` free and returns where. */
  skip(bytes: number): number {
    this.#require(bytes);
    this.at += bytes;
    return this.at - bytes;
  }

  u16(at: number, value: number): void {
    this.#view.setUint16(at, value, true);
  }

  u32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  f64(at: number, value: number): void {
    this.#view.setFloat64(at, value, true);
  }

  /** Writes at the end and returns how many bytes that took. */
  content(content: string | Uint8Array): number {
    if (content.length === 0) return 0;
    if (typeof content !== "string") {
      this.#require(content.length);
      this.#bytes.set(content, this.at);
      this.at += content.length;
      return content.length;
    }
    const start = this.at;
    for (let rest = content; ; ) {
      const { read, written } = encoder.encodeInto(rest, this.#bytes.subarray(this.at));
      this.at += written;
      if (read === rest.length) return this.at - start;
      rest = rest.slice(read);
      this.#require(rest.length * 3);
    }
  }

  done(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.at);
  }

  #require(bytes: number): void {
    if (this.at + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 1.5, this.at + bytes));
    larger.set(this.#bytes.subarray(0, this.at));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

export function writePublish(
  channel: number,
  id: number,
  messages: readonly OutgoingMessage[],
): Uint8Array<ArrayBuffer> {
  let size = headBytes;
  for (const { key, fields, payload } of messages) {
    size += publishEntryBytes + (key?.length ?? 0) + fields.length + payload.length;
  }
  const writer = new Writer(size);
  writer.head(frameKind.publish, channel, id, messages.length);
  for (const { key, fields, payload } of messages) {
    const at = writer.skip(publishEntryBytes);
    writer.u16(at + 8, key === undefined ? 0 : writer.content(key));
    writer.u32(at + 4, writer.content(fields));
    writer.u32(at, writer.content(payload));
  }
  return writer.done();
}

/** Which message, under which lease. */
export interface Claim {
  partition: number;
  offset: number;
  fence: number;
}

/** Claims in a row, where the offsets follow each other, are one entry. */
export function writeAck(channel: number, id: number, claims: readonly Claim[]): Uint8Array<ArrayBuffer> {
  const runs = runsOf(claims);
  const writer = new Writer(headBytes + runs.length * claimBytes);
  writer.head(frameKind.ack, channel, id, runs.length);
  for (const run of runs) writeRun(writer, run);
  return writer.done();
}

export interface NackItem {
  claim: Claim;
  /** Undefined: what the subscription's policy says. */
  delayMs?: number | undefined;
  reason?: string | undefined;
  deadLetter?: boolean | undefined;
  release?: boolean | undefined;
}

export function writeNack(channel: number, id: number, items: readonly NackItem[]): Uint8Array<ArrayBuffer> {
  const writer = new Writer(headBytes + items.length * (claimBytes + 8));
  writer.head(frameKind.nack, channel, id, items.length);
  for (const { claim, delayMs = 0xffffffff, reason = "", deadLetter = false, release = false } of items) {
    const { partition, offset, fence } = claim; // may be getters, which a spread would miss
    writeRun(writer, { partition, offset, fence, length: 1 });
    const at = writer.skip(8);
    writer.u32(at, delayMs);
    writer.u16(at + 6, deadLetter ? 1 : release ? 2 : 0);
    writer.u16(at + 4, writer.content(reason));
  }
  return writer.done();
}

export function writeExtend(
  channel: number,
  id: number,
  claims: readonly Claim[],
  seconds: number,
): Uint8Array<ArrayBuffer> {
  const runs = runsOf(claims);
  const writer = new Writer(headBytes + runs.length * (claimBytes + 8));
  writer.head(frameKind.extend, channel, id, runs.length);
  for (const run of runs) {
    writeRun(writer, run);
    writer.u32(writer.skip(8), seconds);
  }
  return writer.done();
}

interface Run extends Claim {
  length: number;
}

function runsOf(claims: readonly Claim[]): Run[] {
  const runs: Run[] = [];
  let last: Run | undefined;
  for (const { partition, offset, fence } of claims) {
    if (
      last &&
      last.partition === partition &&
      last.fence === fence &&
      last.offset + last.length === offset
    ) {
      last.length += 1;
    } else {
      last = { partition, offset, fence, length: 1 };
      runs.push(last);
    }
  }
  return runs;
}

function writeRun(writer: Writer, { partition, offset, fence, length }: Run): void {
  const at = writer.skip(claimBytes);
  writer.u16(at, partition);
  writer.u32(at + 4, length);
  writer.f64(at + 8, offset);
  writer.f64(at + 16, fence);
}

/** A frame that came, with its bytes to read from. */
export class Frame implements FrameHead {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  readonly kind: number;
  readonly channel: number;
  readonly id: number;
  readonly count: number;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < headBytes || bytes[0] !== version) throw new TypeError("not a frame of this version");
    this.kind = bytes[1]!;
    this.channel = this.view.getUint32(4, true);
    this.id = this.view.getUint32(8, true);
    this.count = this.view.getUint32(12, true);
  }

  text(start: number, end: number): string {
    return start === end ? "" : decoder.decode(this.bytes.subarray(start, end));
  }
}

/** What one message came to: where it is, or a problem or receipt as JSON text. */
export type Outcome = { partition: number; offset: number } | { problem: string } | { receipt: string };

export function readReceipts(frame: Frame): Outcome[] {
  const outcomes = new Array<Outcome>(frame.count);
  let at = headBytes;
  for (let index = 0; index < frame.count; index++) {
    const status = frame.bytes[at]!;
    const textBytes = frame.view.getUint32(at + 4, true);
    const end = at + receiptBytes + textBytes;
    if (status === 0) {
      const offset = frame.view.getFloat64(at + 8, true);
      outcomes[index] = { partition: frame.view.getUint16(at + 2, true), offset };
    } else {
      const text = frame.text(at + receiptBytes, end);
      outcomes[index] = status === 1 ? { problem: text } : { receipt: text };
    }
    at = end;
  }
  return outcomes;
}

/** A message that came, as it lies in its frame. */
export interface IncomingMessage {
  partition: number;
  offset: number;
  attempt: number;
  publishedAt: number;
  key: Uint8Array<ArrayBuffer>;
  headers: Uint8Array<ArrayBuffer>;
  /** JSON text of an object with what has no place of its own. */
  extras: Uint8Array<ArrayBuffer>;
  payload: Uint8Array<ArrayBuffer>;
}

export interface MessagesFrame {
  fence: number;
  /** Wall-clock milliseconds at which the leases end. */
  expiresAt: number;
  messages: IncomingMessage[];
}

export function readMessages(frame: Frame): MessagesFrame {
  const { view, bytes, count } = frame;
  const messages = new Array<IncomingMessage>(count);
  let at = headBytes + 16;
  const slice = (length: number) => {
    const start = at;
    at += length;
    return length === 0 ? noBytes : bytes.subarray(start, at);
  };
  for (let index = 0; index < count; index++) {
    const head = at;
    at += deliveryBytes;
    messages[index] = {
      partition: view.getUint16(head + 14, true),
      offset: view.getFloat64(head + 20, true),
      attempt: view.getUint32(head + 16, true),
      publishedAt: view.getFloat64(head + 28, true),
      key: slice(view.getUint16(head + 12, true)),
      headers: slice(view.getUint32(head + 4, true)),
      extras: slice(view.getUint32(head + 8, true)),
      payload: slice(view.getUint32(head, true)),
    };
  }
  if (at !== bytes.length) throw new TypeError("a frame of another length than it says");
  return {
    fence: view.getFloat64(headBytes, true),
    expiresAt: view.getFloat64(headBytes + 8, true),
    messages,
  };
}

export interface SettledFrame {
  settled: number;
  alreadySettled: number;
  failed: { partition: number; offset: number; code: "lease_lost" | "receipt_invalid" }[];
}

export function readSettled({ view, count }: Frame): SettledFrame {
  const failed: SettledFrame["failed"] = [];
  for (let index = 0; index < count; index++) {
    const at = headBytes + 8 + index * failureBytes;
    const code = view.getUint16(at + 2, true) === 1 ? "lease_lost" : "receipt_invalid";
    failed.push({ partition: view.getUint16(at, true), offset: view.getFloat64(at + 4, true), code });
  }
  return {
    settled: view.getUint32(headBytes, true),
    alreadySettled: view.getUint32(headBytes + 4, true),
    failed,
  };
}

/** Ids are numbers in base 36, as the server writes them. */
export function messageIdOf(topic: string, partition: number, offset: number): string {
  return `${topic}-${partition.toString(36)}-${offset.toString(36)}`;
}

export function receiptOf(subscription: string, { partition, offset, fence }: Claim): string {
  return `${messageIdOf(subscription, partition, offset)}-${fence.toString(36)}`;
}

/** Of a topic, as its channel was opened. */
export interface OpenedTopic {
  topic: string;
  number: string;
  durability: Durability;
}
