/**
 * From the bytes of a request to messages: checks what was sent against its schema and keeps each payload's
 * own bytes. One message, a batch, or one line of a stream come out as the same thing.
 */
import { type Static, Type } from "typebox";
import { HotSwapError } from "../core/errors.ts";
import { parseJson } from "../platform/http/body.ts";
import { validator } from "../platform/http/validation.ts";
import { extractTrace } from "../platform/telemetry/index.ts";
import { invalid } from "./invalid.ts";
import { fieldLimits, isJsonType, type NewMessage } from "./message.ts";
import { rawElements, rawMembers } from "./raw-json.ts";
import { topicName, ttlSecondsMax } from "./topics.schema.ts";

const delayMaxMs = ttlSecondsMax * 1000;
const key = Type.String({ minLength: 1, maxLength: 512, description: "Messages of one key stay in order." });
const headers = Type.Record(Type.String({ minLength: 1, maxLength: 128 }), Type.String({ maxLength: 4096 }), {
  maxProperties: 64,
  description: "Strings by name; delivered with the message, not interpreted.",
});
const payload = Type.Unknown({ description: "Any JSON value; stored and delivered byte for byte." });
const payloadBase64 = Type.String({
  contentEncoding: "base64",
  description: "Instead of `payload`, the bytes of a `contentType` that is not JSON.",
});
// RFC 9110 §8.3.1; parameters as printable text.
const contentType = Type.String({
  pattern: "^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+[ -~]*$",
  maxLength: fieldLimits.contentType,
  description: "Media type of the payload; application/json by default.",
});
const priority = Type.Integer({
  minimum: 0,
  maximum: fieldLimits.priority,
  description: "0 by default; larger is delivered first.",
});

const idempotencyKey = Type.String({
  minLength: 1,
  maxLength: fieldLimits.idempotencyKey,
  description:
    "Publishing it again within the topic's dedupWindowSeconds answers with the first message and `duplicate`.",
});
const ttlSeconds = Type.Integer({
  minimum: 1,
  maximum: ttlSecondsMax,
  description: "After this time it is not delivered any more; the topic's messageTtlSeconds by default.",
});
const delayMs = Type.Integer({
  minimum: 0,
  maximum: delayMaxMs,
  description: "Deliver it so much later. Not together with `deliverAt`.",
});
const deliverAt = Type.String({
  format: "date-time",
  description: "Deliver it then; a time that is past is now.",
});
const traceparentText = Type.String({
  pattern: "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]*)?$",
  maxLength: 512,
  description: "The trace it belongs to, by W3C Trace Context; the request's by default. Kept when sampled.",
});
const tracestateText = Type.String({
  pattern: "^[ -~]*$",
  maxLength: 512,
  description: "Beside `traceparent`.",
});

/** What a message may have besides key and payload. */
const fields = {
  contentType: Type.Optional(contentType),
  headers: Type.Optional(headers),
  priority: Type.Optional(priority),
  idempotencyKey: Type.Optional(idempotencyKey),
  ttlSeconds: Type.Optional(ttlSeconds),
  delayMs: Type.Optional(delayMs),
  deliverAt: Type.Optional(deliverAt),
  traceparent: Type.Optional(traceparentText),
  tracestate: Type.Optional(tracestateText),
};
const content = {
  payload: Type.Optional(payload),
  payloadBase64: Type.Optional(payloadBase64),
  key: Type.Optional(key),
  ...fields,
};
const strict = { additionalProperties: false } as const;
/** One of the two; that not both are there is for `payloadOf` to say, with a pointer. */
const withPayload = {
  ...strict,
  if: { required: ["payloadBase64"], properties: { payloadBase64: true } },
  else: { required: ["payload"], properties: { payload: true } },
} as const;

export const messageFields = Type.Object(fields, strict);
export const messageLine = Type.Object(content, { ...withPayload, title: "NewMessage" });
const single = Type.Object({ topic: topicName, ...content }, withPayload);
const batch = Type.Object(
  { topic: topicName, messages: Type.Array(messageLine, { minItems: 1, maxItems: 10_000 }) },
  strict,
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

export function parsePublish(
  bytes: Buffer,
  limits: PublishLimits,
  idempotencyKey: string | undefined,
): PublishRequest {
  const value = parseJson(bytes, limits.jsonDepth);
  const isBatch = typeof value === "object" && value !== null && "messages" in value;
  if (!isBatch) {
    const parsed = validateSingle(value) as Static<typeof single>;
    if (idempotencyKey !== undefined) parsed.idempotencyKey = theSame(parsed.idempotencyKey, idempotencyKey);
    return { topic: parsed.topic, messages: [toMessage(parsed, bytes, limits, "")], isBatch };
  }
  if (idempotencyKey !== undefined) throw manyUnderOneKey();
  const { topic, messages } = validateBatch(value) as Static<typeof batch>;
  refuseMore(messages.length, limits.batch, "/messages");
  const texts = rawElements(rawMembers(bytes).get("messages")!);
  return {
    topic,
    messages: messages.map((message, i) => toMessage(message, texts[i]!, limits, `/messages/${i}`)),
    isBatch,
  };
}

function theSame(said: string | undefined, header: string): string {
  if (said === undefined || said === header) return header;
  throw invalid("/idempotencyKey", "is another than that of the header Idempotency-Key");
}

/** Under one key only the first of them would be stored. */
export const manyUnderOneKey = (): HotSwapError =>
  invalid("header/Idempotency-Key", "goes with a single message; give each of several its idempotencyKey");

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
  for (const name of ["key", "idempotencyKey"] as const) {
    if (parsed[name]?.isWellFormed() === false)
      throw invalid(`${pointer}/${name}`, "must be whole characters");
  }
  const members = rawMembers(text);
  const bytes = payloadOf(parsed, members, pointer);
  const size = bytes.length + (members.get("headers")?.length ?? 0);
  if (size > limits.messageBytes) {
    const detail = `Payload and headers may have ${limits.messageBytes} bytes together.`;
    throw new HotSwapError("message_too_large", detail, {
      fields: [{ pointer: `${pointer}/payload`, message: `has ${size} bytes with the headers` }],
    });
  }
  return toNewMessage(parsed, parsed.key, bytes, pointer);
}

export function toNewMessage(
  fields: Static<typeof messageFields>,
  key: string | undefined,
  payload: Buffer,
  pointer = "",
): NewMessage {
  const { headers, priority, idempotencyKey, contentType, ttlSeconds, delayMs } = fields;
  const ttlMs = ttlSeconds === undefined ? undefined : ttlSeconds * 1000;
  if (fields.deliverAt !== undefined && delayMs !== undefined) {
    throw invalid(`${pointer}/deliverAt`, "cannot stand beside delayMs");
  }
  const deliverAt = fields.deliverAt === undefined ? undefined : Date.parse(fields.deliverAt);
  const { traceparent, tracestate } = fields;
  const trace = traceparent === undefined ? undefined : extractTrace({ traceparent, tracestate });
  if (traceparent !== undefined && !trace) {
    throw invalid(`${pointer}/traceparent`, "is not one of W3C Trace Context");
  }
  return { key, headers, payload, priority, ttlMs, idempotencyKey, contentType, delayMs, deliverAt, trace };
}

function payloadOf(
  parsed: Static<typeof messageLine>,
  members: Map<string, Buffer>,
  pointer: string,
): Buffer {
  const { payloadBase64: encoded, contentType: type } = parsed;
  const raw = members.get("payload");
  if ((raw === undefined) === (encoded === undefined)) {
    const problem = raw === undefined ? "is required" : "cannot stand beside /payloadBase64";
    throw invalid(`${pointer}/payload`, problem);
  }
  if (isJsonType(type) !== (raw !== undefined)) {
    throw invalid(
      `${pointer}/contentType`,
      "must be JSON with /payload, and something else with /payloadBase64",
    );
  }
  if (raw) return raw;
  const bytes = Buffer.from(encoded!, "base64");
  // Node reads over what is not base64; a payload that arrives changed is worse than none.
  if (bytes.toString("base64") !== encoded) throw invalid(`${pointer}/payloadBase64`, "is not base64");
  return bytes;
}
