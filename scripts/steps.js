/**
 * Running the tools of the setup: one line per step with its elapsed time, the tool's own output only when it
 * fails. Everything goes to stderr, so that stdout stays clean for programs that read it (`dev --json`).
 *
 * Plain JavaScript for Node >= 18, no dependencies: it runs before anything is installed.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

const FAILED_OUTPUT_MAX = 256 * 1024;
const TICK_MS = 1000;
const QUIET_TICK_MS = 20_000; // without a terminal: a sign of life now and then, for CI logs

export const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** A failure with a message for people; printed without a stack. */
export class SetupError extends Error {}

/** Shows `label … 12 s` while `work` runs and `label: 12.3 s` once it is done. */
export async function step(label, work) {
  const start = performance.now();
  const err = process.stderr;
  const tick = () => {
    const elapsed = `${label} … ${Math.round((performance.now() - start) / 1000)} s`;
    err.write(err.isTTY ? `\r\x1b[2K${elapsed}` : `${elapsed}\n`);
  };
  err.write(`${label} …${err.isTTY ? "" : "\n"}`);
  const timer = setInterval(tick, err.isTTY ? TICK_MS : QUIET_TICK_MS);
  let outcome = "failed after";
  try {
    const result = await work();
    outcome = "done in";
    return result;
  } finally {
    clearInterval(timer);
    err.write(`${err.isTTY ? "\r\x1b[2K" : ""}${label}: ${outcome} ${seconds(performance.now() - start)}\n`);
  }
}

/** Runs a program silently; resolves with its exit code and what it printed. A signal to us ends it too. */
export function run(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, ...options, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const collect = (chunk) => {
      output = (output + chunk).slice(-FAILED_OUTPUT_MAX);
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    const stop = (signal) => {
      child.kill(signal);
      process.exit(128 + constants.signals[signal]);
    };
    process.on("SIGINT", stop).on("SIGTERM", stop);
    const settle = (code) => {
      process.off("SIGINT", stop).off("SIGTERM", stop);
      resolve({ code, output });
    };
    child.on("error", (error) => {
      output += `${command}: ${error.message}\n`;
      settle(127);
    });
    child.on("close", (code) => settle(code ?? 1));
  });
}

/**
 * The npm that started us, or the one on the PATH, run by the Node that the machine has: never by the
 * packaged one, which `npm ci` removes under its own feet.
 */
export function npm(args) {
  const path = (process.env.PATH ?? "").split(delimiter);
  const env = {
    ...process.env,
    PATH: path.filter((dir) => !dir.startsWith(join(root, "node_modules"))).join(delimiter),
  };
  const script = process.env.npm_execpath;
  if (script?.endsWith("npm-cli.js")) {
    return run(process.env.npm_node_execpath ?? process.execPath, [script, ...args], { env });
  }
  return run("npm", args, { env });
}
