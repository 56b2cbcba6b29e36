/** The thread of histories.testing.ts. */
import { inspect } from "node:util";
import { parentPort, workerData } from "node:worker_threads";

const { module, first, count, options } = workerData;
const { simulate } = await import(module);
const sums: Record<string, number> = {};
let failure: string | undefined;
try {
  for (let seed = first; seed < first + count; seed++) {
    const stats: Record<string, number> = await simulate(seed, options);
    for (const [name, value] of Object.entries(stats)) sums[name] = (sums[name] ?? 0) + value;
  }
} catch (error) {
  failure = inspect(error);
}
parentPort!.postMessage({ sums, failure });
