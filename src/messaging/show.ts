/**
 * Messages as JSON text, put together from bytes: the payload and headers are copied as they are stored and
 * never parsed. One buffer an answer; its size is known before a byte is written. This runs once per delivered
 * message, so it makes no view of a stored message and writes all text between two payloads at once.
 */
import type { Received } from "./delivery/subscription.ts";
import { formatMessageId } from "./ids.ts";
import { checkFormat, headersStart, keyOf, payloadStart, publishedAtOf } from "./message.ts";

interface TopicNames {
  name: string;
  number: number;
}

interface Shown {
  partition: number;
  offset: number;
  body: Buffer;
}

/** `{"messages": […]}` of a receive. */
export function showReceived(topic: TopicNames, { deliveries, expiresAt }: Received): Buffer {
  const leaseExpiresAt = new Date(expiresAt).toISOString();
  const after = deliveries.map(({ attempt, receipt, lastReason }) => {
    const reason = lastReason === undefined ? "" : `,"lastReason":${JSON.stringify(lastReason)}`;
    return `,"attempt":${attempt},"receipt":"${receipt}","leaseExpiresAt":"${leaseExpiresAt}"${reason}}`;
  });
  return join(topic, deliveries, after, `{"messages":[`, "]}");
}

/** `{"messages": […]}` of a peek: no attempt, no receipt. */
export function showStored(topic: TopicNames, records: readonly Shown[]): Buffer {
  const after = records.map(() => "}");
  return join(topic, records, after, `{"messages":[`, "]}");
}

export function showOne(topic: TopicNames, record: Shown): Buffer {
  return join(topic, [record], ["}"], "", "");
}

function join(
  topic: TopicNames,
  shown: readonly Shown[],
  after: string[],
  open: string,
  close: string,
): Buffer {
  const dates = new DateText();
  // What stands before each payload: the end of the message in front of it, and its own beginning.
  const before = shown.map(({ partition, offset, body }, index) => {
    checkFormat(body);
    const end = index === 0 ? open : `${after[index - 1]},`;
    return `${end}${head(topic, partition, offset, body, dates)}`;
  });
  const last = `${after.at(-1) ?? open}${close}`;
  // A UTF-16 unit takes at most three bytes of UTF-8.
  const textUnits = before.reduce((sum, text) => sum + text.length, last.length);
  const target = Buffer.allocUnsafe(shown.reduce((sum, { body }) => sum + body.length + 16, textUnits * 3));
  let at = 0;
  shown.forEach(({ body }, index) => {
    at += target.write(before[index]!, at);
    const payload = payloadStart(body);
    const headers = headersStart(body);
    if (payload > headers) {
      at += body.copy(target, at, headers, payload);
      at += target.write(`,"payload":`, at);
    }
    at += body.copy(target, at, payload);
  });
  at += target.write(last, at);
  return target.subarray(0, at);
}

/** Everything up to the headers, or to the payload when there are none. */
function head(topic: TopicNames, partition: number, offset: number, body: Buffer, dates: DateText): string {
  const id = formatMessageId(topic.number, partition, offset);
  const key = keyOf(body);
  const headers = payloadStart(body) > headersStart(body) ? "" : `{},"payload":`;
  // A topic's name needs no escaping: its alphabet has neither quotes nor backslashes.
  return (
    `{"messageId":"${id}","topic":"${topic.name}","partition":${partition},"offset":${offset},` +
    `"key":${key === undefined ? "null" : JSON.stringify(key)},"publishedAt":"${dates.of(publishedAtOf(body))}",` +
    `"headers":${headers}`
  );
}

/** Messages that were published together share their millisecond, and its text costs more than a look. */
class DateText {
  #ms = Number.NaN;
  #text = "";

  of(ms: number): string {
    if (ms !== this.#ms) {
      this.#ms = ms;
      this.#text = new Date(ms).toISOString();
    }
    return this.#text;
  }
}
