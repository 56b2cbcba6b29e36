/** Schemas of messages, receipts and settlements as the API shows them. */
import { Type } from "typebox";
import { problemReference } from "../platform/http/openapi.ts";
import { durabilities } from "../stores/log/port.ts";
import { causes, fieldLimits } from "./message.ts";
import { topicName } from "./topics.schema.ts";

const strict = { additionalProperties: false } as const;
const timestamp = Type.String({ format: "date-time" });

export const messageId = Type.String({
  minLength: 5,
  maxLength: 64,
  description: "As the publish answered it.",
});
export const receipt = Type.String({
  minLength: 7,
  maxLength: 80,
  description: "As it came with the message.",
});

/** Where a dead letter comes from. */
export const origin = Type.Object(
  {
    deadLetterId: Type.String({ description: "The same however often its move was begun." }),
    messageId,
    topic: topicName,
    partition: Type.Integer({ minimum: 0 }),
    offset: Type.Integer({ minimum: 0 }),
    subscription: topicName,
    cause: Type.Enum([...causes], {
      description:
        "`attempts`: tried as often as allowed. `rejected`: by a nack with `deadLetter`. `expired`: its time ended.",
    }),
    reason: Type.String({
      description: "What the last consumer said, that its lease expired, or `expired` for its time.",
    }),
    attempts: Type.Integer({ minimum: 0 }),
    publishedAt: timestamp,
    firstFailedAt: timestamp,
    lastFailedAt: timestamp,
    deadLetteredAt: timestamp,
  },
  { title: "DeadLetterOrigin" },
);

const place = { messageId, topic: topicName, partition: Type.Integer(), offset: Type.Integer() };
const content = {
  key: Type.Union([Type.String(), Type.Null()]),
  publishedAt: timestamp,
  headers: Type.Record(Type.String(), Type.String()),
  payload: Type.Optional(Type.Unknown()),
  payloadBase64: Type.Optional(
    Type.String({ description: "Instead of `payload`, when the content type is not JSON." }),
  ),
  priority: Type.Optional(Type.Integer({ minimum: 0, maximum: fieldLimits.priority })),
  expiresAt: Type.Optional(timestamp),
  scheduledFor: Type.Optional(timestamp),
  idempotencyKey: Type.Optional(Type.String()),
  contentType: Type.Optional(Type.String({ description: "application/json when there is none." })),
  traceparent: Type.Optional(Type.String({ description: "The publisher's trace, by W3C Trace Context." })),
  tracestate: Type.Optional(Type.String()),
  origin: Type.Optional(origin),
};

export const publishReceipt = Type.Object(
  {
    ...place,
    durability: Type.Enum([...durabilities], { description: "The level that was reached." }),
    duplicate: Type.Optional(
      Type.Literal(true, { description: "The idempotency key was published before; this is its message." }),
    ),
  },
  { title: "PublishReceipt" },
);
/** Of a message that waits for its time: it has a place in the topic only then. */
export const scheduledReceipt = Type.Object(
  {
    messageId,
    topic: topicName,
    scheduledFor: Type.Optional(timestamp),
    durability: publishReceipt.properties.durability,
    duplicate: publishReceipt.properties.duplicate,
  },
  { title: "ScheduledReceipt" },
);
/** Of a stream: what became of the line in the same place. */
export const publishedLine = Type.Union([
  publishReceipt,
  scheduledReceipt,
  Type.Object({ error: Type.Unsafe(problemReference) }),
]);
export const storedMessage = Type.Object({ ...place, ...content }, { title: "StoredMessage" });
export const scheduledMessage = Type.Object(
  {
    messageId,
    topic: topicName,
    ...content,
    scheduledFor: timestamp,
  },
  { title: "ScheduledMessage" },
);
export const receivedMessages = Type.Object({
  messages: Type.Array(
    Type.Object({
      ...place,
      ...content,
      attempt: Type.Integer({ minimum: 1 }),
      receipt,
      leaseExpiresAt: timestamp,
      lastReason: Type.Optional(Type.String({ description: "Of the nack that gave it back last." })),
    }),
  ),
});

export const settleMax = 10_000;
const receipts = Type.Array(receipt, { minItems: 1, maxItems: settleMax });
const delayMs = Type.Integer({
  minimum: 0,
  maximum: 86_400_000,
  description: "Until the next delivery; by default the subscription's back-off.",
});
const reason = Type.String({ maxLength: 1024 });
const seconds = Type.Integer({ minimum: 1, maximum: 43_200, description: "From now on." });

export const ackOne = Type.Object({ receipt }, strict);
export const ackMany = Type.Object({ receipts }, strict);
export const nackOne = Type.Object(
  {
    receipt,
    delayMs: Type.Optional(delayMs),
    reason: Type.Optional(reason),
    deadLetter: Type.Optional(
      Type.Boolean({ description: "It will never do: straight to the topic's dead-letter queue." }),
    ),
    release: Type.Optional(
      Type.Boolean({ description: "It was not tried: back at once, and it does not count as an attempt." }),
    ),
  },
  strict,
);
export const nackMany = Type.Object(
  { items: Type.Array(nackOne, { minItems: 1, maxItems: settleMax }) },
  strict,
);
export const extendMany = Type.Object({ receipts, seconds }, strict);

export const settled = Type.Object(
  {
    settled: Type.Integer({ description: "How many receipts counted." }),
    alreadySettled: Type.Integer({ description: "Messages that were settled before; nothing changed." }),
    failed: Type.Array(Type.Object({ receipt, code: Type.String(), detail: Type.String() })),
  },
  { title: "Settled" },
);

/** Who consumes, where that is asked for. */
export const consumerNames = {
  consumer: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 128,
      description:
        "Who consumes; the same name is the same consumer, over connections too. Default: of a pull the token's " +
        "subject; of a stream and of events each connection is a consumer of its own.",
    }),
  ),
  consumerPriority: Type.Integer({
    minimum: 0,
    maximum: 9,
    default: 0,
    description: "Larger goes first with the strategies `priority` and `direct`.",
  }),
};

/** Of a connection whose consumer has no name. */
export const connectionName = (subject: string, requestId: string) => `${subject}#${requestId}`;
