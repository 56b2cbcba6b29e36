/** `hotswap message …`: read a message, and see or take back those that wait for their time. */
import type { Command } from "commander";
import type { HotSwap, ScheduledMessage } from "../../client/src/index.ts";
import { integer } from "../platform/settings/kind.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { read } from "./option-values.ts";
import { printJson, printTable } from "./print.ts";

type Flags = ConnectionFlags & { json?: boolean };

/** What the API gives at once. */
const pageMax = 1000;
/** Of a payload, in a table. */
const payloadShown = 60;

export function addMessage(program: Command): void {
  const group = program.command("message").description("read messages, and take back scheduled ones");
  const add = (signature: string, description: string) =>
    addConnectionOptions(group.command(signature).description(description)).option("--json", "print JSON");

  add("get <id>", "print a message without consuming it").action((id: string, flags: Flags) =>
    useServer(flags, async ({ messages }) => printJson(await messages.get(id))),
  );
  add("scheduled <topic>", "list the messages of a topic that wait for their time")
    .option("--limit <count>", "how many at most", read(integer(1, 1_000_000)), 100)
    .action((topic: string, flags: Flags & { limit: number }) =>
      useServer(flags, async (client) => {
        const { found, isAll } = await scheduled(client, topic, flags.limit);
        if (flags.json) printJson(found);
        else showScheduled(found);
        if (!isAll) process.stderr.write(`These are the first ${found.length}; see --limit.\n`);
      }),
    );
  add("cancel <id>", "take back a message that waits for its time").action((id: string, flags: Flags) =>
    useServer(flags, async (client) => {
      const message = await client.scheduled.cancel(id);
      if (flags.json) printJson(message);
      else process.stderr.write(`message ${id} of ${message.topic} will not be delivered\n`);
    }),
  );
}

async function scheduled({ scheduled }: HotSwap, topic: string, limit: number) {
  const found: ScheduledMessage[] = [];
  let cursor: string | undefined;
  do {
    const page = { limit: Math.min(pageMax, limit - found.length), ...(cursor && { cursor }) };
    const { items, next } = await scheduled.list(topic, page);
    found.push(...items);
    cursor = next ?? undefined;
  } while (cursor && found.length < limit);
  return { found, isAll: cursor === undefined };
}

function showScheduled(messages: readonly ScheduledMessage[]): void {
  if (messages.length === 0) {
    process.stderr.write("Nothing waits for its time.\n");
    return;
  }
  const rows = messages.map(({ messageId, scheduledFor, key, payload }) => [
    messageId,
    scheduledFor.slice(0, 19).replace("T", " "),
    key ?? "",
    (JSON.stringify(payload) ?? "").slice(0, payloadShown),
  ]);
  printTable(["MESSAGE", "DUE (UTC)", "KEY", "PAYLOAD"], rows);
}
