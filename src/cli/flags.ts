/** Every setting is a flag, made from the table of settings; the commands that run a server take them all. */
import type { Command } from "commander";
import { entryOf, flagOf, settingNames } from "../platform/settings/index.ts";

export function addSettingFlags(command: Command): Command {
  command.option("--config <file>", "read settings from this YAML or JSON file (default: hotswap.yaml)");
  for (const name of settingNames) {
    const flag = flagOf(name);
    if (flag) command.option(`--${flag} <value>`, entryOf(name).meaning);
  }
  return command;
}

/** What was given on the command line, by flag without its dashes. */
export function settingFlags(command: Command): Record<string, string> {
  const given = command.opts() as Record<string, string | undefined>;
  const flags: Record<string, string> = {};
  for (const name of settingNames) {
    const flag = flagOf(name);
    const value = flag && given[camelCase(flag)];
    if (flag && value !== undefined) flags[flag] = value;
  }
  return flags;
}

const camelCase = (flag: string) => flag.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
