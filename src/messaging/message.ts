/**
 * A message as the log keeps it: one opaque body of the log holds publish time, key, headers and the payload's
 * own bytes, which are never parsed or written anew on the way to a consumer.
 *
 *   byte 0        1        2 … 9          10 … 11     12 … 15        16 …
 *       version   flags    publishedAt    key bytes   header bytes   key, headers (JSON text), fields, payload
 *
 * Most messages have no fields: then there are no bytes for them, and the version is 1. Otherwise the version is
 * 2, the flags say which fields there are, and they stand in the order of `flag`, after their length in 4 bytes.
 * Fixed ones come first, so that one is read without looking at the others.
 *
 * Integers are little-endian; times are milliseconds since 1970 as doubles. The payload is JSON text unless
 * `opaque` is set; then the content type says what it is.
 */
import { HotSwapError } from "../core/errors.ts";
import type { TraceContext } from "../platform/telemetry/index.ts";

const plainVersion = 1;
const version = 2;
const prefixBytes = 16;
const lengthBytes = 4;
const traceBytes = 25;
const noBytes = Buffer.alloc(0);

const flag = {
  priority: 1, // 1 byte
  expiresAt: 2, // 8 bytes
  schedule: 4, // 16 bytes: when it was to be delivered, and its offset in the topic's delay log or -1
  trace: 8, // 16 bytes trace, 8 span, 1 flags, 2 + n state
  contentType: 16, // 2 + n
  idempotencyKey: 32, // 2 + n
  origin: 64, // 4 + n, JSON text
  opaque: 128, // 0 bytes: the payload is not JSON text
} as const;

/** Bounds of what a publisher gives; the layout has room for them. */
export const fieldLimits = { priority: 9, contentType: 255, idempotencyKey: 255 } as const;

/** Why a message became a dead letter. */
export const causes = ["attempts", "rejected", "expired"] as const;

/** Where a dead letter comes from. Times are ISO 8601. */
export interface Origin {
  /** The same however often its move was begun. */
  deadLetterId: string;
  messageId: string;
  topic: string;
  partition: number;
  offset: number;
  subscription: string;
  /** It was tried as often as allowed, a consumer said that it will never do, or its time to live ended. */
  cause: (typeof causes)[number];
  /** What the last consumer said, or `expired`. */
  reason: string;
  attempts: number;
  publishedAt: string;
  firstFailedAt: string;
  lastFailedAt: string;
  deadLetteredAt: string;
}

/** What a publisher gives. Headers are an object of strings. */
export interface NewMessage {
  key: string | undefined;
  headers: Record<string, string> | undefined;
  /** Valid JSON text, unless the content type says something else. */
  payload: Buffer;
  /** 0 to 9, 0 by default; larger is delivered first. */
  priority?: number | undefined;
  /** How long it is worth delivering, from its publishing or its delivery time on. */
  ttlMs?: number | undefined;
  delayMs?: number | undefined;
  /** Wall-clock milliseconds before which it is not delivered. */
  deliverAt?: number | undefined;
  idempotencyKey?: string | undefined;
  /** Media type of the payload; JSON when there is none. */
  contentType?: string | undefined;
  trace?: TraceContext | undefined;
  origin?: Origin | undefined;
}

/** A stored message; the buffers are views on the log's own memory and must not be written to. */
export interface StoredMessage {
  publishedAt: number;
  key: string | undefined;
  /** JSON text of the headers; empty when there are none. */
  headers: Buffer;
  payload: Buffer;
}

/** Whether a payload of this media type is JSON text and can be shown as it is. */
export function isJsonType(contentType: string | undefined): boolean {
  if (contentType === undefined) return true;
  const type = contentType.split(";", 1)[0]!.trim().toLowerCase();
  return type === "application/json" || type.endsWith("+json");
}

export function encodeMessage(message: NewMessage, publishedAt: number): Buffer {
  const { key = "", payload } = message;
  const keyBytes = key === "" ? 0 : Buffer.byteLength(key);
  const headers = message.headers ? JSON.stringify(message.headers) : "";
  const headerBytes = headers === "" ? 0 : Buffer.byteLength(headers);
  const flags = flagsOf(message);
  const fields = flags === 0 ? noBytes : encodeFields(message, flags, publishedAt);
  const fieldsAt = prefixBytes + keyBytes + headerBytes;
  const body = Buffer.allocUnsafe(fieldsAt + fields.length + payload.length);
  body[0] = flags === 0 ? plainVersion : version;
  body[1] = flags;
  body.writeDoubleLE(publishedAt, 2);
  body.writeUInt16LE(keyBytes, 10);
  body.writeUInt32LE(headerBytes, 12);
  if (keyBytes > 0) body.write(key, prefixBytes);
  if (headerBytes > 0) body.write(headers, prefixBytes + keyBytes);
  if (flags !== 0) fields.copy(body, fieldsAt);
  payload.copy(body, fieldsAt + fields.length);
  return body;
}

function flagsOf(message: NewMessage): number {
  let flags = 0;
  if (message.priority) flags |= flag.priority;
  if (message.ttlMs !== undefined) flags |= flag.expiresAt;
  if (message.deliverAt !== undefined) flags |= flag.schedule;
  if (message.trace !== undefined) flags |= flag.trace;
  if (message.contentType !== undefined) flags |= flag.contentType;
  if (message.idempotencyKey !== undefined) flags |= flag.idempotencyKey;
  if (message.origin !== undefined) flags |= flag.origin;
  if (message.contentType !== undefined && !isJsonType(message.contentType)) flags |= flag.opaque;
  return flags;
}

function encodeFields(message: NewMessage, flags: number, publishedAt: number): Buffer {
  const { trace } = message;
  const { priority = 0, ttlMs = 0, deliverAt = publishedAt, contentType = "", idempotencyKey = "" } = message;
  const fixed = Buffer.allocUnsafe(lengthBytes + 1 + 8 + 16);
  let at: number = lengthBytes;
  if (flags & flag.priority) at = fixed.writeUInt8(priority, at);
  if (flags & flag.expiresAt) at = fixed.writeDoubleLE(Math.max(deliverAt, publishedAt) + ttlMs, at);
  if (flags & flag.schedule) at = fixed.writeDoubleLE(-1, fixed.writeDoubleLE(deliverAt, at));
  const parts: Uint8Array[] = [fixed.subarray(0, at)];
  if (trace) parts.push(Buffer.from(traceHex(trace), "hex"), sized(trace.state ?? ""));
  if (flags & flag.contentType) parts.push(sized(contentType));
  if (flags & flag.idempotencyKey) parts.push(sized(idempotencyKey));
  if (flags & flag.origin) parts.push(sizedLong(JSON.stringify(message.origin)));
  const fields = Buffer.concat(parts);
  fields.writeUInt32LE(fields.length - lengthBytes, 0);
  return fields;
}

const traceHex = ({ traceId, spanId, flags }: TraceContext) =>
  `${traceId}${spanId}${flags.toString(16).padStart(2, "0")}`;

function sized(text: string): Buffer {
  const bytes = Buffer.from(`\0\0${text}`);
  bytes.writeUInt16LE(bytes.length - 2, 0);
  return bytes;
}

function sizedLong(text: string): Buffer {
  const bytes = Buffer.from(`\0\0\0\0${text}`);
  bytes.writeUInt32LE(bytes.length - 4, 0);
  return bytes;
}

export function decodeMessage(body: Buffer): StoredMessage {
  checkFormat(body);
  const start = headersStart(body);
  const end = headersEnd(body);
  return {
    publishedAt: publishedAtOf(body),
    key: keyOf(body),
    headers: end > start ? body.subarray(start, end) : noBytes,
    payload: body.subarray(payloadStart(body)),
  };
}

/** Throws for a body of another format than this version writes. */
export function checkFormat(body: Buffer): void {
  if (isMessage(body)) return;
  const detail = `A stored message has format ${body[0]}; this version reads ${plainVersion} and ${version}.`;
  throw new HotSwapError("log_corrupt", detail);
}

/** Not a mark of the delay log, which is JSON text. */
export const isMessage = (body: Buffer): boolean => body[0] === plainVersion || body[0] === version;

export const headersStart = (body: Buffer): number => prefixBytes + body.readUInt16LE(10);
export const headersEnd = (body: Buffer): number => headersStart(body) + body.readUInt32LE(12);

export function payloadStart(body: Buffer): number {
  const end = headersEnd(body);
  return flagsIn(body) === 0 ? end : end + lengthBytes + body.readUInt32LE(end);
}

export const publishedAtOf = (body: Buffer): number => body.readDoubleLE(2);

/** Only the key: all that ordering needs. */
export function keyOf(body: Buffer): string | undefined {
  const bytes = body[10]! | (body[11]! << 8);
  return bytes === 0 ? undefined : body.toString("utf8", prefixBytes, prefixBytes + bytes);
}

/** Version 1 wrote no fields, and 0 for the flags. */
const flagsIn = (body: Buffer): number => body[1]!;

export const hasFields = (body: Buffer): boolean => flagsIn(body) !== 0;

/** Whether the payload is something else than JSON text. */
export const isOpaque = (body: Buffer): boolean => (flagsIn(body) & flag.opaque) !== 0;

export function priorityOf(body: Buffer): number {
  return flagsIn(body) & flag.priority ? body[headersEnd(body) + lengthBytes]! : 0;
}

/** Wall-clock milliseconds from which on it is not delivered any more; undefined when it never expires. */
export function expiresAtOf(body: Buffer): number | undefined {
  const flags = flagsIn(body);
  if (!(flags & flag.expiresAt)) return undefined;
  return body.readDoubleLE(headersEnd(body) + lengthBytes + (flags & flag.priority ? 1 : 0));
}

export interface Schedule {
  deliverAt: number;
  /** Where it waited in the topic's delay log; -1 while it waits there. */
  source: number;
}

export function scheduleOf(body: Buffer): Schedule | undefined {
  const at = scheduleStart(body);
  if (at < 0) return undefined;
  return { deliverAt: body.readDoubleLE(at), source: body.readDoubleLE(at + 8) };
}

/** The message that waited at `source`, as it is published now. */
export function withSchedule(body: Buffer, publishedAt: number, source: number): Buffer {
  const copy = Buffer.from(body);
  copy.writeDoubleLE(publishedAt, 2);
  copy.writeDoubleLE(source, scheduleStart(body) + 8);
  return copy;
}

function scheduleStart(body: Buffer): number {
  const flags = flagsIn(body);
  if (!(flags & flag.schedule)) return -1;
  const before = (flags & flag.priority ? 1 : 0) + (flags & flag.expiresAt ? 8 : 0);
  return headersEnd(body) + lengthBytes + before;
}

export function traceOf(body: Buffer): TraceContext | undefined {
  if (!(flagsIn(body) & flag.trace)) return undefined;
  const at = fixedEnd(body);
  const state = textAt(body, at + traceBytes);
  return {
    traceId: body.toString("hex", at, at + 16),
    spanId: body.toString("hex", at + 16, at + 24),
    flags: body[at + 24]!,
    ...(state !== "" && { state }),
  };
}

export function contentTypeOf(body: Buffer): string | undefined {
  return flagsIn(body) & flag.contentType ? textAt(body, contentTypeStart(body)) : undefined;
}

export function idempotencyKeyOf(body: Buffer): string | undefined {
  return flagsIn(body) & flag.idempotencyKey ? textAt(body, idempotencyKeyStart(body)) : undefined;
}

export const isDeadLetter = (body: Buffer): boolean => (flagsIn(body) & flag.origin) !== 0;

/** JSON text of where a dead letter comes from. */
export function originOf(body: Buffer): string | undefined {
  if (!(flagsIn(body) & flag.origin)) return undefined;
  const at = originStart(body);
  return body.toString("utf8", at + 4, at + 4 + body.readUInt32LE(at));
}

function originStart(body: Buffer): number {
  const before = idempotencyKeyStart(body);
  return flagsIn(body) & flag.idempotencyKey ? textEnd(body, before) : before;
}

/** Where the fields of variable length begin. */
function fixedEnd(body: Buffer): number {
  const flags = flagsIn(body);
  const fixed =
    (flags & flag.priority ? 1 : 0) + (flags & flag.expiresAt ? 8 : 0) + (flags & flag.schedule ? 16 : 0);
  return headersEnd(body) + lengthBytes + fixed;
}

function contentTypeStart(body: Buffer): number {
  const at = fixedEnd(body);
  return flagsIn(body) & flag.trace ? textEnd(body, at + traceBytes) : at;
}

function idempotencyKeyStart(body: Buffer): number {
  const at = contentTypeStart(body);
  return flagsIn(body) & flag.contentType ? textEnd(body, at) : at;
}

const textEnd = (body: Buffer, at: number): number => at + 2 + body.readUInt16LE(at);
const textAt = (body: Buffer, at: number): string => body.toString("utf8", at + 2, textEnd(body, at));

/** The message as a dead letter: all its bytes, and where it comes from. It has none yet. */
export function withOrigin(body: Buffer, origin: Origin, deadLetteredAt: number): Buffer {
  const start = headersEnd(body);
  const payload = payloadStart(body);
  const fields = payload > start ? body.subarray(start + lengthBytes, payload) : noBytes;
  const added = sizedLong(JSON.stringify(origin));
  const head = Buffer.from(body.subarray(0, start));
  head[0] = version;
  head[1] = flagsIn(body) | flag.origin;
  head.writeDoubleLE(deadLetteredAt, 2);
  const length = Buffer.allocUnsafe(lengthBytes);
  length.writeUInt32LE(fields.length + added.length, 0);
  return Buffer.concat([head, length, fields, added, body.subarray(payload)]);
}

/** The very message that `withOrigin` was given. */
export function withoutOrigin(body: Buffer, publishedAt: number): Buffer {
  const flags = flagsIn(body) & ~flag.origin;
  const start = headersEnd(body);
  const head = Buffer.from(body.subarray(0, start));
  head[0] = flags === 0 ? plainVersion : version;
  head[1] = flags;
  head.writeDoubleLE(publishedAt, 2);
  const payload = body.subarray(payloadStart(body));
  if (flags === 0) return Buffer.concat([head, payload]);
  const fields = body.subarray(start + lengthBytes, originStart(body));
  const length = Buffer.allocUnsafe(lengthBytes);
  length.writeUInt32LE(fields.length, 0);
  return Buffer.concat([head, length, fields, payload]);
}
