/** `hotswap topic …`: create, look at, change and delete topics. */
import { type Command, Option } from "commander";
import type { PeekOptions, Topic, TopicStats, TopicType } from "../../client/src/index.ts";
import { integer } from "../platform/settings/kind.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { read } from "./option-values.ts";
import { byteText, durationText, grouped, printJson, printTable } from "./print.ts";
import { addTopicSettings, type TopicFlags, topicSettings } from "./topic-settings.ts";

type Flags = ConnectionFlags & { json?: boolean };

export function addTopic(program: Command): void {
  const topic = program.command("topic").description("create, look at, change and delete topics");
  const add = (signature: string, description: string) =>
    addConnectionOptions(topic.command(signature).description(description)).option("--json", "print JSON");

  addTopicSettings(add("create <name>", "create a topic"))
    .addOption(
      new Option("--type <type>", "queue: one consumer gets each message; pubsub: each subscription does")
        .choices(["queue", "pubsub"])
        .default("queue"),
    )
    .action((name: string, flags: Flags & TopicFlags & { type: TopicType }) =>
      useServer(flags, async ({ topics }) =>
        show(await topics.create({ name, ...settingsOf(flags) }), flags.json, "created"),
      ),
    );
  add("list", "list all topics").action((flags: Flags) =>
    useServer(flags, async ({ topics }) => list(await Array.fromAsync(topics.all()), flags.json)),
  );
  add("get <name>", "show a topic").action((name: string, flags: Flags) =>
    useServer(flags, async ({ topics }) => show(await topics.get(name), flags.json)),
  );
  add("stats <name>", "show what a topic holds, and how far each subscription is").action(
    (name: string, flags: Flags) =>
      useServer(flags, async ({ topics }) => showStats(await topics.stats(name), flags.json)),
  );
  add("peek <name>", "print messages as NDJSON without consuming them")
    .option("--partition <number>", "which partition", read(integer(0, 255)), 0)
    .option(
      "--from <place>",
      "earliest, latest, an offset, or a time such as 2026-01-31T12:00:00Z",
      readPlace,
      "latest",
    )
    .option("--limit <count>", "how many", read(integer(1, 1000)), 50)
    .action((name: string, { partition, from, limit, ...flags }: Flags & PeekFlags) =>
      useServer(flags, async ({ topics }) => {
        const messages = await topics.peek(name, { partition, from, limit });
        if (flags.json) printJson(messages);
        else for (const message of messages) process.stdout.write(`${JSON.stringify(message)}\n`);
      }),
    );
  addTopicSettings(add("update <name>", "change a topic; partitions may only grow")).action(
    (name: string, flags: Flags & TopicFlags) =>
      useServer(flags, async ({ topics }) => {
        const { version } = await topics.get(name);
        show(await topics.update(name, version, settingsOf(flags)), flags.json, "updated");
      }),
  );
  add("delete <name>", "delete a topic with all its messages and subscriptions").action(
    (name: string, flags: Flags) =>
      useServer(flags, async ({ topics }) => {
        await topics.delete(name);
        if (flags.json) printJson({ deleted: name });
        else process.stderr.write(`topic ${name} deleted\n`);
      }),
  );
}

type PeekFlags = Required<Pick<PeekOptions, "partition" | "from" | "limit">>;

function readPlace(raw: string): "earliest" | "latest" | number | Date {
  if (raw === "earliest" || raw === "latest") return raw;
  if (raw.includes("T") && !Number.isNaN(Date.parse(raw))) return new Date(raw);
  return read(integer(0, Number.MAX_SAFE_INTEGER))(raw);
}

/** What belongs to the topic and not to the call. */
function settingsOf({ url, data, json, type, ...settings }: Flags & TopicFlags & { type?: TopicType }) {
  return { ...(type && { type }), ...topicSettings(settings) };
}

function show(topic: Topic, json: boolean | undefined, verb?: string): void {
  if (json) {
    printJson(topic);
    return;
  }
  if (verb) process.stderr.write(`topic ${topic.name} ${verb}\n`);
  list([topic], false);
  if (!verb) printTable(["SETTING", "VALUE"], settingRows(topic));
}

function settingRows(topic: Topic): [string, string][] {
  const { strategy, balancing, dedupWindowSeconds, messageTtlSeconds, schema } = topic;
  const { retentionSeconds, retentionBytes, retain } = topic;
  const time = (seconds: number | null, none: string) =>
    seconds === null ? none : durationText(seconds * 1000);
  const size = retentionBytes === null ? "" : `, ${byteText(retentionBytes)}`;
  const kept = retentionSeconds === 0 ? "until done" : time(retentionSeconds, "for ever");
  return [
    ["strategy", strategy === "load-balanced" ? `${strategy}, ${balancing}` : strategy],
    [
      "retention",
      `${kept}${size}; the limits ${retain === "limits" ? "count alone" : "spare what is not done"}`,
    ],
    ["message TTL", time(messageTtlSeconds, "never")],
    ["dedup window", dedupWindowSeconds === 0 ? "none" : time(dedupWindowSeconds, "")],
    ["schema", schema ? `${schema.subject}@${schema.version ?? "latest"}, ${schema.enforcement}` : "none"],
  ];
}

function list(topics: Topic[], json: boolean | undefined): void {
  if (json) {
    printJson(topics);
    return;
  }
  if (topics.length === 0) {
    process.stderr.write("There is no topic yet. Create one: hotswap topic create orders\n");
    return;
  }
  const rows = topics.map(({ name, type, partitions, durability, createdAt, description }) => [
    name,
    type,
    partitions,
    durability,
    createdAt.slice(0, 19).replace("T", " "),
    description,
  ]);
  printTable(["NAME", "TYPE", "PARTITIONS", "DURABILITY", "CREATED (UTC)", "DESCRIPTION"], rows);
}

function showStats(stats: TopicStats, json: boolean | undefined): void {
  if (json) {
    printJson(stats);
    return;
  }
  const { name, messages, bytes, publishedTotal, partitions, subscriptions } = stats;
  const size = `${grouped(messages)} messages, ${byteText(bytes)}, ${partitions.length} partitions`;
  process.stdout.write(`${name}: ${size}, ${grouped(publishedTotal)} published since the server's start\n`);
  const rows = subscriptions.map((subscription) => {
    const { depth, inFlight, delayed, deliveredTotal, ackedTotal, redeliveredTotal } = subscription;
    const age = subscription.oldestUnackedAgeMs;
    return [
      subscription.name,
      depth,
      inFlight,
      delayed,
      age === null ? "" : durationText(age),
      deliveredTotal,
      ackedTotal,
      redeliveredTotal,
    ];
  });
  if (rows.length === 0) return;
  printTable(
    ["SUBSCRIPTION", "DEPTH", "IN FLIGHT", "DELAYED", "OLDEST", "DELIVERED", "ACKED", "REDELIVERED"],
    rows,
  );
}
