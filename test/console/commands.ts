/** Whether a command that the console shows is one that `hotswap` has. */
import { createProgram } from "../../src/cli/program.ts";

const program = await createProgram({ version: "0", description: "" });

/** The command and options of a line that `hotswap` does not have. */
export function unknownWords(text: string): string[] {
  if (text.startsWith("curl ")) return [];
  // What is piped in says nothing of the command.
  const [name, ...words] = text.replace(/^echo .*? \| (?=hotswap )/s, "").split(" ");
  if (name !== "hotswap") return [`${name}`];
  let command = program;
  while (command.commands.length > 0) {
    const next = command.commands.find((candidate) => candidate.name() === words[0]);
    if (!next) return words.slice(0, 1);
    command = next;
    words.shift();
  }
  const options = words.filter((word) => word.startsWith("--"));
  return options.filter((option) => !command.options.some(({ long }) => long === option));
}
