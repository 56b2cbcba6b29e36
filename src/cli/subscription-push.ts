/** `hotswap subscription push …`: the webhook of a subscription. */
import { type Command, Option } from "commander";
import type { HotSwap, NewPush, Push, PushFormat } from "../../client/src/index.ts";
import { integer } from "../platform/settings/kind.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { read } from "./option-values.ts";
import { printJson, printTable } from "./print.ts";
import { findSubscription } from "./subscription-names.ts";

type Flags = ConnectionFlags & { json?: boolean };
type SetFlags = Flags & {
  batch?: number;
  concurrency?: number;
  format?: PushFormat;
  timeout?: number;
};

export function addPush(subscription: Command): void {
  const group = subscription.command("push").description("post a subscription's messages to a webhook");
  const add = (signature: string, description: string) =>
    addConnectionOptions(group.command(signature).description(description)).option("--json", "print JSON");

  add("set <topic> <name> <url>", "push to this address; shows the secret of its signatures, once")
    .option("--batch <count>", "messages of one request (default: 1)", read(integer(1, 1000)))
    .option("--concurrency <count>", "requests at once (default: 4)", read(integer(1, 64)))
    .addOption(
      new Option("--format <format>", "how a message is written").choices([
        "json",
        "cloudevents",
        "cloudevents-binary",
      ]),
    )
    .option(
      "--timeout <time>",
      "after which a request counts as failed (default: 15s)",
      read(integer(1, 60, "seconds")),
    )
    .action((topic: string, name: string, url: string, flags: SetFlags) =>
      useServer(flags, async (client) => {
        const { id } = await findSubscription(client, topic, name);
        show(await client.pushes.set(id, pushOf(url, flags)), flags);
      }),
    );
  const verb = (
    word: string,
    description: string,
    work: (pushes: HotSwap["pushes"], id: string) => Promise<Push>,
  ) =>
    add(`${word} <topic> <name>`, description).action((topic: string, name: string, flags: Flags) =>
      useServer(flags, async (client) => {
        const { id } = await findSubscription(client, topic, name);
        show(await work(client.pushes, id), flags);
      }),
    );
  verb("show", "show where it goes, and how it fares", (pushes, id) => pushes.get(id));
  verb("pause", "push nothing until it is resumed; messages wait", (pushes, id) => pushes.pause(id));
  verb("resume", "push again at once what was paused or disabled", (pushes, id) => pushes.resume(id));
  add("rotate <topic> <name>", "make a new secret and show it, once; the former ones sign beside it").action(
    (topic: string, name: string, flags: Flags) =>
      useServer(flags, async (client) => {
        const { id } = await findSubscription(client, topic, name);
        const made = await client.pushes.rotate(id);
        if (flags.json) printJson(made);
        else process.stdout.write(`${made.secret}\n`);
      }),
  );
  add("delete <topic> <name>", "stop pushing; the messages stay for other consumers").action(
    (topic: string, name: string, flags: Flags) =>
      useServer(flags, async (client) => {
        await client.pushes.delete((await findSubscription(client, topic, name)).id);
        if (flags.json) printJson({ deleted: "push", topic, name });
        else process.stderr.write(`subscription ${name} of ${topic} is not pushed any more\n`);
      }),
  );
}

function pushOf(url: string, { batch, concurrency, format, timeout }: SetFlags): NewPush {
  return {
    url,
    ...(batch !== undefined && { batch }),
    ...(concurrency !== undefined && { concurrency }),
    ...(format && { format }),
    ...(timeout !== undefined && { timeoutSeconds: timeout }),
  };
}

function show(push: Push, { json }: Flags): void {
  if (json) {
    printJson(push);
    return;
  }
  const { url, format, batch, concurrency, timeoutSeconds, status, failures, reason, resumesAt } = push;
  const rows: [string, string | number][] = [
    ["address", url],
    ["format", batch === 1 ? format : `${format}, up to ${batch} messages a request`],
    ["at once", `${concurrency} requests, of ${timeoutSeconds} s at most`],
    ["status", resumesAt === null ? status : `${status} until ${resumesAt}`],
    ["failures in a row", String(failures)],
  ];
  if (reason !== null) rows.push(["reason", reason]);
  printTable(["PUSH", ""], rows);
  if (push.secret !== undefined) process.stdout.write(`\nsecret, shown this once: ${push.secret}\n`);
}
