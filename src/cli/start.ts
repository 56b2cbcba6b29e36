/** `hotswap start`: the server for production; it refuses what is good enough for development only. */
import type { Command } from "commander";
import { addSettingFlags, settingFlags } from "./flags.ts";

export function addStart(program: Command, version: string): void {
  const command = program
    .command("start")
    .description("run the server in production: your own secrets, no development tokens")
    .option("--takeover", "serve beside the server that runs on this data folder, then go on in its place")
    .option("--json", "print one JSON object with the addresses, then log lines on stderr");
  addSettingFlags(command).action(async ({ json = false, config, takeover = false }: StartOptions) => {
    const { runServer } = await import("./run.ts");
    const flags = settingFlags(command);
    await runServer({ mode: "production", version, json, configFile: config, flags, takesOver: takeover });
  });
}

interface StartOptions {
  json?: boolean;
  config?: string;
  takeover?: boolean;
}
