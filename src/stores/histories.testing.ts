/**
 * Runs the histories of a simulation in a thread of their own. node:test follows every promise of the thread that
 * it runs in (by async hooks that also want to know its end), and a simulation is made of promises: there it takes
 * more than twice as long.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";

export interface Histories {
  /** Exports `simulate(seed, options)`. */
  module: URL;
  first: number;
  count: number;
  /** For `simulate`; plain data. */
  options?: object;
}

/** Resolves with the sums of all counts; rejects with the first history that fails. */
export async function simulateAll({ module, ...histories }: Histories): Promise<Record<string, number>> {
  const workerData = { ...histories, module: module.href };
  const worker = new Worker(new URL("./histories.worker.testing.ts", import.meta.url), { workerData });
  const exited = once(worker, "exit");
  const [{ sums, failure }] = await once(worker, "message");
  await exited;
  if (failure !== undefined) throw new Error(failure);
  return sums;
}
