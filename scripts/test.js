/**
 * Everything that says whether the tree is good: format and lint, types, then every test, on the real
 * servers. `--quick` leaves out the tests but those that read the source; `--fuzz` adds a minute of schemathesis
 * (fuzz-api.js). Other arguments: flags go to the test runner, words choose the files whose path contains them. The
 * runner's own summary is the last thing printed.
 */
import { spawn } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { findServers } from "./servers.js";
import { root, run, step } from "./steps.js";

const TEST_FILES = "{src,test,scripts,client,console,bench,examples}/**/*.test.ts";
const FUZZ_SECONDS = 60; // and about as long to get it, the first time
const FUZZ_SEED = 1; // always: what fails is to be the fault of the change. `npm run fuzz:api` takes another each time
const UNAVAILABLE = 69; // of fuzz-api.js
const TEST_TIMEOUT_MS = 120_000; // a test that hangs ends with its name; a file: see deadline.js

/**
 * Files and rooms that take longest go first, or one of them would run alone at the end. Those that mostly wait for
 * leases stand between those that compute.
 */
const FIRST = [
  "test/docs/commands",
  "test/deployment",
  "test/console",
  "test/e2e",
  "test/nodes",
  "test/pack",
  "test/configuration/sync",
  "test/fuzz/endpoints",
  "src/stores/sql/crash",
];

// A file has a process of its own, and each would compile the server again.
const compileCache = { NODE_COMPILE_CACHE: join(root, ".cache", "compile") };

const startedAt = Date.now();
const args = process.argv.slice(2);
const own = ["--quick", "--fuzz"];
const quick = args.includes("--quick");
const flags = args.filter((arg) => arg.startsWith("-") && !own.includes(arg));
const words = quick ? ["test/tidy"] : args.filter((arg) => !arg.startsWith("-"));

const notes = [...(await lint()), ...(await types())];
const notRun = [];
if (args.includes("--fuzz")) notes.push(...(await fuzz()));
const failed = notes.length > 0;
const servers = quick ? { env: {}, notes: [] } : await findServers();
notes.push(...servers.notes);

const child = spawn(process.execPath, testArguments(), {
  stdio: "inherit",
  env: {
    ...compileCache,
    ...process.env,
    ...servers.env,
    HOTSWAP_TEST_RUN: JSON.stringify({ startedAt, notes, notRun }),
  },
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code) => process.exit(code || (failed ? 1 : 0)));

function testArguments() {
  const files = globSync(TEST_FILES, {
    cwd: root,
    exclude: (path) => /(^|\/)(node_modules|dist)$/.test(path),
  });
  const chosen = files
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
    .sort()
    .sort((a, b) => place(a) - place(b));
  if (chosen.length === 0) {
    console.error(`no test file matches: ${words.join(" ")}`);
    process.exit(1);
  }
  const deadline = new URL("deadline.js", import.meta.url).href;
  const runner = ["--import", deadline, "--test"];
  // Two more than there are cores: every file waits for some time for a page, a disk, a lease or a start.
  runner.push(`--test-concurrency=${availableParallelism() + 2}`);
  runner.push(`--test-timeout=${TEST_TIMEOUT_MS}`, `--test-reporter=${join(root, "scripts", "reporter.js")}`);
  if (chosen.some((file) => file.startsWith("test/console/"))) {
    runner.push(`--test-global-setup=${join(root, "test", "console", "house.ts")}`);
  }
  return [...runner, ...flags, ...chosen];
}

function place(file) {
  const at = FIRST.findIndex((start) => file.startsWith(start));
  return at < 0 ? FIRST.length : at;
}

/** Runs a tool of node_modules; resolves with notes for the end: none when it is content. */
async function check(label, script, ...rest) {
  const { code, output } = await step(label, () => run(process.execPath, [join(root, script), ...rest]));
  if (code === 0) return [];
  console.error(output.trimEnd());
  return [`${label}: FAILED, see above`];
}

function lint() {
  return check(
    "format and lint (biome)",
    "node_modules/@biomejs/biome/bin/biome",
    "check",
    "--colors=off",
    ".",
  );
}

/** Its seed and what it sent are printed, all it said only when an answer was not as declared. */
async function fuzz() {
  const label = "a server against openapi.json (schemathesis)";
  const script = join(root, "scripts", "fuzz-api.js");
  const words = [script, "--seconds", `${FUZZ_SECONDS}`, "--seed", `${FUZZ_SEED}`];
  const { code, output } = await step(label, () => run(process.execPath, words));
  for (const line of output.match(/^(seed .*| +Tested: .*| +[\d,]+ generated, .*)$/gm) ?? [])
    console.error(`  ${line.trim()}`);
  if (code === 0) return [];
  console.error(output.trimEnd());
  if (code !== UNAVAILABLE) return [`${label}: FAILED, see above`];
  notRun.push("no schemathesis: Python, pip or PyPI is not there, see above");
  return [];
}

async function types() {
  const projects = ["tsconfig.json", "client/tsconfig.json", "console/tsconfig.json"];
  const notes = [];
  for (const project of projects.filter((file) => existsSync(join(root, file)))) {
    notes.push(
      ...(await check(
        `types of ${project} (tsc)`,
        "node_modules/typescript/bin/tsc",
        "--noEmit",
        "-p",
        project,
      )),
    );
  }
  return notes;
}
