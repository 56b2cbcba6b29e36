/**
 * From the bytes of a request to messages: checks what was sent against its schema and keeps each payload's
 * own bytes. One message, a batch, or one line of a stream come out as the same thing.
 */
import { type Static, Type } from "typebox";
import { HotSwapError } from "../core/errors.ts";
import { parseJson } from "../platform/http/body.ts";
import { validator } from "../platform/http/validation.ts";
import type { NewMessage } from "./message.ts";
import { rawElements, rawMembers } from "./raw-json.ts";
import { topicName } from "./topics.schema.ts";

const key = Type.String({ minLength: 1, maxLength: 512, description: "Messages of one key stay in order." });
const headers = Type.Record(Type.String({ minLength: 1, maxLength: 128 }), Type.String({ maxLength: 4096 }), {
  maxProperties: 64,
  description: "Strings by name; delivered with the message, not interpreted.",
});
const payload = Type.Unknown({ description: "Any JSON value; stored and delivered byte for byte." });

export const messageLine = Type.Object(
  { payload, key: Type.Optional(key), headers: Type.Optional(headers) },
  { additionalProperties: false },
);
const single = Type.Object(
  { topic: topicName, payload, key: Type.Optional(key), headers: Type.Optional(headers) },
  { additionalProperties: false },
);
const batch = Type.Object(
  { topic: topicName, messages: Type.Array(messageLine, { minItems: 1, maxItems: 10_000 }) },
  { additionalProperties: false },
);
export const publishBody = Type.Union([single, batch]);

const validateSingle = validator(single, "body");
const validateBatch = validator(batch, "body");
const validateLine = validator(messageLine, "body");

export interface PublishLimits {
  jsonDepth: number;
  /** Of one message: payload and headers. */
  messageBytes: number;
  /** Messages of one request. */
  batch: number;
}

export interface PublishRequest {
  topic: string;
  messages: NewMessage[];
  isBatch: boolean;
}

export function parsePublish(bytes: Buffer, limits: PublishLimits): PublishRequest {
  const value = parseJson(bytes, limits.jsonDepth);
  const isBatch = typeof value === "object" && value !== null && "messages" in value;
  if (!isBatch) {
    const parsed = validateSingle(value) as Static<typeof single>;
    return { topic: parsed.topic, messages: [toMessage(parsed, bytes, limits, "")], isBatch };
  }
  const { topic, messages } = validateBatch(value) as Static<typeof batch>;
  refuseMore(messages.length, limits.batch, "/messages");
  const texts = rawElements(rawMembers(bytes).get("messages")!);
  return {
    topic,
    messages: messages.map((message, i) => toMessage(message, texts[i]!, limits, `/messages/${i}`)),
    isBatch,
  };
}

export function parseLine(line: Buffer, limits: PublishLimits): NewMessage {
  const parsed = validateLine(parseJson(line, limits.jsonDepth)) as Static<typeof messageLine>;
  return toMessage(parsed, line, limits, "");
}

/** The schema's bound is that of the protocol; an installation may set a smaller one. */
export function refuseMore(count: number, limit: number, pointer: string): void {
  if (count <= limit) return;
  const fields = [{ pointer, message: `may have ${limit} items at most` }];
  throw new HotSwapError("validation_failed", `${pointer} has ${count} items; ${limit} are allowed.`, {
    fields,
  });
}

function toMessage(
  parsed: Static<typeof messageLine>,
  text: Buffer,
  limits: PublishLimits,
  pointer: string,
): NewMessage {
  if (parsed.key?.isWellFormed() === false) {
    const fields = [{ pointer: `${pointer}/key`, message: "must be whole characters" }];
    throw new HotSwapError("validation_failed", "A key must be whole characters.", { fields });
  }
  const members = rawMembers(text);
  const raw = members.get("payload")!;
  const size = raw.length + (members.get("headers")?.length ?? 0);
  if (size > limits.messageBytes) {
    const detail = `Payload and headers may have ${limits.messageBytes} bytes together.`;
    throw new HotSwapError("message_too_large", detail, {
      fields: [{ pointer: `${pointer}/payload`, message: `has ${size} bytes with the headers` }],
    });
  }
  return { key: parsed.key, headers: parsed.headers, payload: raw };
}
