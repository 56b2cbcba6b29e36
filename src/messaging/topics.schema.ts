/** Schemas of topics and subscriptions as the API shows them. */
import { Type } from "typebox";
import { INTEGER_MAX } from "../core/bounds.ts";
import { durabilities } from "../stores/log/port.ts";
import { balancings, strategies } from "./delivery/routing.ts";

export const topicName = Type.String({
  title: "TopicName",
  pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
  description: "Letters, digits, dot, dash and underscore; begins with a letter or digit; at most 128.",
});

const description = Type.String({ maxLength: 1024 });
const partitions = Type.Integer({ minimum: 1, maximum: 256, description: "May grow later, never shrink." });
const durability = Type.Enum([...durabilities], {
  description:
    "What a publish waits for: `memory` nothing, `os` survives the process, `fsync` survives power loss.",
});
const type = Type.Enum(["queue", "pubsub"], {
  description: "`queue`: one subscription named default, each message to one consumer. `pubsub`: any number.",
});

const dedupWindowSeconds = Type.Integer({
  minimum: 0,
  maximum: 86_400,
  description: "How long an idempotency key is remembered; 300 by default, 0 for not at all.",
});
/** Ten years: more is for ever. */
export const ttlSecondsMax = 315_360_000;
const messageTtlSeconds = Type.Union([Type.Integer({ minimum: 1, maximum: ttlSecondsMax }), Type.Null()], {
  description: "After this time a message is not delivered any more, unless it says its own; null for never.",
});

const retentionSeconds = Type.Union([Type.Integer({ minimum: 0, maximum: ttlSecondsMax }), Type.Null()], {
  description:
    "How long messages are kept. 0: until they are done, the default of a queue; null: while there is room, the " +
    "default of pubsub. Whole segments go, so more may stay for a while.",
});
const retentionBytes = Type.Union([Type.Integer({ minimum: 1, maximum: 2 ** 50 }), Type.Null()], {
  description: "Of all partitions together: beyond it the oldest messages go; null for no limit.",
});
const retain = Type.Enum(["unacknowledged", "limits"], {
  description:
    "`unacknowledged`: the limits spare what a subscription has not finished. `limits`: they do not.",
});
const subject = Type.String({ pattern: "^[A-Za-z0-9_:][A-Za-z0-9._:-]{0,254}$" });
const schemaVersion = Type.Union([Type.Integer({ minimum: 1, maximum: INTEGER_MAX }), Type.Null()], {
  description: "null, the default: the latest in force.",
});
const enforcement = Type.Enum(["strict", "warn"], {
  description: "`strict`, the default, refuses what does not fit; `warn` only counts it.",
});
const aboutSchema = { description: "The schema that every message must fit; null for none." };
const givenSchema = Type.Union(
  [
    Type.Object(
      { subject, version: Type.Optional(schemaVersion), enforcement: Type.Optional(enforcement) },
      { additionalProperties: false },
    ),
    Type.Null(),
  ],
  aboutSchema,
);
const schema = Type.Union(
  [Type.Object({ subject, version: schemaVersion, enforcement }), Type.Null()],
  aboutSchema,
);
const strategy = Type.Enum([...strategies], {
  description:
    "How messages find consumers. Default `load-balanced` for a queue, `fan-out` for pubsub. `direct`: one consumer " +
    "gets all, the next takes over. `priority`: larger priorities first; fixed at creation. `content-based`: every " +
    "subscription has a filter.",
});
const balancing = Type.Enum([...balancings], {
  description:
    "Of a load-balanced queue: consumers take turns (default), or who holds least is served first.",
});

/** What may be given at creation and changed later. */
const policies = {
  dedupWindowSeconds,
  messageTtlSeconds,
  retentionSeconds,
  retentionBytes,
  retain,
  schema,
  strategy,
  balancing,
};
const optionalPolicies = {
  dedupWindowSeconds: Type.Optional(dedupWindowSeconds),
  messageTtlSeconds: Type.Optional(messageTtlSeconds),
  retentionSeconds: Type.Optional(retentionSeconds),
  retentionBytes: Type.Optional(retentionBytes),
  retain: Type.Optional(retain),
  schema: Type.Optional(givenSchema),
  strategy: Type.Optional(strategy),
  balancing: Type.Optional(balancing),
};

export const newTopic = Type.Object(
  {
    name: topicName,
    type: Type.Optional(type),
    partitions: Type.Optional(partitions),
    durability: Type.Optional(durability),
    ...optionalPolicies,
    description: Type.Optional(description),
  },
  { title: "NewTopic", additionalProperties: false },
);

export const topicUpdate = Type.Object(
  {
    name: Type.Optional(topicName),
    type: Type.Optional(type),
    partitions: Type.Optional(partitions),
    durability: Type.Optional(durability),
    ...optionalPolicies,
    description: Type.Optional(description),
  },
  { title: "TopicUpdate", additionalProperties: false },
);

export const topic = Type.Object(
  {
    name: topicName,
    type,
    partitions,
    durability,
    ...policies,
    description,
    deadLettersOf: Type.Optional(
      Type.String({ description: "The topic whose dead letters it holds; made by HotSwap itself." }),
    ),
    version: Type.Integer(),
    createdAt: Type.String({ format: "date-time" }),
    updatedAt: Type.String({ format: "date-time" }),
  },
  { title: "Topic" },
);

const count = Type.Integer({ minimum: 0 });

export const topicStats = Type.Object(
  {
    name: topicName,
    messages: count,
    bytes: count,
    publishedTotal: count,
    partitions: Type.Array(Type.Object({ partition: count, start: count, end: count, bytes: count })),
    subscriptions: Type.Array(
      Type.Object({
        id: Type.String(),
        name: topicName,
        depth: count,
        inFlight: count,
        lag: Type.Integer({ minimum: 0, description: "Not delivered yet: depth without what is in flight." }),
        delayed: count,
        oldestUnackedAgeMs: Type.Union([Type.Number(), Type.Null()]),
        deliveredTotal: count,
        ackedTotal: count,
        redeliveredTotal: count,
        deadLetteredTotal: count,
      }),
    ),
  },
  { title: "TopicStats" },
);
