/** `hotswap deploy …`: a version of a configuration, or a change of a route, step by step into force. */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { type Command, Option } from "commander";
import { parse } from "yaml";
import type { DeploymentStrategy, HotSwap, NewDeployment } from "../../client/src/index.ts";
import { HotSwapError } from "../core/errors.ts";
import { integer } from "../platform/settings/kind.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { deploymentText } from "./deployment.ts";
import { watch } from "./deployment-watch.ts";
import { collect, read, readTime } from "./option-values.ts";
import { printJson } from "./print.ts";

interface Flags extends ConnectionFlags {
  json?: boolean;
  strategy?: DeploymentStrategy;
  phases?: string;
  bake?: number;
  bakeMax?: number;
  manual?: boolean;
  set?: string[];
  at?: string;
  group?: string;
  supersede?: boolean;
  note?: string;
  dryRun?: boolean;
  watch?: boolean;
}

const strategies = ["direct", "canary", "rolling", "blue-green", "ab", "emergency"];
const seconds = read(integer(0, 30 * 86_400, "seconds"));

export function addDeploy(program: Command): void {
  const group = program.command("deploy").description("deploy a version step by step, and watch it");
  const add = (signature: string, description: string) =>
    addConnectionOptions(group.command(signature).description(description))
      .addOption(new Option("--strategy <name>", "default: canary").choices(strategies))
      .option("--phases <percents>", "of a canary, such as 10,50,100")
      .option("--bake <time>", "how long each phase is watched at least, such as 5m", seconds)
      .option("--bake-max <time>", "until then the judge may stay undecided", seconds)
      .option("--manual", "each phase, or the switch, waits for a promotion")
      .option(
        "--set <name=value>",
        "any other field of the API, such as failureBudget=0.05; repeatable",
        collect,
      )
      .option("--at <time>", "when it begins (ISO 8601)", readTime)
      .option("--group <name>", "end together, or roll back together, with others of this name")
      .option("--supersede", "roll back what is under way on the same target, instead of waiting for it")
      .option("--note <text>", "for people")
      .option("--dry-run", "check everything and show the plan, but deploy nothing")
      .option("--watch", "follow it to its end; the exit code is 1 unless it succeeds")
      .option("--json", "print JSON; with --watch one event a line");

  add("config <name>", "deploy a version of a configuration")
    .requiredOption("--version <number>", "which", read(integer(1, 2 ** 31 - 1)))
    .action((name: string, flags: Flags & { version: number }) =>
      useServer(flags, (client) =>
        deploy(client, { kind: "config", config: name, version: flags.version }, flags),
      ),
    );
  add("route <id>", "deploy a change of a route, by its id or name")
    .requiredOption("--change <file>", "YAML or JSON with the route's new fields; - for standard input")
    .action((route: string, flags: Flags & { change: string }) =>
      useServer(flags, async (client) => {
        const change = await readChange(flags.change);
        await deploy(client, { kind: "route", route: await routeId(client, route), change }, flags);
      }),
    );
}

async function deploy(client: HotSwap, thing: NewDeployment, flags: Flags): Promise<void> {
  const made = await client.deployments.create(
    { ...thing, ...fieldsOf(flags) },
    { dryRun: flags.dryRun ?? false },
  );
  if (flags.watch && !flags.dryRun) return watch(client, made.id, flags.json ?? false);
  if (flags.json) printJson(made);
  else process.stdout.write(deploymentText(made, flags.dryRun));
}

function fieldsOf(flags: Flags): Partial<NewDeployment> {
  const { strategy, phases, bake, bakeMax, manual, set = [], at, group, supersede, note } = flags;
  return {
    ...(strategy && { strategy }),
    ...(phases !== undefined && { phases: phases.split(",").map(Number) }),
    ...(bake !== undefined && { bakeSeconds: bake }),
    ...(bakeMax !== undefined && { bakeMaxSeconds: bakeMax }),
    ...(manual && { manual }),
    ...(at !== undefined && { startAt: at }),
    ...(group !== undefined && { group }),
    ...(supersede && { onConflict: "supersede" as const }),
    ...(note !== undefined && { note }),
    ...Object.fromEntries(set.map(fieldOf)),
  };
}

/** A value that reads as JSON is what it says; anything else is text. */
function fieldOf(pair: string): [string, unknown] {
  const at = pair.indexOf("=");
  if (at < 1) throw new HotSwapError("validation_failed", `--set ${pair} must be name=value.`);
  const value = pair.slice(at + 1);
  try {
    return [pair.slice(0, at), JSON.parse(value)];
  } catch {
    return [pair.slice(0, at), value];
  }
}

async function readChange(file: string): Promise<Record<string, unknown>> {
  const content =
    file === "-" ? await text(process.stdin) : await readFile(file, "utf8").catch(() => undefined);
  if (content === undefined) throw new HotSwapError("file_unusable", `${file} cannot be read.`);
  const change: unknown = parse(content);
  if (change !== null && typeof change === "object" && !Array.isArray(change))
    return change as Record<string, unknown>;
  throw new HotSwapError("validation_failed", `${file} must hold an object with the route's new fields.`);
}

async function routeId(client: HotSwap, route: string): Promise<string> {
  const { items } = await client.gateway.routes({ name: route });
  return items[0]?.id ?? route;
}
