/** `hotswap config …`: documents as versions, what differs between them, and how they move. */
import { styleText } from "node:util";
import { type Command, Option } from "commander";
import { parse, stringify } from "yaml";
import type { Config, ConfigFormat, ImportedConfig } from "../../client/src/index.ts";
import { INTEGER_MAX } from "../core/bounds.ts";
import { HotSwapError } from "../core/errors.ts";
import { integer } from "../platform/settings/kind.ts";
import { addConfigDrafts } from "./config-drafts.ts";
import { addConfigPins } from "./config-pins.ts";
import { addConfigSecrets } from "./config-secrets.ts";
import { addConfigSync } from "./config-sync.ts";
import { changesText, readText, showMade } from "./config-text.ts";
import { addConfigTrial } from "./config-trial.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { read } from "./option-values.ts";
import { printJson, printTable } from "./print.ts";

type Flags = ConnectionFlags & { json?: boolean };
type Add = (signature: string, description: string) => Command;

const formats = ["json", "yaml", "toml", "properties"];
const version = read(integer(1, INTEGER_MAX));

export function addConfig(program: Command): void {
  const config = program.command("config").description("write, compare, promote and sync configurations");
  const add: Add = (signature, description) =>
    addConnectionOptions(config.command(signature).description(description)).option("--json", "print JSON");
  addBasics(add);
  addDocuments(add);
  addConfigDrafts(config);
  addConfigTrial(add);
  addLooks(add);
  addTransfer(add);
  addConfigSync(add);
  addConfigPins(config);
  addConfigSecrets(config);
}

function addBasics(add: Add): void {
  add("create <name>", "create a configuration")
    .requiredOption("--service <name>", "whose it is")
    .requiredOption("--environment <name>", "development, staging, production or any other")
    .addOption(
      new Option("--format <format>", "how its documents are written").choices(formats).default("yaml"),
    )
    .option("--description <text>")
    .option("--schema <subject>", "what each version must fit: subject, or subject@version")
    .action(
      (
        name: string,
        flags: Flags & {
          service: string;
          environment: string;
          format: ConfigFormat;
          description?: string;
          schema?: string;
        },
      ) =>
        useServer(flags, async ({ configs }) => {
          const { service, environment, format, description, schema } = flags;
          const made = await configs.create({
            ...{ name, service, environment, format },
            ...(description !== undefined && { description }),
            ...(schema !== undefined && { schema: schemaOf(schema) }),
          });
          if (flags.json) printJson(made);
          else process.stderr.write(`configuration ${name} created\n`);
        }),
    );
  add("list", "list configurations")
    .option("--service <name>", "of one service")
    .option("--environment <name>", "of one environment")
    .option("--text <text>", "with this in name or description")
    .action((flags: Flags & { service?: string; environment?: string; text?: string }) =>
      useServer(flags, async ({ configs }) => {
        const { service, environment, text } = flags;
        list(await Array.fromAsync(configs.all({ service, environment, text })), flags.json);
      }),
    );
  add("delete <name>", "delete a configuration with all its versions").action((name: string, flags: Flags) =>
    useServer(flags, async ({ configs }) => {
      await configs.delete(name);
      if (flags.json) printJson({ deleted: name });
      else process.stderr.write(`configuration ${name} deleted\n`);
    }),
  );
}

function addDocuments(add: Add): void {
  add("get <name>", "print a document: the one in force, or else the newest")
    .option("--version <number>", "this one", version)
    .option("--latest", "the newest, whatever is in force")
    .action((name: string, flags: Flags & { version?: number; latest?: boolean }) =>
      useServer(flags, async (client) => {
        const config = await client.configs.get(name);
        const chosen = flags.version ?? (flags.latest ? config.latestVersion : inForce(config));
        const found = await client.configs.version(name, someVersion(config, chosen));
        if (flags.json) printJson(found);
        else process.stdout.write(found.text.endsWith("\n") ? found.text : `${found.text}\n`);
      }),
    );
  add("put <name> <file>", "make a version of a file; - reads standard input")
    .option("--note <text>", "what it is for, as the message of a commit")
    .option(
      "--parent <number>",
      "refuse when this is not the newest, 0 for none",
      read(integer(0, INTEGER_MAX)),
    )
    .option("--dry-run", "check everything, but keep nothing")
    .action(
      (name: string, file: string, flags: Flags & { note?: string; parent?: number; dryRun?: boolean }) =>
        useServer(flags, async ({ configs }) => {
          const { note, parent, dryRun } = flags;
          const given = {
            text: await readText(file),
            ...(note !== undefined && { note }),
            ...(parent !== undefined && { parent }),
          };
          showMade(await configs.put(name, given, { dryRun }), flags);
        }),
    );
  add("promote <name> <to>", "copy a version to the configuration of another environment")
    .option("--version <number>", "this one; by default the one in force, or else the newest", version)
    .option("--note <text>")
    .action((name: string, to: string, flags: Flags & { version?: number; note?: string }) =>
      useServer(flags, async ({ configs }) => {
        const { version: chosen, note } = flags;
        const promotion = {
          to,
          ...(chosen !== undefined && { version: chosen }),
          ...(note !== undefined && { note }),
        };
        showMade(await configs.promote(name, promotion), flags);
      }),
    );
}

function addLooks(add: Add): void {
  add("versions <name>", "list the versions of a configuration").action((name: string, flags: Flags) =>
    useServer(flags, async ({ configs }) => {
      const all = await Array.fromAsync(configs.allVersions(name));
      if (flags.json) {
        printJson(all);
        return;
      }
      const rows = all.map(({ version: number, hash, author, createdAt, note, current }) => {
        const shown = [hash.slice(0, 12), author, createdAt, note.split("\n", 1)[0]!];
        return [current ? `${number} (in force)` : String(number), ...shown];
      });
      printTable(["VERSION", "HASH", "AUTHOR", "CREATED", "NOTE"], rows);
    }),
  );
  add("diff <name>", "show what differs; by default between what is in force and the newest")
    .argument("[from]", "version", version)
    .argument("[to]", "version; by default the newest", version)
    .action((name: string, from: number | undefined, to: number | undefined, flags: Flags) =>
      useServer(flags, async ({ configs }) => {
        const config = await configs.get(name);
        const newer = someVersion(config, to ?? config.latestVersion);
        const older = from ?? config.currentVersion ?? Math.max(1, newer - 1);
        const diff = await configs.diff(name, older, newer);
        if (flags.json) printJson(diff);
        else
          process.stdout.write(changesText(diff.changes) || `versions ${older} and ${newer} say the same\n`);
      }),
    );
  add("blame <name>", "show which version, and who, brought each value")
    .option("--version <number>", "of this version; by default the newest", version)
    .action((name: string, flags: Flags & { version?: number }) =>
      useServer(flags, async ({ configs }) => {
        const config = await configs.get(name);
        const places = await configs.blame(name, someVersion(config, flags.version ?? config.latestVersion));
        if (flags.json) printJson(places);
        else
          printTable(
            ["PLACE", "VERSION", "AUTHOR", "NOTE"],
            places.map(({ pointer, version: number, author, note }) => [pointer, number, author, note]),
          );
      }),
    );
  add("history <name>", "show what happened to a configuration, newest first").action(
    (name: string, flags: Flags) =>
      useServer(flags, async ({ configs }) => {
        const { items } = await configs.history(name);
        if (flags.json) printJson(items);
        else
          printTable(
            ["AT", "WHAT", "VERSION", "BY", "NOTE"],
            items.map(({ at, type, version: number, author, note }) => [
              at,
              type.replace("_", " "),
              number,
              author,
              note,
            ]),
          );
      }),
  );
}

function addTransfer(add: Add): void {
  add("export", "print configurations with their documents, as `import` takes them")
    .option("--service <name>", "of one service")
    .option("--environment <name>", "of one environment")
    .action((flags: Flags & { service?: string; environment?: string }) =>
      useServer(flags, async ({ configs }) => {
        const { service, environment } = flags;
        const set = { configs: await Array.fromAsync(configs.export({ service, environment })) };
        if (flags.json) printJson(set);
        else process.stdout.write(stringify(set, { lineWidth: 110, aliasDuplicateObjects: false }));
      }),
    );
  add("import <file>", "create and change configurations as a YAML or JSON file says, all of them or none")
    .option("--dry-run", "check everything and show the diff, but keep nothing")
    .option("--note <text>", "of each new version")
    .action((file: string, flags: Flags & { dryRun?: boolean; note?: string }) =>
      useServer(flags, async ({ configs }) => {
        const { dryRun, note } = flags;
        const report = await configs.import(await readSet(file), { dryRun, note });
        if (flags.json) {
          printJson(report);
          return;
        }
        const lines = report.created.map((name) => `${styleText("green", `+ ${name}`)}\n`);
        for (const { name, version: number, changes } of report.changed)
          lines.push(
            `${styleText("yellow", `~ ${name} version ${number}`)}\n${changesText(changes, "    ")}`,
          );
        const counts = `${report.created.length} created, ${report.changed.length} changed, ${report.unchanged} unchanged`;
        process.stdout.write(
          `${lines.join("")}${counts}${report.dryRun ? "; nothing was kept (dry run)" : ""}\n`,
        );
      }),
    );
}

function schemaOf(given: string): { subject: string; version?: number } {
  const [, subject = given, number] = /^(.+)@(\d+)$/.exec(given) ?? [];
  return { subject, ...(number !== undefined && { version: Number(number) }) };
}

const inForce = ({ currentVersion, latestVersion }: Config) => currentVersion ?? latestVersion;

function someVersion({ name }: Config, chosen: number | null): number {
  if (chosen !== null) return chosen;
  throw new HotSwapError("config_version_not_found", `${name} has no version yet.`);
}

/** The list `configs` of the file, whatever is in it: the server checks it. */
async function readSet(file: string): Promise<ImportedConfig[]> {
  let document: unknown;
  try {
    document = parse(await readText(file));
  } catch (error) {
    if (error instanceof HotSwapError) throw error;
    throw new HotSwapError(
      "file_unusable",
      `${file} cannot be read: ${(error as Error).message.split("\n", 1)[0]}`,
    );
  }
  const configs = (document as { configs?: unknown } | null)?.configs;
  if (Array.isArray(configs)) return configs;
  throw new HotSwapError("file_unusable", `${file} has no list \`configs\`.`);
}

function list(configs: readonly Config[], json: boolean | undefined): void {
  if (json) {
    printJson(configs);
    return;
  }
  if (configs.length === 0) {
    process.stderr.write("There is no configuration yet. Create one: hotswap config create NAME\n");
    return;
  }
  const shown = (number: number | null) => (number === null ? "–" : String(number));
  const rows = configs.map(({ name, service, environment, format, currentVersion, latestVersion }) => {
    return [name, service, environment, format, shown(currentVersion), shown(latestVersion)];
  });
  printTable(["NAME", "SERVICE", "ENVIRONMENT", "FORMAT", "IN FORCE", "LATEST"], rows);
}
