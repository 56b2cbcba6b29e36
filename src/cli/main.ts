/**
 * The command line: `hotswap COMMAND`. One file per command; this one only puts them together. It runs when
 * imported, by bin/hotswap.js, from src/ in a checkout and from dist/src/ in a package.
 */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { HotSwapError } from "../core/errors.ts";
import { addDev } from "./dev.ts";

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

const program = new Command("hotswap")
  .description(manifest.description)
  .version(`hotswap ${manifest.version}`, "--version");

addDev(program, manifest.version);

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof HotSwapError)) throw error;
  process.stderr.write(`hotswap: ${error.code}: ${error.message}\n  ${error.entry.help}\n`);
  process.exitCode = 1;
}
