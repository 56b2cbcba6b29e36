/**
 * The entry of every npm script: `npm start` and `npm test` work on a fresh clone, with any Node >= 18.
 * Installs what is missing, then hands over to Node 24, which the npm package `node` brings along.
 *
 * Plain JavaScript, no dependencies. Usage: node scripts/bootstrap.js MODE [arguments of the mode]
 */
import { join } from "node:path";
import { become, handOver, isModern } from "../bin/handover.js";
import { prepare } from "./install.js";
import { root, SetupError, seconds } from "./steps.js";

/** What each mode runs: Node's own options, the file, its first arguments. Most need the console built. */
const MODES = {
  start: { file: "bin/hotswap.js", args: ["dev"] },
  watch: { options: ["--watch-path=src", "--watch-preserve-output"], file: "bin/hotswap.js", args: ["dev"] },
  test: { file: "scripts/test.js", args: [] },
  check: { file: "scripts/test.js", args: ["--quick"], consoleless: true },
  build: { file: "scripts/build.js", args: [] },
  fuzz: { file: "scripts/fuzz-api.js", args: [] },
  generate: { file: "scripts/generate.ts", args: [], consoleless: true },
};

// npm passes on what it is told to stop with, save kill -9; then what it started would run on unseen.
function endWithNpm(npm) {
  const check = setInterval(() => {
    if (process.ppid === npm) return;
    clearInterval(check);
    process.kill(process.pid, "SIGTERM");
  }, 1000);
  check.unref();
}

const [name, ...rest] = process.argv.slice(2);
const mode = MODES[name];
if (!mode) {
  console.error(`usage: node scripts/bootstrap.js ${Object.keys(MODES).join("|")}`);
  process.exit(64);
}

process.chdir(root);
if (process.env.npm_lifecycle_event) endWithNpm(process.ppid);
const start = performance.now();
let node;
try {
  node = await prepare({ withConsole: !mode.consoleless });
} catch (error) {
  console.error(error instanceof SetupError ? `\n${error.message}` : error);
  process.exit(1);
}
const elapsed = performance.now() - start;
if (elapsed > 1000) console.error(`set up in ${seconds(elapsed)}; the next run finds it done`);

const file = join(root, mode.file);
const args = [...mode.args, ...rest];
if (isModern() && !mode.options) await become(file, args);
else handOver(node, [...(mode.options ?? []), file, ...args]);
