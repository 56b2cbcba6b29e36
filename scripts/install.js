/**
 * Brings node_modules in line with package-lock.json and the console's dist with its sources, when they are
 * not. Safe to run several times at once: one installs, the others wait and find it done.
 *
 * Plain JavaScript for Node >= 18, no dependencies: it runs before anything is installed.
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { isModern, NODE_MAJOR } from "../bin/handover.js";
import { withLock } from "./lock.js";
import { npm, root, run, SetupError, step } from "./steps.js";

const modules = join(root, "node_modules");
const stamp = join(modules, ".hotswap-stamp");
const binary = join(modules, "node", "bin", "node");
const manifests = ["package-lock.json", "package.json", "client/package.json", "console/package.json"];
const consoleSources = [
  "console/src",
  "console/index.html",
  "console/public",
  "console/package.json",
  "client/src",
];

const json = (...path) => JSON.parse(readFileSync(join(root, ...path), "utf8"));

/** Resolves with the Node to run the project with, once everything it needs is there. */
export async function prepare({ withConsole }) {
  const lacksConsole = () => withConsole && consoleIsStale();
  if (!modulesAreFresh() || !hasNode() || lacksConsole()) {
    const waiting = (pid) => console.error(`waiting for another setup of this folder (process ${pid}) …`);
    await withLock(join(root, ".cache", "setup.lock"), () => makeReady(lacksConsole), waiting);
  }
  return isModern() ? process.execPath : binary;
}

const hasNode = () => isModern() || existsSync(binary);

async function makeReady(lacksConsole) {
  if (!modulesAreFresh()) await step("installing dependencies (npm ci)", installModules);
  if (!hasNode()) await step(`installing Node ${NODE_MAJOR} (npm rebuild)`, ensureNode);
  if (lacksConsole()) await step("building the console", buildConsole);
}

function fingerprint() {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}\n`);
  for (const file of manifests) hash.update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

/** Fresh: installed by us from exactly these manifests, or by a contributor's own `npm install`. */
function modulesAreFresh() {
  if (!existsSync(join(modules, ".package-lock.json"))) return false;
  const wanted = fingerprint();
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return true;
  if (!agreesWithLock()) return false;
  writeStamp(wanted);
  return true;
}

/** npm records in node_modules what it installed; true when that is what package-lock.json asks for. */
function agreesWithLock() {
  const wanted = json("package-lock.json").packages;
  const present = json("node_modules", ".package-lock.json").packages;
  const same = (path) => present[path]?.version === wanted[path]?.version;
  // Optional packages of other platforms are in the lock file and rightly not here.
  const complete = Object.keys(wanted).every(
    (path) => !path.startsWith("node_modules/") || same(path) || (wanted[path].optional && !present[path]),
  );
  return complete && Object.keys(present).every((path) => path in wanted);
}

// Written last and renamed into place: an install that was cut short leaves no stamp.
function writeStamp(text) {
  const fresh = `${stamp}.${process.pid}`;
  writeFileSync(fresh, text);
  renameSync(fresh, stamp);
}

async function installModules() {
  // --include: NODE_ENV=production or omit=dev in the user's npmrc would leave out what builds the console.
  const include = ["--include=dev", "--include=optional"];
  const { code, output } = await npm(["ci", ...include, "--no-audit", "--no-fund", "--loglevel=error"]);
  if (code !== 0) {
    const todo =
      "npm could not install the dependencies. Its output is above; common reasons are no network, a\n" +
      "proxy or registry that npm does not know (npm config get registry), or a full disk. Then run it again.";
    throw new SetupError(`${output.trimEnd()}\n\n${todo}`);
  }
  await ensureNode();
  writeStamp(fingerprint());
}

/**
 * The package `node` fetches its binary in an install script, which does not run under `ignore-scripts=true`.
 * Then run the scripts that package.json allows by name, and no others.
 */
async function ensureNode() {
  if ((await tryNode()).works) return;
  const allowed = Object.keys(json("package.json").allowScripts).filter((name) =>
    existsSync(join(modules, name)),
  );
  const rebuilt = await npm(["rebuild", ...allowed, "--ignore-scripts=false", "--loglevel=error"]);
  const { works, output } = await tryNode();
  if (works || isModern()) return;
  throw new SetupError(
    `${rebuilt.output}${output}\nThe npm package "node" did not give a Node ${NODE_MAJOR} that runs on this machine.\n` +
      `Install Node ${NODE_MAJOR} yourself (https://nodejs.org), put it first on the PATH, and run this again.`,
  );
}

async function tryNode() {
  if (!existsSync(binary)) return { works: false, output: "" };
  const { code, output } = await run(binary, ["--version"]);
  return { works: code === 0 && isModern(output.trim().replace(/^v/, "")), output };
}

function consoleIsStale() {
  const config = readdirSync(join(root, "console")).find((name) => name.startsWith("vite.config."));
  if (!config) return false;
  const built = join(root, "console", "dist", "index.html");
  if (!existsSync(built)) return true;
  const builtAt = statSync(built).mtimeMs;
  return [...consoleSources, `console/${config}`].some((path) => newest(join(root, path)) > builtAt);
}

// A folder's own time counts too: it changes when a file is removed.
function newest(path) {
  if (!existsSync(path)) return 0;
  const { mtimeMs } = statSync(path);
  if (!statSync(path).isDirectory()) return mtimeMs;
  return Math.max(mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

// Built beside and renamed into place, so that a build that is cut short is never taken for a console.
async function buildConsole() {
  const fresh = join(root, ".cache", "console");
  const dist = join(root, "console", "dist");
  mkdirSync(fresh, { recursive: true });
  const vite = [join(modules, "vite", "bin", "vite.js"), "build", "--outDir", fresh, "--emptyOutDir"];
  const node = isModern() ? process.execPath : binary;
  const { code, output } = await run(node, vite, { cwd: join(root, "console") });
  if (code !== 0) throw new SetupError(`${output.trimEnd()}\n\nThe console could not be built.`);
  rmSync(dist, { recursive: true, force: true });
  renameSync(fresh, dist);
}
