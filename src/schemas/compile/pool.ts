/**
 * Worker threads for schemas. Whatever a user sends is looked at there, under a deadline: a worker that is late,
 * or out of memory, is ended and another takes its place, and nothing else notices. Threads are started when
 * there is work; jobs that find all of them busy wait in a bounded line.
 */
import { Worker } from "node:worker_threads";
import type { Clock, Timer } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import type { Service } from "../../core/lifecycle.ts";
import type { Done, Job } from "./work.ts";

export interface PoolOptions {
  clock: Clock;
  /** Of a job once it runs. */
  deadlineMs: number;
  /** Threads; default 2, so that one slow schema does not hold up the next. */
  threads?: number;
}

interface Task {
  job: Job;
  resolve(done: Done): void;
  reject(error: unknown): void;
}

interface Thread {
  worker: Worker;
  task: Task | undefined;
  isReady: boolean;
  deadline: Timer | undefined;
}

const waitingMax = 200;
const startMs = 30_000;
const limits = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 };
// What is started by name has to be named as it is: TypeScript in a checkout, JavaScript in a package.
const script = new URL("./worker.ts", import.meta.url);
if (!import.meta.url.endsWith(".ts")) script.pathname = script.pathname.replace(/\.ts$/, ".js");

export class WorkerPool implements Service {
  readonly name = "schemas";
  readonly #options: Required<PoolOptions>;
  readonly #threads = new Set<Thread>();
  readonly #waiting: Task[] = [];
  #isStopped = false;

  constructor(options: PoolOptions) {
    this.#options = { threads: 2, ...options };
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const task of this.#waiting.splice(0)) task.reject(new HotSwapError("shutting_down"));
    await Promise.all(
      [...this.#threads].map((thread) => this.#end(thread, new HotSwapError("shutting_down"))),
    );
  }

  /** Rejects with `schema_too_costly` after the deadline, or `overloaded` when too many jobs wait. */
  run(job: Job): Promise<Done> {
    if (this.#isStopped) return Promise.reject(new HotSwapError("shutting_down"));
    if (this.#waiting.length >= waitingMax)
      return Promise.reject(
        new HotSwapError("overloaded", "Too many schemas wait.", { retryAfterMs: 1_000 }),
      );
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    if (this.#waiting.length === 0) return;
    let free = [...this.#threads].find(({ task }) => task === undefined);
    if (!free && this.#threads.size < this.#options.threads) free = this.#begin();
    if (!free) return;
    const thread = free;
    const task = this.#waiting.shift()!;
    thread.task = task;
    thread.worker.ref();
    this.#arm(thread);
    thread.worker.postMessage({ job: task.job });
  }

  /** The time that a thread takes to start is nobody's fault. */
  #arm(thread: Thread): void {
    thread.deadline?.cancel();
    const { clock, deadlineMs } = this.#options;
    const limitMs = thread.isReady ? deadlineMs : deadlineMs + startMs;
    thread.deadline = clock.after(limitMs, () => {
      const detail = `It was given up after ${limitMs} ms.`;
      this.#end(thread, new HotSwapError("schema_too_costly", detail)).catch(() => {}); // has gone by itself
    });
  }

  #begin(): Thread {
    const worker = new Worker(script, { resourceLimits: limits });
    const thread: Thread = { worker, task: undefined, isReady: false, deadline: undefined };
    worker.on("message", ({ ready, done, failure }: { ready?: boolean; done?: Done; failure?: string }) => {
      const { task } = thread;
      if (ready) {
        thread.isReady = true;
        if (task) this.#arm(thread);
        return;
      }
      this.#release(thread);
      if (done) task?.resolve(done);
      else task?.reject(new Error(failure));
      this.#next();
    });
    // Out of memory or stack: the job's own doing.
    worker.on("error", (cause) => {
      const error = new HotSwapError("schema_too_costly", "It took more memory than it may.", { cause });
      this.#end(thread, error).catch(() => {}); // has gone by itself
    });
    worker.unref(); // an idle thread keeps no process alive
    this.#threads.add(thread);
    return thread;
  }

  #release(thread: Thread): void {
    thread.deadline?.cancel();
    thread.task = undefined;
    thread.worker.unref();
  }

  async #end(thread: Thread, reason: HotSwapError): Promise<void> {
    if (!this.#threads.delete(thread)) return;
    const { task } = thread;
    this.#release(thread);
    task?.reject(reason);
    await thread.worker.terminate();
    if (!this.#isStopped) this.#next();
  }
}
