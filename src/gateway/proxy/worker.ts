/** The thread of a worker: runs an engine and answers the questions of proxy.ts. */
import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../../core/clock.ts";
import { systemRandom } from "../../core/random.ts";
import type { Probe } from "./data-plane.ts";
import { Engine, type EngineOptions } from "./engine.ts";
import type { RequestRecord } from "./records.ts";
import type { SnapshotChange } from "./snapshot.ts";
import type { BackendEvent, CohortReport } from "./stats.ts";

export interface WorkerData {
  readonly worker: number;
  readonly memory: EngineOptions["memory"];
  readonly proxy: EngineOptions["proxy"];
  /** `performance.timeOrigin` of the main thread. */
  readonly timeOrigin: number;
}

export type Question =
  | { readonly ask: "start"; readonly ports?: readonly number[] }
  | {
      readonly ask: "apply";
      readonly change: SnapshotChange;
      readonly slots: Readonly<Record<string, number>>;
    }
  | { readonly ask: "stats" }
  | { readonly ask: "explain"; readonly requestId: string }
  | { readonly ask: "recent"; readonly limit: number }
  | { readonly ask: "probe"; readonly probe: Probe }
  | { readonly ask: "stop"; readonly drainMs: number };

export interface Asked {
  readonly id: number;
  readonly question: Question;
}

export type Told =
  | { readonly id: number; readonly result?: unknown; readonly error?: string }
  | { readonly records: readonly RequestRecord[] }
  | { readonly event: BackendEvent }
  | { readonly cohorts: readonly CohortReport[] }
  | { readonly unknownKey: string };

const { worker, memory, proxy, timeOrigin } = workerData as WorkerData;
const tell = (told: Told) => parentPort!.postMessage(told);

const engine = new Engine({
  worker,
  memory,
  proxy,
  clock: systemClock,
  random: systemRandom,
  offsetMs: performance.timeOrigin - timeOrigin,
  onRecords: (records) => tell({ records }),
  onBackend: (event) => tell({ event }),
  onCohorts: (cohorts) => tell({ cohorts }),
  onUnknownKey: (unknownKey) => tell({ unknownKey }),
});

function answer(question: Question): unknown {
  switch (question.ask) {
    case "start":
      return engine.start(question.ports);
    case "apply":
      return engine.apply(question.change, question.slots);
    case "stats":
      return engine.stats();
    case "explain":
      return engine.explain(question.requestId);
    case "recent":
      return engine.recent(question.limit);
    case "probe":
      return engine.probe(question.probe);
    case "stop":
      return engine.stop(question.drainMs);
  }
}

parentPort!.on("message", ({ id, question }: Asked) => {
  Promise.resolve()
    .then(() => answer(question))
    .then(
      (result) => tell({ id, result }),
      (error: unknown) => tell({ id, error: error instanceof Error ? error.message : String(error) }),
    );
});
