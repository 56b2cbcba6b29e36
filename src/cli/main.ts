/**
 * The command line: `hotswap COMMAND`. It runs when imported, by bin/hotswap.js, from src/ in a checkout and
 * from dist/src/ in a package.
 */
import { readFileSync } from "node:fs";
import { reportFailure } from "./failure.ts";
import { createProgram } from "./program.ts";

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

// `hotswap sub orders | head` ends when its reader has enough, and that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

try {
  const program = await createProgram(manifest, process.argv[2]);
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error);
}
