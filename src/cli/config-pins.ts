/** `hotswap config pin …`: a few instances, known by their labels, have a version by hand, whatever is deployed. */
import { type Command, InvalidArgumentError } from "commander";
import type { Pin } from "../../client/src/index.ts";
import { INTEGER_MAX } from "../core/bounds.ts";
import { HotSwapError } from "../core/errors.ts";
import { integer } from "../platform/settings/kind.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { read } from "./option-values.ts";
import { printJson, printTable } from "./print.ts";

type Labels = Record<string, string>;
type Flags = ConnectionFlags & { json?: boolean; dryRun?: boolean };

export function addConfigPins(config: Command): void {
  const group = config.command("pin").description("give instances with certain labels a version by hand");
  const add = (signature: string, description: string) =>
    addConnectionOptions(group.command(signature).description(description)).option("--json", "print JSON");
  add("set <name>", "pin instances to a version, at once; a pin of the same labels is replaced")
    .requiredOption("--labels <pairs>", "those with all of these: host=web-1,zone=a", readLabels)
    .requiredOption("--version <number>", "which they have from now on", read(integer(1, INTEGER_MAX)))
    .option("--reason <text>")
    .option("--dry-run", "check everything, but keep nothing")
    .action((name: string, flags: Flags & { labels: Labels; version: number; reason?: string }) =>
      useServer(flags, async ({ instances }) => {
        const { labels, version, reason, dryRun } = flags;
        const pin = { labels, version, ...(reason !== undefined && { reason }) };
        show(await instances.pin(name, pin, { dryRun }), flags);
      }),
    );
  add(
    "list <name>",
    "list the pins of a configuration; of several that fit an instance the first counts",
  ).action((name: string, flags: Flags) =>
    useServer(flags, async ({ instances }) => show(await instances.pins(name), flags)),
  );
  add("remove <name>", "take a pin away: its instances get what everybody has")
    .option("--labels <pairs>", "of exactly these labels", readLabels)
    .option("--all", "all pins of the configuration")
    .option("--dry-run", "check everything, but change nothing")
    .action((name: string, flags: Flags & { labels?: Labels; all?: boolean }) =>
      useServer(flags, async ({ instances }) => {
        const { labels, all, dryRun } = flags;
        if ((labels === undefined) === (all === undefined))
          throw new HotSwapError("validation_failed", "Give either --labels or --all.");
        show(await instances.unpin(name, labels, { dryRun }), flags);
      }),
    );
}

function readLabels(raw: string): Labels {
  const pairs = raw.split(",").map((pair) => {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
    if (name === undefined) throw new InvalidArgumentError("It must be NAME=VALUE, several with commas.");
    return [name, value];
  });
  return Object.fromEntries(pairs);
}

function show({ items }: { items: readonly Pin[] }, { json }: Flags): void {
  if (json) {
    printJson(items);
    return;
  }
  const rows = items.map(({ labels, version, by, at, reason }) => [
    labelsText(labels),
    version,
    by,
    at,
    reason,
  ]);
  printTable(["LABELS", "VERSION", "BY", "AT", "REASON"], rows);
}

const labelsText = (labels: Labels) =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
