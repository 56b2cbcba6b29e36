/** Schemas of subscriptions as the API shows them. */
import { Type } from "typebox";
import { INTEGER_MAX } from "../core/bounds.ts";
import { consumerKinds } from "./delivery/consumers.ts";
import { messageStates, reasonCodes } from "./delivery/explain.ts";
import type { Filter } from "./delivery/filter.ts";
import { ackModes } from "./delivery/policy.ts";
import { topicName } from "./topics.schema.ts";

const strict = { additionalProperties: false } as const;

export const subscriptionName = topicName;

/** A day: what a message that waits longer needs is a schedule. */
const delayMaxMs = 86_400_000;
const delayMs = Type.Integer({ minimum: 0, maximum: delayMaxMs });

const ackDeadlineSeconds = Type.Integer({
  minimum: 1,
  maximum: 43_200,
  description: "How long a consumer has for a message before it goes to another.",
});
const backoff = Type.Union(
  [
    Type.Object({ delaysMs: Type.Array(delayMs, { minItems: 1, maxItems: 32 }) }, strict),
    Type.Object({ baseMs: Type.Integer({ minimum: 1, maximum: delayMaxMs }), maxMs: delayMs }, strict),
  ],
  {
    title: "Backoff",
    description:
      "Until the next delivery of a message that failed: the delay after each attempt, of which the last repeats " +
      "(`[0]` is at once); or a base that doubles up to a maximum. Default 2, 4, 8, 16 and 32 s.",
  },
);

const schemaVersion = Type.Union([Type.Integer({ minimum: 1, maximum: INTEGER_MAX }), Type.Null()], {
  description:
    "The version of the topic's schema that its consumers read by; shown before that is deprecated.",
});
const filterText =
  "Which messages it wants: `{header, …}` or `{payload: <JSONPath>, …}` with equals, in, prefix, exists, gt, gte, lt, " +
  "lte; joined by `{all: […]}`, `{any: […]}`, `{not: …}`. What does not fit counts as done. See docs/concepts/routing.md.";
/** Any depth: compileFilter knows what may be inside, and names the place of what may not. */
const filter = Type.Unsafe<Filter>({ type: "object", description: filterText });
const filterOrNull = Type.Unsafe<Filter | null>({
  type: ["object", "null"],
  description: `${filterText} Null for none.`,
});

/** What can be set when a subscription is made, and changed later. */
export const subscriptionSettings = {
  ackDeadlineSeconds: Type.Optional(ackDeadlineSeconds),
  ackMode: Type.Optional(
    Type.Enum([...ackModes], {
      description:
        "`at-least-once` (default): delivered until acknowledged. `at-most-once`: settled before it is handed out.",
    }),
  ),
  maxAttempts: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 1000,
      description:
        "Deliveries after which a failed message becomes a dead letter; default 6, 0 sets no limit.",
    }),
  ),
  backoff: Type.Optional(backoff),
  blockKeyOnDeadLetter: Type.Optional(
    Type.Boolean({
      description: "Messages behind a dead letter of their key wait until it was replayed or discarded.",
    }),
  ),
  deadLetterExpired: Type.Optional(
    Type.Boolean({
      description:
        "What expires becomes a dead letter with the cause `expired`, instead of being passed over. Default false.",
    }),
  ),
  schemaVersion: Type.Optional(schemaVersion),
  filter: Type.Optional(filterOrNull),
};

export const newSubscription = Type.Object(
  {
    name: subscriptionName,
    topic: topicName,
    ...subscriptionSettings,
    from: Type.Optional(
      Type.Enum(["earliest", "latest"], {
        description: "Where it begins; default latest: what is published from now on.",
      }),
    ),
  },
  { ...strict, title: "NewSubscription" },
);

export const subscriptionUpdate = Type.Object(subscriptionSettings, {
  ...strict,
  title: "SubscriptionUpdate",
});

export const subscription = Type.Object(
  {
    id: Type.String(),
    name: subscriptionName,
    topic: topicName,
    ackDeadlineSeconds,
    ackMode: Type.Enum([...ackModes]),
    maxAttempts: Type.Integer(),
    backoff,
    blockKeyOnDeadLetter: Type.Boolean(),
    deadLetterExpired: Type.Boolean(),
    schemaVersion,
    filter: Type.Optional(filter),
    preview: Type.Optional(
      Type.Object(
        { looked: Type.Integer(), matched: Type.Integer(), messageIds: Type.Array(Type.String()) },
        { description: "With ?dryRun=true and a filter: which of the newest messages would fit." },
      ),
    ),
    version: Type.Integer(),
    createdAt: Type.String({ format: "date-time" }),
    updatedAt: Type.String({ format: "date-time" }),
  },
  { title: "Subscription" },
);

const offset = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const partition = Type.Integer({ minimum: 0, maximum: 255 });

/** Exactly one of `to`, `time`, and `partition` with `offset`. */
export const seekTarget = Type.Object(
  {
    to: Type.Optional(Type.Enum(["earliest", "latest"])),
    time: Type.Optional(
      Type.String({ format: "date-time", description: "The first message of that time or later." }),
    ),
    partition: Type.Optional(partition),
    offset: Type.Optional({ ...offset, description: "In this partition; the others stay where they are." }),
  },
  {
    ...strict,
    minProperties: 1,
    dependentRequired: { partition: ["offset"], offset: ["partition"] },
    description: "One of `to`, `time`, and `partition` with `offset`.",
  },
);

export const seekResult = Type.Object({
  id: Type.String(),
  name: subscriptionName,
  topic: topicName,
  partitions: Type.Array(Type.Object({ partition, offset }), {
    description: "Where it goes on in each partition.",
  }),
});

const timestamp = Type.String({ format: "date-time" });
const count = Type.Integer({ minimum: 0 });

export const subscriptionExplanation = Type.Object(
  {
    subscription: subscriptionName,
    topic: topicName,
    depth: count,
    inFlight: count,
    delayed: count,
    reasons: Type.Array(
      Type.Object({ code: Type.Enum([...reasonCodes]), messages: count, detail: Type.String() }),
      {
        description: "What keeps messages back, and how many.",
      },
    ),
    consumers: Type.Array(
      Type.Object({
        name: Type.String(),
        via: Type.Enum([...consumerKinds]),
        state: Type.Enum(["active", "standby", "stalled", "gone"], {
          description:
            "`stalled`: its leases run out and it settles nothing. `standby`: another one has the topic's `direct`.",
        }),
        priority: Type.Integer(),
        inFlight: count,
        waiting: count,
        delivered: count,
        acked: count,
        lastSeen: timestamp,
      }),
    ),
    push: Type.Union(
      [Type.Object({ status: Type.String(), reason: Type.Union([Type.String(), Type.Null()]) }), Type.Null()],
      { description: "Of its webhook, when its status last changed; null without one." },
    ),
  },
  { title: "SubscriptionExplanation" },
);

export const messageExplanation = Type.Object(
  {
    messageId: Type.String(),
    topic: topicName,
    subscription: subscriptionName,
    state: Type.Enum([...messageStates, "dead-lettered"]),
    detail: Type.String(),
    attempts: count,
    consumer: Type.Optional(Type.String()),
    until: Type.Optional(timestamp),
    blockedBy: Type.Optional(Type.Object({ messageId: Type.String(), state: Type.String() })),
    mismatch: Type.Optional(Type.Object({ pointer: Type.String(), condition: Type.String() })),
    lastReason: Type.Optional(Type.String()),
    deadLetterId: Type.Optional(Type.String()),
    deadLetter: Type.Optional(Type.String({ description: "Its id in the dead-letter queue." })),
  },
  { title: "MessageExplanation" },
);
