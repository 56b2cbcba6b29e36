/** `hotswap instance …`: instances of services, and what each of them runs. */
import { type Command, Option } from "commander";
import type { Instance, InstanceConfig, InstanceFilter } from "../../client/src/index.ts";
import { INTEGER_MAX } from "../core/bounds.ts";
import { integer } from "../platform/settings/kind.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { read } from "./option-values.ts";
import { printJson, printTable } from "./print.ts";

type Flags = ConnectionFlags & { json?: boolean };

export function addInstance(program: Command): void {
  const group = program
    .command("instance")
    .description("list instances of services, and see what configuration each runs");
  const add = (signature: string, description: string) =>
    addConnectionOptions(group.command(signature).description(description)).option("--json", "print JSON");

  add("list", "list instances, with what each runs")
    .option("--service <name>", "of this service")
    .option("--environment <name>", "in this environment")
    .option("--config <name>", "that say something of this configuration")
    .option("--config-version <number>", "that run this version of it", read(integer(1, INTEGER_MAX)))
    .addOption(
      new Option("--status <status>", "that are so; the last two of the configuration").choices([
        "live",
        "silent",
        "applied",
        "rejected",
      ]),
    )
    .action((flags: Flags & InstanceFilter & { configVersion?: number }) =>
      useServer(flags, async ({ instances }) => {
        const { service, environment, config, configVersion: version, status } = flags;
        const found = await Array.fromAsync(instances.all({ service, environment, config, version, status }));
        if (flags.json) printJson(found);
        else printTable(["INSTANCE", "SERVICE", "ENVIRONMENT", "STATUS", "RUNS"], found.map(rowOf));
      }),
    );
  add("get <id>", "show an instance, and why it refuses what it refuses").action((id: string, flags: Flags) =>
    useServer(flags, async ({ instances }) => {
      const instance = await instances.get(id);
      if (flags.json) printJson(instance);
      else show(instance);
    }),
  );
}

function rowOf({ instanceId, service, environment, status, configs }: Instance): string[] {
  return [instanceId, service, environment, status, configs.map(briefly).join(", ")];
}

/** `limits 6`, `limits 6 → 7` on its way, `limits 6 ✗ 7` when it refuses that. */
function briefly({ config, running, desired, status }: InstanceConfig): string {
  const here = `${config} ${running ?? "none"}`;
  if (status === "applied") return here;
  return `${here} ${status === "rejected" ? "✗" : "→"} ${desired ?? "none"}`;
}

function show({ configs, ...instance }: Instance): void {
  printTable(
    ["INSTANCE", "SERVICE", "ENVIRONMENT", "STATUS", "LAST SEEN"],
    [[instance.instanceId, instance.service, instance.environment, instance.status, instance.seenAt]],
  );
  if (configs.length === 0) return;
  process.stdout.write("\n");
  printTable(
    ["CONFIGURATION", "RUNS", "SHOULD RUN", "STATUS", "REASON"],
    configs.map(({ config, running, desired, status, rejected }) => [
      ...[config, running ?? "none", desired ?? "none", status],
      rejected ? `version ${rejected.version}: ${rejected.reason}` : "",
    ]),
  );
}
