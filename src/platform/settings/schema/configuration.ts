/** Configurations and their instances. */
import { integer, names } from "../kind.ts";
import { KiB, MiB, setting } from "../setting.ts";

export const configurationSettings = {
  "configuration.approvalEnvironments": setting(names(), {
    meaning: "Environments in which a configuration is deployed only after somebody else has approved it.",
    default: ["production"],
  }),
  "configuration.textLimitBytes": setting(integer(KiB, 4 * MiB, "bytes"), {
    meaning: "The largest document of a configuration.",
    default: 256 * KiB,
  }),
  "configuration.configsMax": setting(integer(1, 1_000_000), {
    meaning: "How many configurations a tenant may have.",
    default: 10_000,
  }),
  "configuration.versionsMax": setting(integer(1, 1_000_000), {
    meaning: "How many versions a configuration may have.",
    default: 10_000,
  }),
  "configuration.heartbeatMs": setting(integer(200, 600_000, "milliseconds"), {
    meaning:
      "How often an instance says that it lives. After three that are missing it counts as silent; one that goes silent within three of applying a version counts as ended by it.",
    default: 10_000,
  }),
  "configuration.sweepMs": setting(integer(1_000, 86_400_000, "milliseconds"), {
    meaning: "An instance that was silent for so long is taken from the list.",
    default: 300_000,
  }),
  "configuration.pollMs": setting(integer(100, 600_000, "milliseconds"), {
    meaning: "How often a node looks for changes of what instances should have that no notice came of.",
    default: 2_000,
  }),
  "configuration.instancesMax": setting(integer(1, 1_000_000), {
    meaning: "Registered instances of one tenant.",
    default: 100_000,
  }),
  "configuration.streamsMax": setting(integer(1, 1_000_000), {
    meaning: "Streams of instances that may be open at a node at once.",
    default: 50_000,
  }),
  "configuration.connectsPerSecond": setting(integer(1, 100_000), {
    meaning:
      "Streams of instances that may begin at a node in a second. Others are told when to come back, each later than the one before.",
    default: 1_000,
  }),
  "configuration.inlineBytes": setting(integer(0, MiB, "bytes"), {
    meaning: "A document up to this size is part of the event that tells of it; a larger one is fetched.",
    default: 16 * KiB,
  }),
  "configuration.pendingBytesMax": setting(integer(KiB, 64 * MiB, "bytes"), {
    meaning: "A stream whose reader leaves so much unread is ended; it comes back for what it missed.",
    default: 256 * KiB,
  }),
  "configuration.importLimitBytes": setting(integer(KiB, 256 * MiB, "bytes"), {
    meaning: "The largest set of configurations that is imported at once.",
    default: 16 * MiB,
  }),
};
