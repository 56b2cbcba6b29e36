/** `hotswap bench messaging`: how fast is this server, on this machine, right now? */
import { type Command, Option } from "commander";
import { integer } from "../platform/settings/kind.ts";
import type { BenchPlan, BenchResult, Stretch } from "./bench-messaging.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { read } from "./option-values.ts";
import { grouped, printJson, printTable } from "./print.ts";

type Flags = ConnectionFlags & BenchPlan & { json?: boolean };

export function addBench(program: Command): void {
  const group = program.command("bench").description("measure the running server");
  const command = group
    .command("messaging")
    .description(
      "publish messages to a topic of its own, consume and acknowledge them, and delete the topic.\n" +
        "One client on the same machine shares its processors with the server: read it as a lower bound.",
    )
    .option("--messages <count>", "how many", read(integer(1_000, 100_000_000)), 100_000)
    .option("--size <bytes>", "payload of a message, such as 1KiB", read(integer(1, 1 << 20, "bytes")), 1024)
    .option("--partitions <count>", "of the topic", read(integer(1, 256)), 1)
    .option(
      "--in-flight <count>",
      "messages published and not yet acknowledged",
      read(integer(1, 100_000)),
      500,
    )
    .addOption(
      new Option("--durability <level>", "of the topic").choices(["memory", "os", "fsync"]).default("fsync"),
    )
    .option("--json", "print JSON");
  addConnectionOptions(command).action((flags: Flags) =>
    useServer(flags, async (client) => {
      const { benchMessaging } = await import("./bench-messaging.ts");
      const result = await benchMessaging(client, flags);
      if (flags.json) printJson(result);
      else print(result);
    }),
  );
}

function print({ plan, publish, consume, machine, command }: BenchResult): void {
  const { messages, size, partitions, durability, inFlight } = plan;
  process.stdout.write(
    `${grouped(messages)} messages of ${grouped(size)} bytes, ${partitions} partitions, durability ${durability}, ${inFlight} in flight\n\n`,
  );
  const row = (what: string, { perSecond, p50Ms, p99Ms, p999Ms }: Stretch) => [
    what,
    grouped(perSecond),
    ...[p50Ms, p99Ms, p999Ms].map((ms) => ms.toFixed(2)),
  ];
  printTable(
    ["", "MESSAGES/S", "P50 MS", "P99 MS", "P99.9 MS"],
    [row("publish, to the receipt", publish), row("consume, to the ack of 500", consume)],
  );
  process.stdout.write(
    `\n${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}, Node ${machine.node}, HotSwap ${machine.server}\n` +
      `again: ${command}\n`,
  );
}
