/** A worker thread: one job after another. What it does is in work.ts. */
import { parentPort } from "node:worker_threads";
import { type Job, perform } from "./work.ts";

parentPort?.on("message", ({ job }: { job: Job }) => {
  try {
    parentPort?.postMessage({ done: perform(job) });
  } catch (error) {
    parentPort?.postMessage({ failure: (error as Error).message });
  }
});

parentPort?.postMessage({ ready: true });
