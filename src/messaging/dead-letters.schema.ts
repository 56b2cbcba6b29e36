/** Schemas of dead letters and their replays as the API shows them. */
import { Type } from "typebox";
import { causes } from "./message.ts";
import { messageId, storedMessage } from "./messages.schema.ts";
import { topicName } from "./topics.schema.ts";

const strict = { additionalProperties: false } as const;
const timestamp = Type.String({ format: "date-time" });
const count = Type.Integer({ minimum: 0 });
const cause = Type.Enum([...causes]);
const reason = Type.String({ maxLength: 1024 });

/** What both a list and a replay can be narrowed by. */
const simple = {
  reason: Type.Optional(reason),
  cause: Type.Optional(cause),
  subscription: Type.Optional(topicName),
  from: Type.Optional({ ...timestamp, description: "Dead-lettered at this time or later." }),
  to: Type.Optional({ ...timestamp, description: "Dead-lettered before this time." }),
};

export const deadLetterQuery = Type.Object(
  {
    ...simple,
    limit: Type.Integer({ minimum: 0, maximum: 1000, default: 50 }),
    cursor: Type.Optional(Type.String({ maxLength: 512 })),
  },
  strict,
);

export const deadLetterList = Type.Object({
  total: Type.Integer({ description: "How many wait and fit." }),
  complete: Type.Boolean({ description: "Whether all were looked at; otherwise the oldest 100,000." }),
  groups: Type.Array(
    Type.Object({
      subscription: topicName,
      cause,
      reason: Type.String(),
      count,
      firstAt: timestamp,
      lastAt: timestamp,
    }),
  ),
  messages: Type.Array(storedMessage),
  next: Type.Union([Type.String(), Type.Null()]),
});

const action = Type.Enum(["replay", "discard"], {
  description:
    "`replay`: delivered again to the subscription that failed. `discard`: dealt with, without delivery.",
});

export const newReplay = Type.Object(
  {
    ...simple,
    action: Type.Optional(action),
    messageIds: Type.Optional(
      Type.Array(messageId, {
        minItems: 1,
        maxItems: 1000,
        description: "Of the dead letters, or of what they were.",
      }),
    ),
    headers: Type.Optional(
      Type.Record(Type.String({ maxLength: 128 }), Type.String({ maxLength: 4096 }), {
        maxProperties: 16,
        description: "All of these, with exactly these values.",
      }),
    ),
    ratePerSecond: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
  },
  strict,
);

export const replay = Type.Object(
  {
    id: Type.String(),
    topic: topicName,
    action,
    status: Type.Enum(["running", "done", "cancelled", "failed"]),
    selection: Type.Unknown({ description: "As it was asked for." }),
    ratePerSecond: Type.Union([Type.Integer(), Type.Null()]),
    matched: Type.Integer({ description: "When it began." }),
    processed: Type.Integer({ description: "Dealt with so far." }),
    failed: Type.Integer({
      description: "Still in the queue: their subscription is gone, or a consumer holds them.",
    }),
    error: Type.Union([Type.String(), Type.Null()]),
    sample: Type.Optional(Type.Array(messageId, { description: "The first that fit, when it is created." })),
    createdBy: Type.String(),
    createdAt: timestamp,
    updatedAt: timestamp,
  },
  { title: "Replay" },
);

export const replayedMessage = Type.Object({ messageId, subscription: topicName });
