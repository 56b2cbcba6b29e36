/** `hotswap subscription …`: create, list, change, explain and delete the subscriptions of topics. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type {
  NewSubscription,
  SeekTarget,
  Subscription,
  SubscriptionExplanation,
} from "../../client/src/index.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { printJson, printTable } from "./print.ts";
import { findSubscription } from "./subscription-names.ts";
import { addPush } from "./subscription-push.ts";
import {
  addSubscriptionSettings,
  type SubscriptionFlags,
  subscriptionSettings,
} from "./subscription-settings.ts";

type Flags = ConnectionFlags & { json?: boolean };

export function addSubscription(program: Command): void {
  const group = program.command("subscription").description("create, list, change and delete subscriptions");
  const add = (signature: string, description: string) =>
    addConnectionOptions(group.command(signature).description(description)).option("--json", "print JSON");

  addSubscriptionSettings(add("create <topic> <name>", "create a subscription of a pubsub topic"))
    .addOption(
      new Option("--from <where>", "what it begins with: all that is stored, or what comes from now on")
        .choices(["earliest", "latest"])
        .default("latest"),
    )
    .action((topic: string, name: string, flags: Flags & SubscriptionFlags & Beginning) =>
      useServer(flags, async ({ subscriptions }) => {
        const { from } = flags;
        const made = await subscriptions.create({ topic, name, from, ...subscriptionSettings(flags) });
        show([made], flags.json);
      }),
    );
  addSubscriptionSettings(add("update <topic> <name>", "change what a subscription promises")).action(
    (topic: string, name: string, flags: Flags & SubscriptionFlags) =>
      useServer(flags, async (client) => {
        const { id, version } = await findSubscription(client, topic, name);
        show([await client.subscriptions.update(id, version, subscriptionSettings(flags))], flags.json);
      }),
  );
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
        const { id } = await findSubscription(client, topic, name);
        const result = await client.subscriptions.seek(id, from);
        if (flags.json) return printJson(result);
        const places = result.partitions.map(({ partition, offset }) => `${partition}:${offset}`);
        process.stderr.write(`subscription ${name} of ${topic} goes on from ${places.join(" ")}\n`);
      }),
    );
  addExplain(
    add("explain <topic> [name]", "say why messages are not with consumers, and who the consumers are"),
  );
  add("delete <topic> <name>", "delete a subscription; its messages stay in the topic").action(
    (topic: string, name: string, flags: Flags) =>
      useServer(flags, async (client) => {
        await client.subscriptions.delete((await findSubscription(client, topic, name)).id);
        if (flags.json) printJson({ deleted: name, topic });
        else process.stderr.write(`subscription ${name} of ${topic} deleted\n`);
      }),
  );
  addPush(group);
}

function addExplain(command: Command): void {
  command
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
        const found = await subscriptions.explain((await findSubscription(client, topic, name)).id);
        if (flags.json) printJson(found);
        else showExplanation(found);
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

function showExplanation({ depth, inFlight, reasons, consumers, push }: SubscriptionExplanation): void {
  process.stdout.write(`${depth} not done, ${inFlight} of them with consumers\n`);
  for (const { code, messages, detail } of reasons)
    process.stdout.write(`${code}: ${messages} messages. ${detail}\n`);
  if (push && push.status !== "active")
    process.stdout.write(`webhook ${push.status}${push.reason === null ? "" : `: ${push.reason}`}\n`);
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

interface Beginning {
  from: NonNullable<NewSubscription["from"]>;
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
