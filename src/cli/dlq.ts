/** `hotswap dlq …`: look at the dead letters of a topic, and replay or discard them. */
import type { Command } from "commander";
import type { DeadLetterFilter, DeadLetterList, NewReplay, Replay } from "../../client/src/index.ts";
import { systemClock } from "../core/clock.ts";
import { integer } from "../platform/settings/kind.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { collectPair, read, readTime } from "./option-values.ts";
import { grouped, printJson, printTable } from "./print.ts";

type Flags = ConnectionFlags & DeadLetterFilter & { json?: boolean };
type ReplayFlags = Flags & {
  id?: string[];
  header?: Record<string, string>;
  rate?: number;
  dryRun?: boolean;
  discard?: boolean;
  wait: boolean;
};

const lookEveryMs = 500;
/** Between two looks nothing else may keep the process alive. */
const pause = () =>
  new Promise<void>((resolve) => {
    systemClock.after(lookEveryMs, resolve, { keepAlive: true });
  });

export function addDlq(program: Command): void {
  const group = program.command("dlq").description("look at dead letters, and replay or discard them");
  const add = (signature: string, description: string) =>
    addConnectionOptions(group.command(signature).description(description))
      .option("--reason <text>", "only those whose last consumer said exactly this")
      .option("--subscription <name>", "only those of this subscription")
      .option("--from <time>", "only those given up at this time (ISO 8601) or later", readTime)
      .option("--to <time>", "only those given up before this time", readTime)
      .option("--json", "print JSON");

  add("list <topic>", "show what waits, grouped by why")
    .option("--limit <count>", "how many messages to show", read(integer(0, 1000)), 20)
    .action((topic: string, flags: Flags & { limit: number }) =>
      useServer(flags, async ({ deadLetters }) => {
        const found = await deadLetters.list(topic, { ...filterOf(flags), limit: flags.limit });
        if (flags.json) printJson(found);
        else showList(topic, found);
      }),
    );
  add("replay <topic>", "deliver again what was given up, to the subscriptions that failed")
    .option("--id <id...>", "only these messages")
    .option("--header <name=value>", "only those with this header; may be repeated", collectPair)
    .option("--rate <count>", "at most so many a second", read(integer(1, 100_000)))
    .option("--discard", "do not deliver them again, they are dealt with")
    .option("--dry-run", "only say what would go")
    .option("--no-wait", "do not wait for the end")
    .action((topic: string, flags: ReplayFlags) =>
      useServer(flags, async ({ deadLetters }) => {
        const { dryRun = false } = flags;
        let replay = await deadLetters.replay(topic, requestOf(flags), { dryRun });
        while (flags.wait && !dryRun && replay.status === "running") {
          await pause();
          replay = await deadLetters.get(topic, replay.id);
        }
        if (flags.json) printJson(replay);
        else process.stdout.write(dryRun ? `${grouped(replay.matched)} would go\n` : `${textOf(replay)}\n`);
        if (replay.status === "failed") process.exitCode = 1;
      }),
    );
}

function filterOf({ reason, subscription, from, to }: Flags): DeadLetterFilter {
  return {
    ...(reason !== undefined && { reason }),
    ...(subscription !== undefined && { subscription }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
  };
}

function requestOf(flags: ReplayFlags): NewReplay {
  return {
    ...filterOf(flags),
    ...(flags.id && { messageIds: flags.id }),
    ...(flags.header && { headers: flags.header }),
    ...(flags.rate !== undefined && { ratePerSecond: flags.rate }),
    ...(flags.discard && { action: "discard" as const }),
  };
}

function textOf({ id, status, action, matched, processed, failed, error }: Replay): string {
  const done = action === "replay" ? "replayed" : "discarded";
  const rest = failed > 0 ? `, ${grouped(failed)} stay in the queue` : "";
  return `${status}: ${grouped(processed)} of ${grouped(matched)} ${done}${rest}${error ? `: ${error}` : ""} (${id})`;
}

function showList(topic: string, { total, complete, groups, messages }: DeadLetterList): void {
  if (total === 0) {
    process.stderr.write(`Nothing of ${topic} waits in its dead-letter queue.\n`);
    return;
  }
  const rows = groups.map(({ subscription, cause, reason, count, lastAt }) => [
    subscription,
    cause,
    count,
    lastAt.slice(0, 19).replace("T", " "),
    reason,
  ]);
  printTable(["SUBSCRIPTION", "CAUSE", "COUNT", "LAST (UTC)", "REASON"], rows);
  process.stdout.write(`\n${grouped(total)}${complete ? "" : " of the oldest 100,000"} wait\n`);
  for (const message of messages) process.stdout.write(`${JSON.stringify(message)}\n`);
}
