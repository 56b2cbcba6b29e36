/** `hotswap config draft …`: one's own next version while it is written, valid or not; `config try` asks about it. */
import { styleText } from "node:util";
import type { Command } from "commander";
import type { ConfigDraft } from "../../client/src/index.ts";
import { changesText, readText, showMade } from "./config-text.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { printJson, printTable } from "./print.ts";

type Flags = ConnectionFlags & { json?: boolean };

export function addConfigDrafts(config: Command): void {
  const group = config.command("draft").description("keep, check and publish what you are writing");
  const add = (signature: string, description: string) =>
    addConnectionOptions(group.command(signature).description(description)).option("--json", "print JSON");
  add(
    "save <name> <file>",
    "save your draft, valid or not, and say what is wrong with it; - reads standard input",
  )
    .addHelpText("after", "\nEnds with 1 when it is not fit to be a version.")
    .action((name: string, file: string, flags: Flags) =>
      useServer(flags, async ({ configs }) => {
        const draft = await configs.saveDraft(name, await readText(file));
        if (flags.json) printJson(draft);
        else process.stdout.write(findingsText(draft));
        if (draft.mistakes.length > 0) process.exitCode = 1;
      }),
    );
  add("get <name>", "print your draft").action((name: string, flags: Flags) =>
    useServer(flags, async ({ configs }) => {
      const draft = await configs.draft(name);
      if (flags.json) printJson(draft);
      else process.stdout.write(draft.text.endsWith("\n") ? draft.text : `${draft.text}\n`);
    }),
  );
  add("list <name>", "list who is writing a draft").action((name: string, flags: Flags) =>
    useServer(flags, async ({ configs }) => {
      const all = await configs.drafts(name);
      if (flags.json) printJson(all);
      else
        printTable(
          ["AUTHOR", "OF VERSION", "SAVED"],
          all.map(({ author, parent, updatedAt }) => [author, parent ?? "–", updatedAt]),
        );
    }),
  );
  add("publish <name>", "make your draft the next version")
    .option("--note <text>", "what it is for, as the message of a commit")
    .option("--dry-run", "check everything, but keep nothing")
    .action((name: string, flags: Flags & { note?: string; dryRun?: boolean }) =>
      useServer(flags, async ({ configs }) => {
        const { note, dryRun } = flags;
        showMade(await configs.publishDraft(name, note, { dryRun }), flags);
      }),
    );
  add("discard <name>", "throw your draft away").action((name: string, flags: Flags) =>
    useServer(flags, async ({ configs }) => {
      await configs.discardDraft(name);
      if (flags.json) printJson({ discarded: name });
      else process.stderr.write(`draft of ${name} discarded\n`);
    }),
  );
}

function findingsText({ config, mistakes, warnings, changes }: ConfigDraft): string {
  const wrong = mistakes.map(({ line, column, message, pointer }) => {
    return `${styleText("red", "✘")} line ${line}, column ${column}: ${message}${pointer && ` (${pointer})`}\n`;
  });
  const doubtful = warnings.map(
    ({ pointer, message }) => `${styleText("yellow", "!")} ${pointer} ${message}\n`,
  );
  const fitness = mistakes.length === 0 ? "fit to be a version" : "not fit to be a version yet";
  return [...wrong, ...doubtful, changesText(changes ?? []), `draft of ${config} saved, ${fitness}\n`].join(
    "",
  );
}
