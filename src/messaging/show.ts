/**
 * Messages as JSON text, put together from bytes: the payload and headers are copied as they are stored and
 * never parsed. One buffer an answer; its size is known before a byte is written. This runs once per delivered
 * message, so it makes no view of a stored message and writes all text between two payloads at once.
 */
import { formatTraceparent } from "../platform/telemetry/index.ts";
import { delayPartition } from "./delivery/delay-log.ts";
import type { Received } from "./delivery/delivered.ts";
import { replayPartition } from "./delivery/lanes.ts";
import { formatMessageId } from "./ids.ts";
import {
  checkFormat,
  contentTypeOf,
  expiresAtOf,
  hasFields,
  headersEnd,
  headersStart,
  idempotencyKeyOf,
  isOpaque,
  keyOf,
  type Origin,
  originOf,
  payloadStart,
  priorityOf,
  publishedAtOf,
  scheduleOf,
  traceOf,
} from "./message.ts";

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

/** A page of what waits: `{"items": […], "next": …}`. */
export function showScheduled(topic: TopicNames, waiting: readonly Shown[], next: string | null): Buffer {
  const after = waiting.map(() => "}");
  return join(topic, waiting, after, `{"items":[`, `],"next":${JSON.stringify(next)}}`);
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
  const target = Buffer.allocUnsafe(shown.reduce((sum, { body }) => sum + sizeOf(body), textUnits * 3));
  let at = 0;
  shown.forEach(({ body }, index) => {
    at += target.write(before[index]!, at);
    const start = headersStart(body);
    const end = headersEnd(body);
    if (end > start) {
      at += body.copy(target, at, start, end);
      at += target.write(payloadName(body), at);
    }
    const payload = payloadStart(body);
    if (!isOpaque(body)) at += body.copy(target, at, payload);
    else at += target.write(`"${body.toString("base64", payload)}"`, at);
  });
  at += target.write(last, at);
  return target.subarray(0, at);
}

/** Room for headers and payload: base64 takes four bytes for three. */
const sizeOf = (body: Buffer) => (isOpaque(body) ? Math.ceil(body.length / 3) * 4 : body.length) + 24;

const payloadName = (body: Buffer) => (isOpaque(body) ? `,"payloadBase64":` : `,"payload":`);

/** Everything up to the headers, or to the payload when there are none. */
function head(topic: TopicNames, partition: number, offset: number, body: Buffer, dates: DateText): string {
  if (partition === replayPartition) return replayedHead(topic, body, dates);
  const id = formatMessageId(topic.number, partition, offset);
  return headOf(topic, id, partition, offset, body, dates.of(publishedAtOf(body)));
}

/** A dead letter that is delivered again is the message that it was. */
function replayedHead(topic: TopicNames, body: Buffer, dates: DateText): string {
  const { messageId, partition, offset, publishedAt } = JSON.parse(originOf(body)!) as Origin;
  return headOf(topic, messageId, partition, offset, body, dates.of(Date.parse(publishedAt)));
}

function headOf(
  topic: TopicNames,
  id: string,
  partition: number,
  offset: number,
  body: Buffer,
  publishedAt: string,
): string {
  // What waits for its time has no place in the topic yet.
  const place = partition === delayPartition ? "" : `"partition":${partition},"offset":${offset},`;
  const key = keyOf(body);
  const headers = headersEnd(body) > headersStart(body) ? "" : `{}${payloadName(body)}`;
  const fields = hasFields(body) ? fieldsText(body) : "";
  // A topic's name needs no escaping: its alphabet has neither quotes nor backslashes.
  return (
    `{"messageId":"${id}","topic":"${topic.name}",${place}` +
    `"key":${key === undefined ? "null" : JSON.stringify(key)},"publishedAt":"${publishedAt}",` +
    `${fields}"headers":${headers}`
  );
}

/** What most messages do not have; each member with a comma behind it. */
export function fieldsText(body: Buffer): string {
  const expiresAt = expiresAtOf(body);
  const schedule = scheduleOf(body);
  const trace = traceOf(body);
  const text = (name: string, value: string | undefined) =>
    value === undefined ? "" : `"${name}":${JSON.stringify(value)},`;
  const origin = originOf(body);
  return (
    `"priority":${priorityOf(body)},` +
    text("expiresAt", expiresAt === undefined ? undefined : new Date(expiresAt).toISOString()) +
    text("scheduledFor", schedule && new Date(schedule.deliverAt).toISOString()) +
    text("idempotencyKey", idempotencyKeyOf(body)) +
    text("contentType", contentTypeOf(body)) +
    text("traceparent", trace && formatTraceparent(trace)) +
    text("tracestate", trace?.state) +
    (origin === undefined ? "" : `"origin":${origin},`)
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
