/** `hotswap deployment …`: what is under way, and what people do about it. */
import { styleText } from "node:util";
import { type Command, Option } from "commander";
import type { Deployment, DeploymentSummary, HotSwap } from "../../client/src/index.ts";
import { systemClock } from "../core/clock.ts";
import { statuses } from "../deployment/state.ts";
import { integer } from "../platform/settings/kind.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { watch } from "./deployment-watch.ts";
import { read, readTime } from "./option-values.ts";
import { printJson, printTable } from "./print.ts";

type Flags = ConnectionFlags & { json?: boolean };

export function addDeployment(program: Command): void {
  const group = program
    .command("deployment")
    .description("look at deployments, promote them, take them back");
  const add = (signature: string, description: string, parent = group) =>
    addConnectionOptions(parent.command(signature).description(description)).option("--json", "print JSON");

  add("list", "list deployments, newest first")
    .option("--kind <kind>", "only those of this kind: config, route")
    .option("--target <name>", "only those of this thing")
    .option("--environment <name>", "only those of this environment")
    .addOption(new Option("--status <status>", "only those").choices(["active", ...statuses]))
    .option("--limit <count>", "how many", read(integer(1, 1_000)), 20)
    .action((flags: Flags & Parameters<HotSwap["deployments"]["list"]>[0]) => {
      const { json, url: _, data: __, ...filter } = flags;
      return useServer(flags, async (client) => show(await client.deployments.list(filter), json));
    });
  add("get <id>", "show a deployment").action((id: string, flags: Flags) =>
    useServer(flags, async (client) => print(await client.deployments.get(id), flags.json)),
  );
  addConnectionOptions(group.command("watch <id>").description("follow a deployment to its end"))
    .option("--json", "print one event a line, as JSON")
    .action((id: string, flags: Flags) =>
      useServer(flags, (client) => watch(client, id, flags.json ?? false)),
    );
  addVerbs(add);
  addFreezes(group.command("freeze").description("let nothing go forward for a while"), add);
}

type Add = (signature: string, description: string, parent?: Command) => Command;

function addVerbs(add: Add): void {
  type Reasoned = Flags & { reason?: string };
  add("pause <id>", "hold it where it is")
    .option("--reason <text>", "for others and the audit")
    .action((id: string, { reason, ...flags }: Reasoned) =>
      useServer(flags, async (client) => print(await client.deployments.pause(id, reason), flags.json)),
    );
  add("resume <id>", "let it go on").action((id: string, flags: Flags) =>
    useServer(flags, async (client) => print(await client.deployments.resume(id), flags.json)),
  );
  add("promote <id>", "end the wait of its step")
    .option("--full", "expose all at once")
    .option("--reason <text>", "for others and the audit")
    .action((id: string, { full = false, reason, ...flags }: Reasoned & { full?: boolean }) =>
      useServer(flags, async (client) =>
        print(await client.deployments.promote(id, { full, reason }), flags.json),
      ),
    );
  add("rollback <id>", "take it back; what has ended stays as it is")
    .requiredOption("--reason <text>", "for others and the audit")
    .action((id: string, { reason, ...flags }: Flags & { reason: string }) =>
      useServer(flags, async (client) => print(await client.deployments.rollback(id, reason), flags.json)),
    );
  add("break-glass <id>", "ask that it may go on in spite of a freeze")
    .requiredOption("--reason <text>", "for who must approve it, and the audit")
    .action((id: string, { reason, ...flags }: Flags & { reason: string }) =>
      useServer(flags, async (client) => {
        const asked = await client.deployments.breakGlass(id, reason);
        if (flags.json) printJson(asked);
        else process.stdout.write(`Another person must: hotswap approval approve ${asked.approvalId}\n`);
      }),
    );
}

function addFreezes(group: Command, add: Add): void {
  add("create", "begin a freeze; rollbacks go through", group)
    .requiredOption("--for <time>", "such as 2h", read(integer(1, 366 * 86_400, "seconds")))
    .requiredOption("--reason <text>", "for others and the audit")
    .option("--kind <kind>", "only of this kind: config, route")
    .option("--environment <name>", "only of this environment")
    .option("--target <name>", "only of this thing")
    .option("--from <time>", "when it begins (ISO 8601); default now", readTime)
    .action((flags: Flags & FreezeFlags) =>
      useServer(flags, async (client) => {
        const { for: seconds, reason, kind, environment, target, from } = flags;
        const begin = from === undefined ? systemClock.now() : Date.parse(from);
        const made = await client.deployments.freeze({
          ...{ reason, to: new Date(begin + seconds * 1_000).toISOString() },
          ...(from !== undefined && { from }),
          ...(kind !== undefined && { kind }),
          ...(environment !== undefined && { environment }),
          ...(target !== undefined && { target }),
        });
        if (flags.json) printJson(made);
        else process.stdout.write(`${made.id} until ${made.to}\n`);
      }),
    );
  add("list", "list freezes, newest first", group).action((flags: Flags) =>
    useServer(flags, async (client) => {
      const { items } = await client.deployments.freezes();
      if (flags.json) return printJson(items);
      const rows = items.map(({ id, kind, environment, target, from, to, reason }) => {
        const scope = [kind, environment, target].filter((part) => part !== null).join(" ");
        return [id, scope || "everything", from, to, reason];
      });
      printTable(["ID", "OF", "FROM", "TO", "REASON"], rows);
    }),
  );
  add("end <id>", "end a freeze", group).action((id: string, flags: Flags) =>
    useServer(flags, (client) => client.deployments.endFreeze(id)),
  );
}

interface FreezeFlags {
  for: number;
  reason: string;
  kind?: string;
  environment?: string;
  target?: string;
  from?: string;
}

function show({ items }: { items: DeploymentSummary[] }, isJson: boolean | undefined): void {
  const rows = items.map(({ id, kind, targetName, version, strategy, status, share, holdReasons }) => {
    const held = holdReasons.length > 0 ? `${status} (${holdReasons.join(", ")})` : status;
    return [id, `${kind} ${targetName}`, version.id, strategy, held, `${share} %`];
  });
  if (isJson) printJson(items);
  else printTable(["ID", "TARGET", "VERSION", "STRATEGY", "STATUS", "SHARE"], rows);
}

function print(deployment: Deployment, isJson: boolean | undefined): void {
  if (isJson) printJson(deployment);
  else process.stdout.write(deploymentText(deployment));
}

export function deploymentText(deployment: Deployment, isDryRun = false): string {
  const { id, summary, strategy, status, share, phase, phases, holds, plan, verdicts, rollback } = deployment;
  const { failed = 0, exposed = 0, failures = [] } = deployment.progress ?? {};
  const verdict = verdicts.at(-1);
  const lines = [
    isDryRun ? `would deploy ${summary} (${strategy})` : `${id}  ${summary} (${strategy})`,
    ...(isDryRun ? [] : [`${status}, ${share} %, phase ${phase} of ${phases}`]),
    ...holds.map(({ reason, detail }) => `held, ${reason}${detail ? `: ${detail}` : ""}`),
    ...(rollback ? [`rolled back, ${rollback.cause}: ${rollback.reason}`] : []),
    ...(failed > 0 ? [`${failed} of ${exposed} units failed`, ...failures.map(failureText)] : []),
    ...(verdict ? [`judge: ${verdict.outcome}${verdict.reasons[0] ? `, ${verdict.reasons[0]}` : ""}`] : []),
    ...(deployment.approvalId && holds.some(({ reason }) => reason === "approval")
      ? [`approve it with: hotswap approval approve ${deployment.approvalId}`]
      : []),
    ...(deployment.hint ? [deployment.hint] : []),
    ...(deployment.trouble ? [`trouble: ${deployment.trouble.message}`] : []),
    ...(isDryRun || status === "pending" ? plan.map(stepText) : []),
  ];
  return `${lines.join("\n")}\n`;
}

const failureText = ({ unit, reason }: { unit: string; reason: string }) => `  ${unit}: ${reason}`;

function stepText(step: Record<string, unknown>, index: number): string {
  const { kind, share, count, minMs, maxMs, checks, delayMs } = step;
  const what = {
    expose: count === undefined ? `expose ${Number(share) * 100} %` : `expose ${count} unit`,
    bake: `watch for ${Number(minMs) / 1000} to ${Number(maxMs) / 1000} s (${checks})`,
    gate: "wait for a promotion",
    smoke: "smoke test",
    switch: "switch everybody",
    retire: `keep the old version for ${Number(delayMs) / 1000} s, then drop it`,
  }[String(kind)];
  return styleText("dim", `  ${index + 1}. ${what}`);
}
