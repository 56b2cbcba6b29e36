/** `hotswap doctor`: is this machine fit for HotSwap with these settings? One line, and one remedy, a check. */
import { styleText } from "node:util";
import type { Command } from "commander";
import type { Finding } from "./checks.ts";
import { Exit } from "./failure.ts";
import { addSettingFlags, settingFlags } from "./flags.ts";
import { printJson } from "./print.ts";

export function addDoctor(program: Command): void {
  const command = program
    .command("doctor")
    .description(
      "check that this machine is fit for HotSwap with these settings; fails when something is not",
    )
    .option("--json", "print JSON")
    .option("--production", "check with the settings that `hotswap start` needs");
  addSettingFlags(command).action(
    async (flags: { json?: boolean; production?: boolean; config?: string }) => {
      const { examine } = await import("./checks.ts");
      const mode = flags.production ? "production" : "development";
      const findings = await examine({ mode, configFile: flags.config, flags: settingFlags(command) });
      if (flags.json) printJson(findings);
      else for (const finding of findings) process.stdout.write(lines(finding));
      if (findings.some(({ status }) => status === "fail")) throw new Exit(1);
    },
  );
}

const marks = { ok: ["green", "✔"], warn: ["yellow", "!"], fail: ["red", "✖"] } as const;

function lines({ name, status, detail, remedy }: Finding): string {
  const [colour, mark] = marks[status];
  const text = detail.replaceAll("\n", "\n             ");
  return `${styleText(colour, mark)} ${name.padEnd(10)} ${text}\n${remedy ? `             → ${remedy}\n` : ""}`;
}
