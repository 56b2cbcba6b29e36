/** `hotswap dev`: everything on embedded defaults, on loopback, with a token to begin with. */
import type { Command } from "commander";
import { addSettingFlags, settingFlags } from "./flags.ts";

export function addDev(program: Command, version: string): void {
  const command = program
    .command("dev")
    .description("run everything on embedded defaults, for development on this machine")
    .option("--json", "print one JSON object with the addresses and a token, then log lines on stderr");
  addSettingFlags(command).action(async ({ json = false, config }: { json?: boolean; config?: string }) => {
    const { runServer } = await import("./run.ts");
    await runServer({ mode: "development", version, json, configFile: config, flags: settingFlags(command) });
  });
}
