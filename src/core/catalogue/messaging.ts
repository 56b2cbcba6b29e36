/** Of topics, subscriptions, messages and nodes. */
import type { CatalogueEntry } from "./entry.ts";

export const messaging = {
  topic_not_found: {
    kind: "not_found",
    title: "There is no such topic",
    help: "Create it with POST /api/v1/topics or `hotswap topic create`.",
  },
  topic_moved: {
    kind: "unavailable",
    title: "Another node serves the topic",
    help: "Repeat the request: it is passed on as soon as a node serves the topic, after a crash within five seconds. If it stays, look at `hotswap node list`.",
  },
  node_not_found: {
    kind: "not_found",
    title: "There is no such node",
    help: "List the nodes with `hotswap node list`. One that has gone is forgotten after an hour.",
  },
  topic_exists: {
    kind: "conflict",
    title: "A topic of this name exists already",
    help: "Use it, update it with PUT, or choose another name.",
  },
  topic_change_refused: {
    kind: "conflict",
    title: "The topic cannot be changed this way",
    help: "The detail says which part is fixed; create a new topic for another value.",
  },
  subscription_not_found: {
    kind: "not_found",
    title: "There is no such subscription",
    help: "Create it with POST /api/v1/subscriptions; a queue topic has one named `default`.",
  },
  subscription_exists: {
    kind: "conflict",
    title: "The topic has a subscription of this name already",
    help: "Use it, or choose another name.",
  },
  subscription_fixed: {
    kind: "conflict",
    title: "A queue topic has exactly one subscription",
    help: "Consume from `default`, or create a topic of type pubsub to have several.",
  },
  schedule_full: {
    kind: "unavailable",
    title: "As many messages wait for their time as the topic may have",
    help: "Nothing of this message was accepted. Cancel some, publish without a delay, or raise messaging.scheduledMax.",
  },
  dedup_full: {
    kind: "unavailable",
    title: "The topic cannot remember more idempotency keys",
    help: "Nothing of this message was accepted. Wait for Retry-After, shorten the topic's dedupWindowSeconds, or raise messaging.dedupKeysMax.",
  },
  message_not_found: {
    kind: "not_found",
    title: "There is no such message",
    help: "The id is wrong, or retention has removed the message.",
  },
  message_too_large: {
    kind: "too_large",
    title: "The message is larger than allowed",
    help: "Store the content elsewhere and publish a reference, or raise the limit in the settings.",
  },
  replay_not_found: {
    kind: "not_found",
    title: "There is no such replay",
    help: "GET /api/v1/topics/{name}/dlq/replays lists the replays of a topic.",
  },
  replay_running: {
    kind: "conflict",
    title: "A replay of this topic is running already",
    help: "Wait for its end, or cancel it.",
  },
  replay_refused: {
    kind: "conflict",
    title: "The dead letter cannot be replayed now",
    help: "It stays in the dead-letter queue. Create the subscription again, or settle what holds the message.",
  },
  receipt_invalid: {
    kind: "invalid",
    title: "The receipt is not one of this message",
    help: "Use the receipt that came with the message, unchanged.",
  },
  push_not_found: {
    kind: "not_found",
    title: "The subscription has no webhook",
    help: "Set one with PUT /api/v1/subscriptions/{id}/push.",
  },
  push_target_refused: {
    kind: "invalid",
    title: "A webhook may not go to this address",
    help: "Use an https address of the public internet, or let the operator allow private ones with `messaging.pushPrivateTargets`.",
  },
  frame_invalid: {
    kind: "invalid",
    title: "A frame of the stream cannot be read",
    help: "The connection was closed; nothing of the frame was accepted. The reference of the stream describes every frame.",
  },
  credit_exceeded: {
    kind: "limited",
    title: "More was sent than the server had granted",
    help: "Wait for receipts: each gives back the credit of the messages that it answers. The connection was closed; what was not answered may be sent again.",
  },
  stream_idle: {
    kind: "timeout",
    title: "The stream was silent for too long",
    help: "Answer the server's pings, or send a ping yourself, within the idle limit that the first frame names.",
  },
  lease_lost: {
    kind: "conflict",
    title: "The lease on the message has ended",
    help: "Its deadline passed or it was given back; the message is, or will be, with another consumer. Do not count your work as done.",
  },
} as const satisfies Record<string, CatalogueEntry>;
