/** What a webhook gets: messages as the API shows them, or CloudEvents. */
import { eventHeaders, eventText } from "../cloudevents.out.ts";
import type { Delivery } from "../delivery/delivered.ts";
import type { TopicSpec } from "../delivery/spec.ts";
import { contentTypeOf, payloadStart, publishedAtOf } from "../message.ts";
import { showOne } from "../show.ts";

export const pushFormats = ["json", "cloudevents", "cloudevents-binary"] as const;
export type PushFormat = (typeof pushFormats)[number];

export interface Content {
  headers: Record<string, string>;
  body: Buffer;
}

export function contentOf(
  format: PushFormat,
  topic: TopicSpec,
  deliveries: readonly Delivery[],
  inBatch: boolean,
): Content {
  const [first] = deliveries as readonly [Delivery, ...Delivery[]];
  if (format === "cloudevents-binary") {
    const { body } = first;
    const type = contentTypeOf(body) ?? "application/json";
    return {
      headers: { "content-type": type, ...eventHeaders(topic, first) },
      body: body.subarray(payloadStart(body)),
    };
  }
  if (format === "cloudevents") {
    const texts = deliveries.map((delivery) => eventText(topic, delivery));
    const kind = inBatch ? "cloudevents-batch" : "cloudevents";
    const parts = inBatch ? [Buffer.from("["), ...between(texts), Buffer.from("]")] : texts;
    return { headers: { "content-type": `application/${kind}+json` }, body: Buffer.concat(parts) };
  }
  const shown = deliveries.map((delivery) => showOne(topic, delivery));
  const timestamp = new Date(publishedAtOf(first.body)).toISOString();
  const [open, close] = inBatch
    ? [`{"type":"messages","timestamp":"${timestamp}","data":{"messages":[`, "]}}"]
    : [`{"type":"message","timestamp":"${timestamp}","data":`, "}"];
  const body = Buffer.concat([Buffer.from(open), ...between(shown), Buffer.from(close)]);
  return { headers: { "content-type": "application/json" }, body };
}

const comma = Buffer.from(",");
const between = (parts: readonly Buffer[]) =>
  parts.flatMap((part, index) => (index === 0 ? [part] : [comma, part]));
