/** The settings of a subscription as flags, for `hotswap subscription create` and `update`; all of those of the API. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Backoff, Filter, SubscriptionSettings } from "../../client/src/index.ts";
import { INTEGER_MAX } from "../core/bounds.ts";
import { boolean, integer } from "../platform/settings/kind.ts";
import { read } from "./option-values.ts";

export interface SubscriptionFlags {
  ackDeadline?: number;
  ackMode?: SubscriptionSettings["ackMode"];
  maxAttempts?: number;
  backoff?: Backoff;
  blockKeyOnDeadLetter?: boolean;
  deadLetterExpired?: boolean;
  /** The words stand for null, which commander would take for nothing. */
  schemaVersion?: number | "topic";
  filter?: Filter | "none";
}

export function addSubscriptionSettings(command: Command): Command {
  const options = [
    new Option(
      "--ack-deadline <time>",
      "how long a consumer has for a message before another gets it, such as 30s",
    ).argParser(read(integer(1, 43_200, "seconds"))),
    new Option("--ack-mode <mode>", "whether a message is settled by its consumer or before it").choices([
      "at-least-once",
      "at-most-once",
    ]),
    new Option("--max-attempts <count>", "deliveries before a dead letter; 0: no limit").argParser(
      read(integer(0, 1000)),
    ),
    new Option(
      "--backoff <times>",
      "after each failed attempt, such as 2s,4s,8s, of which the last repeats; or doubling, as 1s..60s",
    ).argParser(readBackoff),
    new Option(
      "--block-key-on-dead-letter <yes>",
      "whether messages behind a dead letter of their key wait for it: true or false",
    ).argParser(read(boolean())),
    new Option(
      "--dead-letter-expired <yes>",
      "whether what expires becomes a dead letter: true or false",
    ).argParser(read(boolean())),
    new Option(
      "--schema-version <number>",
      "the version of the topic's schema that its consumers read by; topic: as the topic has it",
    ).argParser(readVersion),
    new Option(
      "--filter <json>",
      `which messages it wants, such as '{"header":"region","equals":"eu"}'; none`,
    ).argParser(readFilter),
  ];
  for (const option of options) command.addOption(option);
  return command;
}

/** As the API takes them: what was not given is left out. */
export function subscriptionSettings(flags: SubscriptionFlags): Partial<SubscriptionSettings> {
  const { ackDeadline, ackMode, maxAttempts, backoff, schemaVersion, filter } = flags;
  const { blockKeyOnDeadLetter, deadLetterExpired } = flags;
  return {
    ...(ackDeadline !== undefined && { ackDeadlineSeconds: ackDeadline }),
    ...(ackMode && { ackMode }),
    ...(maxAttempts !== undefined && { maxAttempts }),
    ...(backoff && { backoff }),
    ...(blockKeyOnDeadLetter !== undefined && { blockKeyOnDeadLetter }),
    ...(deadLetterExpired !== undefined && { deadLetterExpired }),
    ...(schemaVersion !== undefined && { schemaVersion: schemaVersion === "topic" ? null : schemaVersion }),
    ...(filter !== undefined && { filter: filter === "none" ? null : filter }),
  };
}

const readDelay = read(integer(0, 86_400_000, "milliseconds"));

function readBackoff(raw: string): Backoff {
  const [base, maximum, ...rest] = raw.split("..");
  if (base !== undefined && maximum !== undefined && rest.length === 0)
    return { baseMs: readDelay(base), maxMs: readDelay(maximum) };
  return { delaysMs: raw.split(",").map((delay) => readDelay(delay.trim())) };
}

function readVersion(raw: string): number | "topic" {
  return raw === "topic" ? raw : read(integer(1, INTEGER_MAX))(raw);
}

/** What may stand in it is for the server to say, with a pointer. */
function readFilter(raw: string): Filter | "none" {
  if (raw === "none") return raw;
  try {
    return JSON.parse(raw) as Filter;
  } catch {
    throw new InvalidArgumentError("It must be JSON, or none.");
  }
}
