/** `hotswap config secret …`: values that configurations refer to by name; they go in and never come out. */
import { text } from "node:stream/consumers";
import type { Command } from "commander";
import { HotSwapError } from "../core/errors.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { printJson, printTable } from "./print.ts";

type Flags = ConnectionFlags & { json?: boolean };

export function addConfigSecrets(config: Command): void {
  const group = config.command("secret").description("set, list and delete secrets that documents refer to");
  const add = (signature: string, description: string) =>
    addConnectionOptions(group.command(signature).description(description)).option("--json", "print JSON");
  add("set <name>", "set a secret to what comes on standard input").action((name: string, flags: Flags) =>
    useServer(flags, async ({ secrets }) => {
      // An argument would be seen by every user of the machine, and stay in the history of the shell.
      const value = (await text(process.stdin)).replace(/\r?\n$/, "");
      if (value === "") throw new HotSwapError("validation_failed", "There is nothing on standard input.");
      const set = await secrets.set(name, value);
      if (flags.json) printJson(set);
      else process.stderr.write(`secret ${name} set\n`);
    }),
  );
  add("list", "list the names of secrets").action((flags: Flags) =>
    useServer(flags, async ({ secrets }) => {
      const all = await Array.fromAsync(secrets.all());
      if (flags.json) printJson(all);
      else
        printTable(
          ["NAME", "SET", "BY", "AT"],
          all.map(({ name, revision, author, updatedAt }) => [name, revision, author, updatedAt]),
        );
    }),
  );
  add("delete <name>", "delete a secret")
    .option("--force", "also when a version in force refers to it")
    .action((name: string, flags: Flags & { force?: boolean }) =>
      useServer(flags, async ({ secrets }) => {
        await secrets.delete(name, { force: flags.force ?? false });
        if (flags.json) printJson({ deleted: name });
        else process.stderr.write(`secret ${name} deleted\n`);
      }),
    );
}
