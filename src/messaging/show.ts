/**
 * Messages as JSON text, put together from bytes: the payload and headers are copied as they are stored and
 * never parsed. One buffer an answer; its size is known before a byte is written.
 */

import type { Delivery, Received } from "./delivery/subscription.ts";
import { formatMessageId } from "./ids.ts";
import { decodeMessage, type StoredMessage } from "./message.ts";

interface Piece {
  before: string;
  stored: StoredMessage;
  after: string;
}

const headersMember = Buffer.from(`,"headers":`);
const noHeaders = Buffer.from(`{}`);
const payloadMember = Buffer.from(`,"payload":`);

/** `{"messages": […]}` of a receive. */
export function showReceived(
  topic: { name: string; number: number },
  { deliveries, expiresAt }: Received,
): Buffer {
  const leaseExpiresAt = new Date(expiresAt).toISOString();
  return join(
    deliveries.map(({ partition, offset, body, attempt, receipt, lastReason }: Delivery) => {
      const stored = decodeMessage(body);
      const reason = lastReason === undefined ? "" : `,"lastReason":${JSON.stringify(lastReason)}`;
      const after = `,"attempt":${attempt},"receipt":"${receipt}","leaseExpiresAt":"${leaseExpiresAt}"${reason}}`;
      return { before: head(topic, partition, offset, stored), stored, after };
    }),
    `{"messages":[`,
    "]}",
  );
}

/** `{"messages": […]}` of a peek: no attempt, no receipt. */
export function showStored(
  topic: { name: string; number: number },
  records: readonly { partition: number; offset: number; body: Buffer }[],
): Buffer {
  return join(
    records.map((record) => storedPiece(topic, record)),
    `{"messages":[`,
    "]}",
  );
}

export function showOne(
  topic: { name: string; number: number },
  record: { partition: number; offset: number; body: Buffer },
): Buffer {
  return join([storedPiece(topic, record)], "", "");
}

function storedPiece(
  topic: { name: string; number: number },
  { partition, offset, body }: { partition: number; offset: number; body: Buffer },
): Piece {
  const stored = decodeMessage(body);
  return { before: head(topic, partition, offset, stored), stored, after: "}" };
}

function head(
  topic: { name: string; number: number },
  partition: number,
  offset: number,
  stored: StoredMessage,
): string {
  const id = formatMessageId(topic.number, partition, offset);
  const key = stored.key === undefined ? "null" : JSON.stringify(stored.key);
  const publishedAt = new Date(stored.publishedAt).toISOString();
  // A topic's name needs no escaping: its alphabet has neither quotes nor backslashes.
  return (
    `{"messageId":"${id}","topic":"${topic.name}","partition":${partition},"offset":${offset},` +
    `"key":${key},"publishedAt":"${publishedAt}"`
  );
}

function join(pieces: readonly Piece[], open: string, close: string): Buffer {
  let size = open.length + close.length + pieces.length;
  for (const { before, stored, after } of pieces) {
    // A UTF-16 unit takes at most three bytes of UTF-8.
    size += (before.length + after.length) * 3 + headersMember.length + payloadMember.length;
    size += Math.max(stored.headers.length, noHeaders.length) + stored.payload.length;
  }
  const target = Buffer.allocUnsafe(size);
  let at = target.write(open);
  pieces.forEach(({ before, stored, after }, index) => {
    if (index > 0) target[at++] = 0x2c;
    at += target.write(before, at);
    at += headersMember.copy(target, at);
    at += (stored.headers.length > 0 ? stored.headers : noHeaders).copy(target, at);
    at += payloadMember.copy(target, at);
    at += stored.payload.copy(target, at);
    at += target.write(after, at);
  });
  at += target.write(close, at);
  return target.subarray(0, at);
}
