/** `hotswap schema …`: register, compare, look at, approve and end schema versions. */
import { readFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import type {
  HotSwap,
  Json,
  SchemaComparison,
  SchemaState,
  SchemaSummary,
  SchemaTrial,
  SchemaUsage,
  SchemaVerdict,
} from "../../client/src/index.ts";
import { HotSwapError } from "../core/errors.ts";
import { integer } from "../platform/settings/kind.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { read } from "./option-values.ts";
import { grouped, printJson, printTable } from "./print.ts";

type Flags = ConnectionFlags & { json?: boolean };

const states = ["draft", "in_review", "approved", "deprecated", "retired"];

export function addSchema(program: Command): void {
  const schema = program.command("schema").description("register, compare, approve and end schemas");
  const add = (signature: string, description: string) =>
    addConnectionOptions(schema.command(signature).description(description)).option("--json", "print JSON");

  add("register <subject> <file>", "register a JSON Schema as the next version; - reads standard input")
    .option("--description <text>", "what changes with it")
    .option("--submit", "submit it for approval at once")
    .action((subject: string, file: string, flags: Flags & { description?: string; submit?: boolean }) =>
      useServer(flags, async ({ schemas }) => {
        const { description, submit } = flags;
        const body = { subject, schema: await readJson(file) };
        const made = await schemas.register({
          ...body,
          ...(description && { description }),
          ...(submit && { submit }),
        });
        if (!flags.json && !made.created) process.stderr.write("This schema is registered already.\n");
        show(made, flags);
      }),
    );
  add("check <subject> <file>", "compare a JSON Schema with its subject; nothing is kept")
    .option("--replay <topic>", "try the newest messages of this topic, too")
    .option("--limit <count>", "how many messages", read(integer(1, 10_000)), 1_000)
    .action((subject: string, file: string, flags: Flags & { replay?: string; limit: number }) =>
      useServer(flags, async ({ schemas }) => {
        const { replay: topic, limit } = flags;
        const trial = { subject, schema: await readJson(file), ...(topic && { replay: { topic, limit } }) };
        showTrial(await schemas.check(trial), flags);
      }),
    );
  add("list", "list schema versions")
    .option("--subject <name>", "of one subject")
    .addOption(new Option("--state <state>", "in this state").choices(states))
    .action((flags: Flags & { subject?: string; state?: SchemaState }) =>
      useServer(flags, async (client) => showAll(await versions(client, flags.subject, flags.state), flags)),
    );
  add("show <version>", "print the schema of orders@2, or of the latest version of orders").action(
    (name: string, flags: Flags) =>
      useServer(flags, async (client) => {
        const version = await client.schemas.get((await find(client, name)).id);
        printJson(flags.json ? version : version.schema);
      }),
  );
  add("diff <version>", "show what changed in orders@2 since the version before")
    .option("--from <version>", "since this one", read(integer(1, 1_000_000_000)))
    .action((name: string, flags: Flags & { from?: number }) =>
      useServer(flags, async (client) => {
        const diff = await client.schemas.diff((await find(client, name)).id, flags.from);
        if (flags.json) {
          printJson(diff);
          return;
        }
        for (const { kind, pointer, before, after } of diff.changes) {
          const values = [before, after]
            .filter((value) => value !== undefined)
            .map((value) => JSON.stringify(value));
          process.stdout.write(`${kind} ${pointer}: ${values.join(" → ")}\n`);
        }
        process.stdout.write(
          `backward: ${comparisonText(diff.backward)}\nforward: ${comparisonText(diff.forward)}\n`,
        );
      }),
    );
  addSteps(add);
}

function addSteps(add: (signature: string, description: string) => Command): void {
  add("submit <version>", "submit a draft for approval").action((name: string, flags: Flags) =>
    useServer(flags, async (client) =>
      show(await client.schemas.submit((await find(client, name)).id), flags),
    ),
  );
  add("approve <version>", "approve a version that somebody else submitted")
    .option("--reason <text>", "why")
    .action((name: string, flags: Flags & { reason?: string }) =>
      useServer(flags, async (client) =>
        show(await client.schemas.approve((await find(client, name)).id, flags.reason), flags),
      ),
    );
  const end = (step: "deprecate" | "retire", description: string) =>
    add(`${step} <version>`, description)
      .option("--reason <text>", "why")
      .option("--force", "also when something uses it")
      .action((name: string, flags: Flags & { reason?: string; force?: boolean }) =>
        useServer(flags, async (client) => {
          const { reason, force } = flags;
          const body = { ...(reason && { reason }), ...(force && { force }) };
          const { id } = await find(client, name);
          const usage = await client.schemas.usage(id);
          if (usage.total > 0 && !flags.json) showUsage(usage);
          show(await client.schemas[step](id, body), flags);
        }),
      );
  add("usage <version>", "list what uses a version: topics, consumers, configurations, schemas").action(
    (name: string, flags: Flags) =>
      useServer(flags, async (client) => {
        const usage = await client.schemas.usage((await find(client, name)).id);
        if (flags.json) printJson(usage);
        else showUsage(usage);
      }),
  );
  end("deprecate", "tell everybody to move on; it stays in force");
  end("retire", "take a deprecated version, or a draft, out of force");
}

async function versions(client: HotSwap, subject?: string, state?: SchemaState): Promise<SchemaSummary[]> {
  const found: SchemaSummary[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.schemas.list({ subject, state, limit: 1000, ...(cursor && { cursor }) });
    found.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor);
  return found;
}

/** Of `orders@2`, or the latest of `orders`. */
async function find(client: HotSwap, name: string): Promise<SchemaSummary> {
  const [subject = "", number] = name.split("@");
  const all = await versions(client, subject);
  const found = number === undefined ? all.at(-1) : all.find(({ version }) => version === Number(number));
  if (!found) throw new HotSwapError("schema_not_found", `There is no schema ${name}.`);
  return found;
}

async function readJson(file: string): Promise<Json> {
  const text = await readFile(file === "-" ? "/dev/stdin" : file, "utf8").catch((cause) => {
    throw new HotSwapError("file_unusable", `${file} cannot be read.`, { cause });
  });
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new HotSwapError("json_malformed", `${file}: ${(error as Error).message}`);
  }
}

function show(version: SchemaSummary & { compatibility: SchemaVerdict }, flags: Flags): void {
  if (flags.json) printJson(version);
  else {
    showAll([version], flags);
    showVerdict(version.compatibility);
    if (version.state === "in_review") process.stderr.write(`waits for approval ${version.approvalId}\n`);
  }
}

function showAll(list: readonly SchemaSummary[], { json }: Flags): void {
  if (json) {
    printJson(list);
    return;
  }
  const rows = list.map(({ subject, version, number, state, compatible, author, description }) => [
    subject,
    version,
    number,
    state,
    compatible ? "yes" : "no",
    author,
    description,
  ]);
  printTable(["SUBJECT", "VERSION", "ID", "STATE", "COMPATIBLE", "AUTHOR", "DESCRIPTION"], rows);
}

function showUsage({ items, total, missing }: SchemaUsage): void {
  const rows = items.map(({ kind, name, of, version }) => [kind, name, of ?? "", version ?? "latest"]);
  printTable(["USED BY", "NAME", "OF", "VERSION"], rows);
  if (total > items.length) process.stderr.write(`and ${grouped(total - items.length)} more\n`);
  for (const node of missing) process.stderr.write(`node ${node} did not say who consumes there\n`);
}

function showVerdict({ checks }: SchemaVerdict): void {
  for (const { direction, version, ...comparison } of checks)
    process.stdout.write(`${direction} with version ${version}: ${comparisonText(comparison)}\n`);
}

function comparisonText({ verdict, counterexample, reason }: SchemaComparison): string {
  if (verdict === "compatible") return "compatible, proven";
  if (verdict === "unknown") return `not provable (${reason})`;
  return `incompatible, broken by ${JSON.stringify(counterexample)}`;
}

function showTrial(trial: SchemaTrial, flags: Flags): void {
  if (flags.json) {
    printJson(trial);
    return;
  }
  showVerdict(trial.compatibility);
  const { replay } = trial;
  if (!replay) return;
  const share = `${(replay.share * 100).toFixed(2)} %`;
  process.stdout.write(
    `${replay.topic}: ${replay.failing} of ${replay.messages} messages would not fit (${share})\n`,
  );
  for (const { pointer, message, count } of replay.places)
    process.stdout.write(`  ${count} × ${pointer} ${message}\n`);
}
