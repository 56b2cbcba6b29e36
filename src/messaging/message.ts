/**
 * A message as the log keeps it: one opaque body of the log holds publish time, key, headers and the payload's
 * own bytes, which are never parsed or written anew on the way to a consumer.
 *
 *   byte 0        1        2 … 9          10 … 11     12 … 15        16 …
 *       version   flags    publishedAt    key bytes   header bytes   key, headers (JSON text), payload (JSON text)
 *
 * Integers are little-endian; publishedAt is milliseconds since 1970 as a double.
 */
import { HotSwapError } from "../core/errors.ts";

const version = 1;
const prefixBytes = 16;
const noBytes = Buffer.alloc(0);

/** What a publisher gives: the payload is valid JSON text, headers a JSON object of strings or undefined. */
export interface NewMessage {
  key: string | undefined;
  headers: Record<string, string> | undefined;
  payload: Buffer;
}

/** A stored message; the buffers are views on the log's own memory and must not be written to. */
export interface StoredMessage {
  publishedAt: number;
  key: string | undefined;
  /** JSON text of the headers; empty when there are none. */
  headers: Buffer;
  /** JSON text. */
  payload: Buffer;
}

export function encodeMessage(message: NewMessage, publishedAt: number): Buffer {
  const { key = "", payload } = message;
  const keyBytes = key === "" ? 0 : Buffer.byteLength(key);
  const headers = message.headers ? JSON.stringify(message.headers) : "";
  const headerBytes = headers === "" ? 0 : Buffer.byteLength(headers);
  const body = Buffer.allocUnsafe(prefixBytes + keyBytes + headerBytes + payload.length);
  body[0] = version;
  body[1] = 0;
  body.writeDoubleLE(publishedAt, 2);
  body.writeUInt16LE(keyBytes, 10);
  body.writeUInt32LE(headerBytes, 12);
  if (keyBytes > 0) body.write(key, prefixBytes);
  if (headerBytes > 0) body.write(headers, prefixBytes + keyBytes);
  payload.copy(body, prefixBytes + keyBytes + headerBytes);
  return body;
}

export function decodeMessage(body: Buffer): StoredMessage {
  checkFormat(body);
  const headers = headersStart(body);
  const payload = payloadStart(body);
  return {
    publishedAt: publishedAtOf(body),
    key: keyOf(body),
    headers: payload > headers ? body.subarray(headers, payload) : noBytes,
    payload: body.subarray(payload),
  };
}

/** Throws for a body of another format than this version writes. */
export function checkFormat(body: Buffer): void {
  if (body[0] === version) return;
  throw new HotSwapError(
    "log_corrupt",
    `A stored message has format ${body[0]}; this version reads ${version}.`,
  );
}

export const headersStart = (body: Buffer): number => prefixBytes + body.readUInt16LE(10);
export const payloadStart = (body: Buffer): number => headersStart(body) + body.readUInt32LE(12);

export const publishedAtOf = (body: Buffer): number => body.readDoubleLE(2);

/** Only the key: all that ordering needs. */
export function keyOf(body: Buffer): string | undefined {
  const bytes = body[10]! | (body[11]! << 8);
  return bytes === 0 ? undefined : body.toString("utf8", prefixBytes, prefixBytes + bytes);
}
