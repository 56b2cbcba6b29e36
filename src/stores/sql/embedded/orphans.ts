/**
 * What an earlier, killed HotSwap may have left running on a cluster. The caller holds the lock of the data
 * folder, so whatever still runs there has lost its owner: a server, one that has only just begun and has no
 * pid file yet, a watcher, backends whose postmaster was killed, the children of an initdb.
 *
 * When `endOrphans` resolves nothing of that runs, and no pid file is left that a stranger's process, by the
 * same number, would make look alive.
 */
import { execFile } from "node:child_process";
import { readdir, readFile, readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Clock } from "../../../core/clock.ts";
import { HotSwapError } from "../../../core/errors.ts";

const pollMs = 20;

/** From then on with an immediate shutdown, which is as safe; its price is a recovery at the next start. */
const politeMs = 5_000;
const patienceMs = 20_000;

/** `folder` is a real path, as it was when the server was started. */
export async function endOrphans(folder: string, clock: Clock): Promise<void> {
  const start = clock.monotonic();
  const pidFile = join(folder, "postmaster.pid");
  for (;;) {
    const running = await processesOn(folder);
    if (running.length === 0) return rm(pidFile, { force: true });
    const waitedMs = clock.monotonic() - start;
    if (waitedMs > patienceMs) throw refusesToEnd(folder, running);
    // Only the postmaster is told. The others end with it, or notice by themselves that they are alone.
    const postmaster = Number.parseInt(await readFile(pidFile, "utf8").catch(() => ""), 10);
    if (running.includes(postmaster)) signal(postmaster, waitedMs < politeMs ? "SIGINT" : "SIGQUIT");
    // Nothing else may be keeping this process alive so early.
    await new Promise<void>((resolve) => clock.after(pollMs, resolve, { keepAlive: true }));
  }
}

/** Those that work in the folder, as every process of PostgreSQL does, and those that were told to with -D. */
export async function processesOn(folder: string): Promise<number[]> {
  return process.platform === "linux" ? fromProc(folder) : fromPs(folder);
}

async function fromProc(folder: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const onFolder = await Promise.all(
    pids.map(async (pid) => {
      // What fails has ended meanwhile, or is another user's.
      const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => "");
      if (cwd === folder) return true;
      const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      return command.includes(`\0-D\0${folder}\0`);
    }),
  );
  return pids.filter((_, index) => onFolder[index]).map(Number);
}

/** Without /proc, backends that lost their postmaster are not seen; PostgreSQL itself refuses to start beside them. */
async function fromPs(folder: string): Promise<number[]> {
  const { stdout } = await promisify(execFile)("ps", ["-axww", "-o", "pid=,command="], {
    maxBuffer: 2 ** 26,
  });
  return stdout
    .split("\n")
    .filter((line) => `${line} `.includes(` -D ${folder} `))
    .map((line) => Number.parseInt(line, 10));
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it has ended, or is not ours; either shows at the next look
  }
}

function refusesToEnd(folder: string, running: number[]): HotSwapError {
  return new HotSwapError(
    "data_folder_in_use",
    `A PostgreSQL server (process ${running.join(", ")}) still runs on ${folder} and does not end. End it, then start again.`,
  );
}
