/**
 * Builds what a package holds: src/ and the client as JavaScript under dist/, and beside them every file that the
 * server reads at run time. dist/ mirrors the checkout (dist/src, dist/client, dist/console/dist, dist/package.json),
 * so `new URL("../../x", import.meta.url)` finds x in both. tsc only takes the types away here: `npm test` checks
 * them, and to check them again would take ten times as long.
 */
import { cpSync, existsSync, globSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root, run, SetupError, step } from "./steps.js";

const dist = join(root, "dist");
const ASSETS = ["package.json", "openapi.json", "console/dist"];

async function emit() {
  rmSync(dist, { recursive: true, force: true });
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const { code, output } = await run(process.execPath, [tsc, "-p", "tsconfig.build.json"]);
  if (code !== 0) throw new SetupError(output);
}

function copyAssets() {
  const assets = globSync("src/**/*", { cwd: root, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(ts|md)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length));
  for (const asset of [...assets, ...ASSETS]) {
    if (existsSync(join(root, asset))) cpSync(join(root, asset), join(dist, asset), { recursive: true });
  }
}

try {
  await step("building dist/", emit);
  copyAssets();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(error.message);
  process.exit(1);
}
