/** `hotswap sub TOPIC`: messages as lines on stdout, each acknowledged when it has been written. */
import { hostname } from "node:os";
import { type Command, Option } from "commander";
import type { Wire } from "../../client/src/node.ts";
import { integer } from "../platform/settings/kind.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { consumeLines } from "./consume-lines.ts";
import { read } from "./option-values.ts";
import { Patience, patientRetry } from "./patience.ts";

interface Flags extends ConnectionFlags {
  subscription: string;
  consumer?: string;
  consumerPriority?: number;
  count?: number;
  idle?: number;
  ack: boolean;
  format: "lines" | "ndjson";
  batch: number;
  retryFor: number;
}

export function addSub(program: Command): void {
  const command = program
    .command("sub <topic>")
    .description("print the messages of a topic as they come, and acknowledge them")
    .option("--subscription <name>", "whose messages; every queue topic has `default`", "default")
    .option("--consumer <name>", "as whom, for `hotswap subscription explain` (default: host:process)")
    .option(
      "--consumer-priority <number>",
      "0 to 9; larger goes first with the strategies `priority` and `direct`",
      read(integer(0, 9)),
    )
    .option("--count <number>", "stop after so many messages", read(integer(1, Number.MAX_SAFE_INTEGER)))
    .addOption(
      new Option(
        "--idle <time>",
        "stop when none has come for so long, such as 5s; 0 stops when none is left",
      )
        .argParser(read(integer(0, 86_400, "seconds")))
        .conflicts("follow"),
    )
    .option("--follow", "go on until interrupted, which is the default")
    .option("--no-ack", "do not acknowledge; the messages come again after their deadline")
    .addOption(
      new Option("--format <format>", "lines: the payload, text as it is; ndjson: all of the message")
        .choices(["lines", "ndjson"])
        .default("lines"),
    )
    .option("--batch <number>", "messages taken at once", read(integer(1, 1000)), 500)
    .option(
      "--retry-for <time>",
      "how long to try again when the server is away, such as 2m (default: 60s)",
      read(integer(0, 86_400, "seconds")),
    );
  addConnectionOptions(command).addHelpText("after", notes).action(run);
}

const notes = `
A message is acknowledged after it was written to stdout. After a break, what was not acknowledged comes
again: each message at least once, in the order of its key.

Examples:
  hotswap sub orders
  hotswap sub orders --count 10 --format ndjson
  hotswap sub orders --idle 2s > orders.txt`;

async function run(topic: string, flags: Flags): Promise<void> {
  // One attempt, so that a wrong address or topic is told at once; from then on with patience.
  await useServer(flags, ({ topics }) => topics.get(topic), { retry: { attempts: 1 } });
  const patience = new Patience(flags.retryFor ?? 60);
  const options = { retry: patientRetry, wrap: (wire: Wire) => patience.wrap(wire) };
  const { consumer = `${hostname()}:${process.pid}`, consumerPriority } = flags;
  const { count = Number.POSITIVE_INFINITY, idle: idleSeconds, ...rest } = flags;
  try {
    await useServer(
      flags,
      (client) =>
        consumeLines({
          ...rest,
          consumer,
          consumerPriority,
          client,
          messages: client.messages,
          topic,
          count,
          idleSeconds,
          patience,
        }),
      options,
    );
  } finally {
    patience.end();
  }
}
