/**
 * What an earlier, killed HotSwap may have left running on a cluster. The caller holds the lock of the data
 * folder, so whatever still runs there has lost its owner. When this resolves, nothing runs and no pid file is
 * left that a stranger's process, by the same number, would make look alive.
 *
 * postmaster.pid is removed only when no process works in the folder: PostgreSQL itself uses it to find
 * backends whose postmaster was killed, and to start beside them would destroy the data.
 */
import { readdir, readFile, readlink, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../../core/clock.ts";
import { HotSwapError } from "../../../core/errors.ts";

const pollMs = 20;

/** Polite first; immediate shutdown is safe too, its price is a recovery at the next start. */
const escalation: { signal: NodeJS.Signals; patienceMs: number }[] = [
  { signal: "SIGINT", patienceMs: 5_000 },
  { signal: "SIGQUIT", patienceMs: 10_000 },
];

export async function endOrphans(folder: string, clock: Clock): Promise<void> {
  const pidFile = join(folder, "postmaster.pid");
  const text = await readFile(pidFile, "utf8").catch(() => undefined);
  if (text === undefined) return;
  const postmaster = Number.parseInt(text, 10);

  for (const { signal, patienceMs } of escalation) {
    const deadline = clock.monotonic() + patienceMs;
    let running = await processesIn(folder, postmaster);
    // Backends without a postmaster notice that by themselves.
    if (running.includes(postmaster)) trySignal(postmaster, signal);
    while (running.length > 0 && clock.monotonic() < deadline) {
      // Nothing else may be keeping the process alive this early.
      await new Promise<void>((resolve) => clock.after(pollMs, resolve, { keepAlive: true }));
      running = await processesIn(folder, postmaster);
    }
    if (running.length === 0) return rm(pidFile, { force: true });
  }
  throw new HotSwapError(
    "data_folder_in_use",
    `A PostgreSQL server (process ${postmaster}) still runs on ${folder} and does not end. End it, then start again.`,
  );
}

/** Every process of PostgreSQL works in its data folder. Where there is no /proc, only the postmaster is looked at. */
export async function processesIn(folder: string, postmaster: number): Promise<number[]> {
  if (process.platform !== "linux") return isAlive(postmaster) ? [postmaster] : [];
  const real = await realpath(folder);
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const inFolder = await Promise.all(
    pids.map((pid) =>
      readlink(`/proc/${pid}/cwd`).then(
        (cwd) => cwd === real,
        () => false, // ended meanwhile, or another user's
      ),
    ),
  );
  return pids.filter((_, index) => inFolder[index]).map(Number);
}

function isAlive(pid: number): boolean {
  return trySignal(pid, 0);
}

function trySignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false; // it has ended, or is not ours
  }
}
