/** `hotswap pub TOPIC`: a message, or each line of a file or of stdin as one, in order and acknowledged. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { StreamPublisher, Wire } from "../../client/src/node.ts";
import { HotSwapError } from "../core/errors.ts";
import { integer } from "../platform/settings/kind.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { type MessageFlags, messageText, singleMessageText } from "./message-text.ts";
import { collectPair, read, readTime } from "./option-values.ts";
import { Patience, patientRetry } from "./patience.ts";
import { printJson } from "./print.ts";
import { publishLines } from "./publish-lines.ts";

interface Flags extends ConnectionFlags, MessageFlags {
  text?: boolean;
  file?: string;
  receipts?: string;
  keepGoing?: boolean;
  retryFor: number;
}

/** As the API allows, in seconds. */
const tenYears = 315_360_000;

export function addPub(program: Command): void {
  const command = program
    .command("pub <topic> [message]")
    .description("publish a message, or each line of stdin or of a file as one")
    .option("--file <file>", "read lines from this file")
    .option("--json", "lines are JSON documents; by default each line is a text")
    .addOption(new Option("--ndjson", "the same as --json").implies({ json: true }).hideHelp())
    .addOption(new Option("--text", "take [message] as text even when it is JSON").conflicts("json"));
  for (const option of [...keyOptions(), ...timeOptions()]) command.addOption(option);
  command
    .option("--header <name=value>", "a header of all messages; may be repeated", collectPair)
    .option("--priority <number>", "0 to 9, for topics of the strategy priority", read(integer(0, 9)))
    .option(
      "--ttl <time>",
      "do not deliver it after this time, such as 10m",
      read(integer(1, tenYears, "seconds")),
    )
    .option("--idempotency-key <key>", "store [message] once, however often it is sent under this key")
    .option("--separator <text>", "between columns (default: white space)")
    .option(
      "--receipts <file>",
      "write a line of JSON for each line that is stored: its number, its message id",
    )
    .option("--keep-going", "go on after lines that are refused")
    .option(
      "--retry-for <time>",
      "how long to try again when the server is away, such as 2m (default: 60s)",
      read(integer(0, 86_400, "seconds")),
    );
  addConnectionOptions(command).addHelpText("after", notes).action(run);
}

const notes = `
A message is acknowledged when the server has stored it as safely as the topic asks for. When the connection
breaks, what was not acknowledged is sent again: nothing is lost, the order of each key stays, and some
messages may be stored twice (at least once).

Examples:
  hotswap pub orders '{"id":1}'
  hotswap pub words < /usr/share/dict/words
  hotswap pub reminders '{"id":1}' --in 2h
  hotswap pub events '{"id":1}' --header region=eu --priority 9
  hotswap pub orders --json --key-field customer.id --file orders.ndjson
  tail -F access.log | hotswap pub access --key-column 1`;

/** Where the key comes from; one of them at most. */
function keyOptions(): Option[] {
  const options = [
    new Option("--key <key>", "key of all messages; messages of one key keep their order"),
    new Option("--key-field <path>", "take the key from this field of the JSON, such as customer.id"),
    new Option(
      "--key-regexp <pattern>",
      "take the key from what this matches: its first group, or all of it",
    ),
    new Option("--key-column <number>", "take the key from this column of the line, counted from 1"),
  ] as const;
  options[1].implies({ json: true });
  options[2].argParser(pattern);
  options[3].argParser(read(integer(1, 10_000)));
  const names = options.map((option) => option.attributeName());
  return options.map((option) => option.conflicts(names.filter((name) => name !== option.attributeName())));
}

/** For later; `hotswap message scheduled` and `cancel` find what waits. */
function timeOptions(): Option[] {
  const at = new Option("--at <time>", "deliver it then (ISO 8601), not now");
  const later = new Option("--in <time>", "deliver it so much later, such as 90s, 10m or 7d");
  return [at.argParser(readTime).conflicts("in"), later.argParser(read(integer(0, tenYears, "seconds")))];
}

function pattern(raw: string): RegExp {
  try {
    return new RegExp(raw, "u");
  } catch {
    throw new InvalidArgumentError("It must be a regular expression.");
  }
}

async function run(topic: string, message: string | undefined, flags: Flags): Promise<void> {
  if (flags.idempotencyKey !== undefined && message === undefined) {
    const detail =
      "--idempotency-key goes with [message]: under one key only the first line would be stored.";
    throw new HotSwapError("validation_failed", detail);
  }
  // One attempt, so that a wrong address or topic is told at once; from then on with patience.
  const found = await useServer(flags, ({ topics }) => topics.get(topic), { retry: { attempts: 1 } });
  const patience = new Patience(flags.retryFor ?? 60);
  const options = { retry: patientRetry, wrap: (wire: Wire) => patience.wrap(wire) };
  try {
    await useServer(
      flags,
      async (client) => {
        const stream = client.stream(patience.ofStream());
        const publisher = stream.publisher(topic, { atLeastOnce: true });
        try {
          if (message !== undefined) await publishOne(publisher, message, flags);
          else
            await publishLines({ ...flags, publisher, patience, topic: found, toText: messageText(flags) });
        } finally {
          await stream.drain();
        }
      },
      options,
    );
  } finally {
    patience.end();
  }
}

async function publishOne(publisher: StreamPublisher, message: string, flags: Flags): Promise<void> {
  printJson(await publisher.publishRaw(singleMessageText(message, flags)));
}
