/** The settings of a topic as flags, for `hotswap topic create` and `update`; all of those of the API. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { SchemaBinding, TopicChange } from "../../client/src/index.ts";
import { integer } from "../platform/settings/kind.ts";
import { read } from "./option-values.ts";

/** A number, or the word that stands for null, which commander would take for nothing. */
type OrWord<Word extends string> = number | Word;

export type TopicFlags = Pick<
  TopicChange,
  "partitions" | "durability" | "strategy" | "balancing" | "retain" | "description"
> & {
  dedupWindow?: number;
  messageTtl?: OrWord<"never">;
  retention?: OrWord<"forever">;
  retentionBytes?: OrWord<"none">;
  schema?: SchemaBinding | "none";
  enforcement?: "strict" | "warn";
};

const tenYears = 315_360_000;

export function addTopicSettings(command: Command): Command {
  const options = [
    new Option("--partitions <count>", "how many consumers can work side by side").argParser(
      read(integer(1, 256)),
    ),
    new Option("--durability <level>", "what a publish waits for (default: fsync)").choices([
      "memory",
      "os",
      "fsync",
    ]),
    new Option("--strategy <strategy>", "how messages find consumers").choices([
      "direct",
      "fan-out",
      "load-balanced",
      "priority",
      "content-based",
    ]),
    new Option("--balancing <how>", "of a load-balanced queue: in turns (default), or by load").choices([
      "round-robin",
      "least-loaded",
    ]),
    new Option(
      "--dedup-window <time>",
      "how long an idempotency key is remembered, such as 1h; 0: not at all (default: 5m)",
    ).argParser(read(integer(0, 86_400, "seconds"))),
    new Option(
      "--message-ttl <time>",
      "after this time a message is not delivered any more; never (default)",
    ).argParser(orWord("never", integer(1, tenYears, "seconds"))),
    new Option(
      "--retention <time>",
      "how long messages are kept; 0: until they are done; forever: while there is room",
    ).argParser(orWord("forever", integer(0, tenYears, "seconds"))),
    new Option(
      "--retention-bytes <size>",
      "beyond it the oldest go, such as 20GiB; none (default)",
    ).argParser(orWord("none", integer(1, 2 ** 50, "bytes"))),
    new Option("--retain <what>", "whether the limits spare what a subscription has not finished").choices([
      "unacknowledged",
      "limits",
    ]),
    new Option(
      "--schema <subject>",
      "the schema that every message must fit, such as orders or orders@3; none",
    ).argParser(readSchema),
    new Option("--enforcement <how>", "what becomes of a message that does not fit it").choices([
      "strict",
      "warn",
    ]),
    new Option("--description <text>", "what the topic is for"),
  ];
  for (const option of options) command.addOption(option);
  return command;
}

/** As the API takes them: what was not given is left out. */
export function topicSettings(flags: TopicFlags): TopicChange {
  const { dedupWindow, messageTtl, retention, retentionBytes, schema, enforcement, ...rest } = flags;
  if (enforcement !== undefined && typeof schema !== "object") {
    throw new InvalidArgumentError("--enforcement goes with --schema.");
  }
  return {
    ...rest,
    ...(dedupWindow !== undefined && { dedupWindowSeconds: dedupWindow }),
    ...(messageTtl !== undefined && { messageTtlSeconds: orNull(messageTtl) }),
    ...(retention !== undefined && { retentionSeconds: orNull(retention) }),
    ...(retentionBytes !== undefined && { retentionBytes: orNull(retentionBytes) }),
    ...(schema === "none" && { schema: null }),
    ...(typeof schema === "object" && { schema: { ...schema, ...(enforcement && { enforcement }) } }),
  };
}

const orNull = (value: number | string): number | null => (typeof value === "number" ? value : null);

function orWord(word: string, kind: ReturnType<typeof integer>): (raw: string) => number | string {
  const readNumber = read({ ...kind, allowed: `${word}, or ${kind.allowed}` });
  return (raw) => (raw === word ? word : readNumber(raw));
}

function readSchema(raw: string): SchemaBinding | "none" {
  if (raw === "none") return "none";
  const [, subject, version] = /^([^@]+)(?:@(\d{1,9}))?$/.exec(raw) ?? [];
  if (subject === undefined)
    throw new InvalidArgumentError("It must be none, a subject, or subject@version.");
  return { subject, ...(version !== undefined && { version: Number(version) }) };
}
