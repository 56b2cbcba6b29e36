/**
 * `hotswap start --takeover`: goes on in the place of the server that runs on the same data folder. The gateway of the
 * new one listens on the same ports and serves by the last snapshot before the old one is asked to stop; the stores
 * follow when it is gone, as one process alone may hold them. One that cannot start so far leaves the old one running.
 *
 * The marker in the folder may be stale, or of another container where ids of processes mean others: only who is seen
 * to listen where the marker says is sent a signal.
 */
import { type Clock, sleep } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import { readMarker } from "./marker.ts";
import { portOwner } from "./port-owner.ts";

const lookMs = 20;

/** The process that serves on this folder; undefined when there is none. */
export async function findPredecessor(folder: string): Promise<number | undefined> {
  const marker = await readMarker(folder);
  if (!marker || !isAlive(marker.pid)) return undefined;
  const owner = await portOwner(Number(new URL(marker.url).port));
  if (owner?.pid === marker.pid) return marker.pid;
  throw new HotSwapError(
    "data_folder_in_use",
    `The server of ${folder} is not seen as process ${marker.pid} at ${marker.url}, so it cannot be relieved. ` +
      "Stop it where it runs, and start without --takeover.",
  );
}

export interface Relief {
  clock: Clock;
  /** What the old one may take to drain and to close its stores. */
  withinMs: number;
  /** Resolves when the new one is to stop itself. */
  stopped: Promise<void>;
}

/** Resolves when the process has stopped. */
export async function relieve(pid: number, { clock, withinMs, stopped }: Relief): Promise<void> {
  let isStopped = false;
  void stopped.then(() => {
    isStopped = true;
  });
  const deadline = clock.monotonic() + withinMs;
  if (isAlive(pid)) process.kill(pid, "SIGTERM");
  while (isAlive(pid)) {
    if (isStopped) throw new HotSwapError("shutting_down", "Stopped while waiting for the server before it.");
    if (clock.monotonic() > deadline) {
      throw new HotSwapError("data_folder_in_use", `Process ${pid} did not stop within ${withinMs} ms.`);
    }
    await sleep(clock, lookMs);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
