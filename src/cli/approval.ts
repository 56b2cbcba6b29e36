/** `hotswap approval …`: what waits for a second person, exactly what it is, and their yes or no. */
import { type Command, Option } from "commander";
import { stringify } from "yaml";
import type { Approval, ApprovalState, ApprovalSummary } from "../../client/src/index.ts";
import { approvalStates } from "../platform/approvals/state.ts";
import { integer } from "../platform/settings/kind.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { read } from "./option-values.ts";
import { printJson, printTable } from "./print.ts";

type Flags = ConnectionFlags & { json?: boolean };

export function addApproval(program: Command): void {
  const group = program
    .command("approval")
    .description("look at what waits for approval, and approve or reject it");
  const add = (signature: string, description: string) =>
    addConnectionOptions(group.command(signature).description(description)).option("--json", "print JSON");

  add("list", "list requests for approval, newest first")
    .addOption(new Option("--state <state>", "only those").choices([...approvalStates]))
    .option("--limit <count>", "how many", read(integer(1, 1_000)), 20)
    .action((flags: Flags & { state?: ApprovalState; limit: number }) =>
      useServer(flags, async ({ approvals }) => {
        const { items } = await approvals.list({ state: flags.state, limit: flags.limit });
        if (flags.json) return printJson(items);
        const rows = items.map((one) => [one.id, one.state, one.author, what(one), one.expiresAt]);
        printTable(["ID", "STATE", "AUTHOR", "WHAT", "EXPIRES"], rows);
      }),
    );
  add("get <id>", "show a request, with exactly what is to be approved").action((id: string, flags: Flags) =>
    useServer(flags, async ({ approvals }) => print(await approvals.get(id), flags.json)),
  );
  add("approve <id>", "agree to exactly this; nobody approves their own")
    .option("--reason <text>", "for others and the audit")
    .action((id: string, { reason, ...flags }: Flags & { reason?: string }) =>
      useServer(flags, async ({ approvals }) => print(await approvals.approve(id, reason), flags.json)),
    );
  add("reject <id>", "refuse it")
    .requiredOption("--reason <text>", "for the author and the audit")
    .action((id: string, { reason, ...flags }: Flags & { reason: string }) =>
      useServer(flags, async ({ approvals }) => print(await approvals.reject(id, reason), flags.json)),
    );
}

const what = ({ kind, resource, summary }: ApprovalSummary) => summary ?? `${kind} of ${resource}`;

function print(approval: Approval, isJson: boolean | undefined): void {
  if (isJson) {
    printJson(approval);
    return;
  }
  const { id, state, author, environment, decidedBy, reason, contentHash, content } = approval;
  const lines = [
    `${id}  ${what(approval)}`,
    `${state}, asked for by ${author}${environment ? ` for ${environment}` : ""}`,
    ...(decidedBy ? [`decided by ${decidedBy}${reason ? `: ${reason}` : ""}`] : []),
    `sha256 ${contentHash}`,
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  if (state === "pending") process.stdout.write(stringify(content));
}
