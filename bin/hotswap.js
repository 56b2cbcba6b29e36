#!/usr/bin/env node
/**
 * The launcher: finds a Node 24 (the npm package `node` ships one) and the CLI, as source in a checkout or as
 * emitted JavaScript in an installed package, and runs the one with the other. Plain JavaScript, Node >= 18.
 */
import { existsSync } from "node:fs";
import module from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { become, handOver, isModern, NODE_MAJOR, packagedNode, tether } from "./handover.js";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const main = [at("../src/cli/main.ts"), at("../dist/src/cli/main.js")].find((file) => existsSync(file));
const checkout = existsSync(at("../scripts/bootstrap.js"));
const args = process.argv.slice(2);

function refuse(what, todo) {
  console.error(`hotswap: ${what}\n         ${todo}`);
  process.exit(1);
}

if (!main) refuse("there is no command line to run here.", "Reinstall the package, or run: npm run build");
if (checkout && !existsSync(at("../node_modules"))) {
  refuse("the dependencies are not installed.", "Run: npm start (or npm ci)");
}
// libuv works on four files at a time unless told so before its first: each partition that syncs takes one.
process.env.UV_THREADPOOL_SIZE ??= "16";
tether();
if (isModern()) {
  // Compiled code is kept from run to run. Not in a folder that all users share: who writes there decides what
  // others run. Where nothing can be written, this does nothing.
  const cache = checkout ? at("../.cache/compile") : join(homedir(), ".cache", "hotswap");
  process.env.NODE_COMPILE_CACHE ??= cache; // for our threads: to enable it holds for this one alone
  module.enableCompileCache?.(process.env.NODE_COMPILE_CACHE);
  await become(main, args);
} else if (packagedNode()) handOver(packagedNode(), [at("./hotswap.js"), ...args]);
else {
  refuse(
    `this is Node ${process.versions.node}, and the packaged Node ${NODE_MAJOR} is missing.`,
    `Run: npm rebuild node --ignore-scripts=false (or install Node ${NODE_MAJOR})`,
  );
}
