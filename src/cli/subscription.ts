/** `hotswap subscription …`: create, list and delete the subscriptions of topics. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type {
  HotSwap,
  NewSubscription,
  SeekTarget,
  Subscription,
  SubscriptionExplanation,
} from "../../client/src/index.ts";
import { HotSwapError } from "../core/errors.ts";
import { boolean, integer } from "../platform/settings/kind.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { read } from "./option-values.ts";
import { printJson, printTable } from "./print.ts";

type Flags = ConnectionFlags & { json?: boolean };

export function addSubscription(program: Command): void {
  const group = program.command("subscription").description("create, list, change and delete subscriptions");
  const add = (signature: string, description: string) =>
    addConnectionOptions(group.command(signature).description(description)).option("--json", "print JSON");

  add("create <topic> <name>", "create a subscription of a pubsub topic")
    .option(
      "--ack-deadline <time>",
      "how long a consumer has for a message before another gets it, such as 30s",
      read(integer(1, 43_200, "seconds")),
    )
    .addOption(
      new Option("--from <where>", "what it begins with: all that is stored, or what comes from now on")
        .choices(["earliest", "latest"])
        .default("latest"),
    )
    .action((topic: string, name: string, flags: Flags & CreateFlags) =>
      useServer(flags, async ({ subscriptions }) => {
        const { ackDeadline, from } = flags;
        const given = ackDeadline === undefined ? {} : { ackDeadlineSeconds: ackDeadline };
        show([await subscriptions.create({ topic, name, from, ...given })], flags.json);
      }),
    );
  addUpdate(add("update <topic> <name>", "change what a subscription promises"));
  add("list [topic]", "list the subscriptions of a topic, or all").action(
    (topic: string | undefined, flags: Flags) =>
      useServer(flags, async ({ subscriptions }) =>
        show(await Array.fromAsync(subscriptions.all(topic === undefined ? {} : { topic })), flags.json),
      ),
  );
  add("seek <topic> <name>", "make a subscription go on from another place; what it has leased is taken back")
    .requiredOption(
      "--from <place>",
      "earliest, latest, a time such as 2026-01-31T12:00:00Z, or partition:offset such as 0:4711",
      readTarget,
    )
    .action((topic: string, name: string, { from, ...flags }: Flags & { from: SeekTarget }) =>
      useServer(flags, async (client) => {
        const result = await client.subscriptions.seek(await idOf(client, topic, name), from);
        if (flags.json) return printJson(result);
        const places = result.partitions.map(({ partition, offset }) => `${partition}:${offset}`);
        process.stderr.write(`subscription ${name} of ${topic} goes on from ${places.join(" ")}\n`);
      }),
    );
  add("explain <topic> [name]", "say why messages are not with consumers, and who the consumers are")
    .option("--message <id>", "say it of this message")
    .action((topic: string, name = "default", flags: Flags & { message?: string }) =>
      useServer(flags, async (client) => {
        const { subscriptions } = client;
        if (flags.message !== undefined) {
          const found = await subscriptions.explainMessage(flags.message, { subscription: name });
          if (flags.json) printJson(found);
          else process.stdout.write(`${found.state}: ${found.detail}\n`);
          return;
        }
        const found = await subscriptions.explain(await idOf(client, topic, name));
        if (flags.json) printJson(found);
        else showExplanation(found);
      }),
    );
  add("delete <topic> <name>", "delete a subscription; its messages stay in the topic").action(
    (topic: string, name: string, flags: Flags) =>
      useServer(flags, async (client) => {
        await client.subscriptions.delete(await idOf(client, topic, name));
        if (flags.json) printJson({ deleted: name, topic });
        else process.stderr.write(`subscription ${name} of ${topic} deleted\n`);
      }),
  );
}

function addUpdate(command: Command): void {
  command
    .option(
      "--ack-deadline <time>",
      "how long a consumer has for a message before another gets it, such as 30s",
      read(integer(1, 43_200, "seconds")),
    )
    .option("--max-attempts <count>", "deliveries before a dead letter; 0: no limit", read(integer(0, 1000)))
    .option(
      "--dead-letter-expired <yes>",
      "whether what expires becomes a dead letter: true or false",
      read(boolean()),
    )
    .action((topic: string, name: string, flags: Flags & UpdateFlags) =>
      useServer(flags, async (client) => {
        const { id, version } = await found(client, topic, name);
        const { ackDeadline, maxAttempts, deadLetterExpired } = flags;
        const change = {
          ...(ackDeadline !== undefined && { ackDeadlineSeconds: ackDeadline }),
          ...(maxAttempts !== undefined && { maxAttempts }),
          ...(deadLetterExpired !== undefined && { deadLetterExpired }),
        };
        show([await client.subscriptions.update(id, version, change)], flags.json);
      }),
    );
}

function readTarget(raw: string): SeekTarget {
  if (raw === "earliest" || raw === "latest") return { to: raw };
  const [, partition, offset] = /^(\d{1,3}):(\d{1,15})$/.exec(raw) ?? [];
  if (partition !== undefined) return { partition: Number(partition), offset: Number(offset) };
  if (raw.includes("T") && !Number.isNaN(Date.parse(raw))) return { time: new Date(raw).toISOString() };
  throw new InvalidArgumentError("It is earliest, latest, a time, or partition:offset.");
}

function showExplanation({ depth, inFlight, reasons, consumers }: SubscriptionExplanation): void {
  process.stdout.write(`${depth} not done, ${inFlight} of them with consumers\n`);
  for (const { code, messages, detail } of reasons)
    process.stdout.write(`${code}: ${messages} messages. ${detail}\n`);
  if (consumers.length === 0) return;
  const rows = consumers.map(({ name, via, state, inFlight, delivered, acked, lastSeen }) => [
    name,
    via,
    state,
    inFlight,
    delivered,
    acked,
    lastSeen.slice(0, 19).replace("T", " "),
  ]);
  printTable(["CONSUMER", "VIA", "STATE", "IN FLIGHT", "DELIVERED", "ACKED", "LAST SEEN (UTC)"], rows);
}

interface CreateFlags {
  ackDeadline?: number;
  from: NonNullable<NewSubscription["from"]>;
}

interface UpdateFlags {
  ackDeadline?: number;
  maxAttempts?: number;
  deadLetterExpired?: boolean;
}

async function idOf(client: HotSwap, topic: string, name: string): Promise<string> {
  return (await found(client, topic, name)).id;
}

async function found({ subscriptions }: HotSwap, topic: string, name: string): Promise<Subscription> {
  for await (const subscription of subscriptions.all({ topic })) {
    if (subscription.name === name) return subscription;
  }
  throw new HotSwapError("subscription_not_found", `The topic ${topic} has no subscription ${name}.`);
}

function show(subscriptions: Subscription[], json: boolean | undefined): void {
  if (json) {
    printJson(subscriptions.length === 1 ? subscriptions[0] : subscriptions);
    return;
  }
  const rows = subscriptions.map(({ topic, name, ackDeadlineSeconds, createdAt, id }) => [
    topic,
    name,
    `${ackDeadlineSeconds} s`,
    createdAt.slice(0, 19).replace("T", " "),
    id,
  ]);
  printTable(["TOPIC", "NAME", "ACK DEADLINE", "CREATED (UTC)", "ID"], rows);
}
