/** Topics, subscriptions, webhooks and streams. */
import { boolean, integer } from "../kind.ts";
import { KiB, MiB, setting } from "../setting.ts";

export const messagingSettings = {
  "messaging.ackDeadlineSeconds": setting(integer(1, 43_200, "seconds"), {
    meaning:
      "After this time without an acknowledgement a message is delivered again, unless its subscription says otherwise.",
    default: 30,
  }),
  "messaging.batchMax": setting(integer(1, 10_000), {
    meaning: "Messages in one request to publish, consume or acknowledge.",
    default: 1_000,
  }),
  "messaging.consumeWaitMaxSeconds": setting(integer(0, 30, "seconds"), {
    meaning: "The longest that a consume request may wait for messages.",
    default: 30,
  }),
  "messaging.partitionsMax": setting(integer(1, 256), {
    meaning: "Partitions of one topic.",
    default: 256,
  }),
  "messaging.messageLimitBytes": setting(integer(KiB, 8 * MiB, "bytes"), {
    meaning: "The largest message, headers and payload together, as JSON text.",
    default: MiB,
  }),
  "messaging.dedupKeysMax": setting(integer(1, 100_000_000), {
    meaning:
      "Idempotency keys that one topic remembers, at up to 53 bytes of memory each. Beyond it messages with a key are refused.",
    default: 2_000_000,
  }),
  "messaging.scheduledMax": setting(integer(0, 1_000_000_000), {
    meaning: "Messages of one topic that may wait for their time, at up to 25 bytes of memory each.",
    default: 10_000_000,
  }),
  "messaging.inFlightMax": setting(integer(1, 1_000_000), {
    meaning:
      "Messages of one partition that may be delivered and not yet acknowledged, for each subscription.",
    default: 10_000,
  }),
  "messaging.pushPrivateTargets": setting(boolean(), {
    meaning:
      "Lets webhooks of subscriptions lead to private and loopback addresses, and over http. Any tenant could then reach what this server can reach.",
    default: false,
  }),
  "messaging.pushFailuresMax": setting(integer(1, 1_000), {
    meaning: "Requests to a webhook that may fail in a row before it pauses.",
    default: 10,
  }),
  "messaging.pushPauseMs": setting(integer(100, 3_600_000, "milliseconds"), {
    meaning:
      "The first pause of a webhook that keeps failing. Each further one is twice as long, up to an hour.",
    default: 60_000,
  }),
  "messaging.streamsMax": setting(integer(1, 1_000_000), {
    meaning: "WebSocket streams that may be open at once.",
    default: 10_000,
  }),
  "messaging.streamChannelsMax": setting(integer(1, 10_000), {
    meaning: "Topics and subscriptions that one stream may publish to and consume from.",
    default: 256,
  }),
  "messaging.streamIdleMs": setting(integer(1_000, 3_600_000, "milliseconds"), {
    meaning: "A stream of which nothing was heard for so long, not even an answer to a ping, is ended.",
    default: 60_000,
  }),
};
