/**
 * Runs a file on Node 24 in place of this process, as closely to exec(2) as an older Node allows: same
 * terminal, same arguments, each signal once, the same exit code, and no life of its own after us.
 *
 * Plain JavaScript for Node >= 18, because it runs before Node 24 does. Packed with the launcher.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

export const NODE_MAJOR = 24;

// SIGWINCH and SIGCONT too: the child has its own session, so the terminal tells only us.
const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2", "SIGWINCH", "SIGCONT"];

// Ctrl-C reaches us from the terminal and once more from npm, a millisecond apart. A person is slower.
const SAME_SIGNAL_MS = 200;

const TETHER = "HOTSWAP_TETHER";

export function isModern(version = process.versions.node) {
  return Number.parseInt(version, 10) >= NODE_MAJOR;
}

/** The binary of the npm package `node`, or undefined when it is absent or its install script did not run. */
export function packagedNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve("node/package.json");
    const binary = join(dirname(manifest), "bin", "node");
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined; // not installed at all; the caller says what to do
  }
}

/** Continues with `file` in this process. Needs a modern Node. */
export async function become(file, args) {
  process.argv = [process.execPath, file, ...args];
  await import(pathToFileURL(file).href);
}

/**
 * Runs `node ...args` and ends this process the way the child ended. The child gets its own session:
 * otherwise a signal to the group (Ctrl-C, a supervisor) would reach it twice, from the group and from us.
 */
export function handOver(node, args) {
  const child = spawn(node, args, {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: { ...process.env, [TETHER]: String(process.pid) },
    detached: true,
  });
  const last = new Map();
  for (const signal of FORWARDED) {
    process.on(signal, () => {
      const now = performance.now();
      if (now - (last.get(signal) ?? Number.NEGATIVE_INFINITY) > SAME_SIGNAL_MS) child.kill(signal);
      last.set(signal, now);
    });
  }
  child.on("error", (error) => {
    console.error(`hotswap: cannot run ${node}: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => {
    if (!signal) process.exit(code);
    for (const name of FORWARDED) process.removeAllListeners(name);
    process.kill(process.pid, signal);
    // Reached when the signal does not end a process, or ends it a moment later: the shell's convention.
    setTimeout(() => process.exit(128 + constants.signals[signal]), 100);
  });
}

/**
 * In the child: end at once when the process that handed over is gone (kill -9 cannot be forwarded), so that
 * nobody is left with an invisible server that holds the port and the data folder.
 */
export function tether() {
  const parent = process.env[TETHER];
  delete process.env[TETHER];
  if (parent !== String(process.ppid) || !process.connected) return;
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  process.channel.unref();
}
