/**
 * Messages as CloudEvents 1.0. What came in as an event goes out as the same event; any other message becomes one:
 * its id, `/topics/<name>` as source, `hotswap.message` as type. Payloads are copied, never parsed. The mapping is in
 * docs/reference/cloudevents.md.
 */
import type { Delivery } from "./delivery/delivered.ts";
import { formatMessageId } from "./ids.ts";
import {
  contentTypeOf,
  headersEnd,
  headersStart,
  isOpaque,
  keyOf,
  payloadStart,
  publishedAtOf,
} from "./message.ts";

/** Headers of a message that are attributes of its event. */
export const attributePrefix = "ce-";
/** RFC: lower-case letters and digits; the length is what the specification recommends. */
export const attributeName = /^[a-z0-9]{1,20}$/;

interface TopicNames {
  name: string;
  number: number;
}

type Stored = Pick<Delivery, "partition" | "offset" | "body">;
type Attributes = Record<string, string | number>;

/** One event of the structured format; `lease` adds attributes of its own. */
export function eventText(topic: TopicNames, stored: Stored, lease: Attributes = {}): Buffer {
  const { body } = stored;
  const attributes = { ...attributesOf(topic, stored), ...lease };
  const type = contentTypeOf(body) ?? "application/json";
  const head = JSON.stringify({ ...attributes, datacontenttype: type }).slice(0, -1);
  const payload = payloadStart(body);
  const [name, data, end] = isOpaque(body)
    ? [`,"data_base64":"`, Buffer.from(body.toString("base64", payload)), `"}`]
    : [`,"data":`, body.subarray(payload), "}"];
  return Buffer.concat([Buffer.from(head + name), data, Buffer.from(end)]);
}

/** `[…]` of a receive: each event with what its consumer needs to settle it. */
export function eventBatch(topic: TopicNames, deliveries: readonly Delivery[], expiresAt: number): Buffer {
  const leaseexpiresat = new Date(expiresAt).toISOString();
  const events = deliveries.map((delivery, index) => {
    const { receipt, attempt } = delivery;
    const text = eventText(topic, delivery, { receipt, attempt, leaseexpiresat });
    return index === 0 ? [text] : [Buffer.from(","), text];
  });
  return Buffer.concat([Buffer.from("["), ...events.flat(), Buffer.from("]")]);
}

/** Header fields of the binary mode; values are percent-encoded as the HTTP binding says. */
export function eventHeaders(topic: TopicNames, stored: Stored): Record<string, string> {
  const attributes = Object.entries(attributesOf(topic, stored));
  return Object.fromEntries(
    attributes.map(([name, value]) => [`${attributePrefix}${name}`, percent(String(value))]),
  );
}

function attributesOf({ name, number }: TopicNames, { partition, offset, body }: Stored): Attributes {
  const start = headersStart(body);
  const end = headersEnd(body);
  const headers: Record<string, string> = end > start ? JSON.parse(body.toString("utf8", start, end)) : {};
  const own: Attributes = {};
  const others: Attributes = {};
  for (const [header, value] of Object.entries(headers)) {
    if (header.startsWith(attributePrefix)) own[header.slice(attributePrefix.length)] = value;
    else if (attributeName.test(header)) others[header] = value;
  }
  const key = keyOf(body);
  const usual = {
    specversion: "1.0",
    id: formatMessageId(number, partition, offset),
    source: `/topics/${name}`,
    type: "hotswap.message",
    time: new Date(publishedAtOf(body)).toISOString(),
  };
  const isEvent = own.id !== undefined && own.source !== undefined && own.type !== undefined;
  if (isEvent) return { specversion: "1.0", ...own, ...(key !== undefined && { partitionkey: key }) };
  return { ...others, ...(key !== undefined && { partitionkey: key }), ...usual };
}

/** Printable ASCII stays, but for space, quotes and the percent sign itself (HTTP binding 1.0.2, §3.1.3.2). */
function percent(value: string): string {
  return value.replaceAll(/[^!#$&-~]|%/gu, (character) =>
    Array.from(Buffer.from(character), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(
      "",
    ),
  );
}
