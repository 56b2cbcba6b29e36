/**
 * The data plane as the rest of the gateway sees it: starts workers, hands them what changed between two snapshots, and
 * gathers what they counted. Requests are served by the workers alone, so that nothing that this thread is busy with
 * delays them. A worker that dies is started anew with what it had.
 */
import { Worker } from "node:worker_threads";
import { isSamePeer } from "./backend.ts";
import { mergeRoutes } from "./counters.ts";
import type {
  Address,
  DataPlane,
  LimitLevel,
  LimitUse,
  Probe,
  ProbeFailure,
  ProxyOptions,
} from "./data-plane.ts";
import { LIMIT_BYTES, LimitUses } from "./limits.ts";
import type { RequestRecord } from "./records.ts";
import { allocateShared, clearSlot, forgetWorker, type SharedMemory, SLOTS } from "./shared.ts";
import type { Backend } from "./snapshot.backend.ts";
import type { Route } from "./snapshot.route.ts";
import type { Snapshot, SnapshotChange, SnapshotProblem } from "./snapshot.ts";
import type { BackendState, ProxyStats } from "./stats.ts";
import type { Question, Told, WorkerData } from "./worker.ts";

const EMPTY: Snapshot = { revision: 0, routes: [], backends: [] };

export class GatewayProxy implements DataPlane {
  readonly #workers: Thread[] = [];
  readonly #slots = new Map<string, number>();
  readonly #freeSlots: number[] = [];
  readonly #routes = new Map<string, Route>();
  readonly #backends = new Map<string, Backend>();
  #options: ProxyOptions | undefined;
  #memory: SharedMemory | undefined;
  #limits: LimitUses | undefined;
  #addresses: readonly Address[] = [];
  #last: Snapshot = EMPTY;
  #isStopping = false;
  #nextSlot = 0;

  async start(options: ProxyOptions, first?: Snapshot): Promise<readonly Address[]> {
    if (this.#options) throw new Error("the proxy was started before");
    this.#options = options;
    const workers = options.workers ?? 1;
    this.#memory = allocateShared(workers, LIMIT_BYTES);
    this.#limits = new LimitUses(this.#memory.limits);
    for (let index = 0; index < workers; index++) this.#workers.push(this.#thread(index));
    try {
      await this.#begin(first);
    } catch (error) {
      await this.stop({ drainMs: 0 }); // threads that wait for questions would keep the process alive
      throw error;
    }
    return this.#addresses;
  }

  async #begin(first: Snapshot | undefined): Promise<void> {
    if (first) await this.publish(first);
    for (const [index, thread] of this.#workers.entries()) {
      // The first finds the ports; the others share them.
      const ports = index === 0 ? undefined : this.#addresses.map(({ port }) => port);
      const addresses = await thread.ask<readonly Address[]>({ ask: "start", ...(ports && { ports }) });
      if (index === 0) this.#addresses = addresses;
    }
  }

  publish(snapshot: Snapshot): Promise<readonly SnapshotProblem[]> {
    const change = changeBetween(this.#last, snapshot);
    this.#last = snapshot;
    return this.apply(change);
  }

  async apply(change: SnapshotChange): Promise<readonly SnapshotProblem[]> {
    for (const backend of change.backends ?? []) this.#giveSlot(backend);
    const slots = Object.fromEntries((change.backends ?? []).map(({ id }) => [id, this.#slots.get(id)!]));
    // Before it is told: who takes the place of a worker that dies over it has it too.
    this.#remember(change);
    const answers = await Promise.all(
      this.#workers.map((thread) =>
        thread.ask<SnapshotProblem[]>({ ask: "apply", change, slots }).catch((error: unknown) => {
          if (!thread.isGone) throw error;
          return undefined;
        }),
      ),
    );
    return answers.find((problems) => problems !== undefined) ?? [];
  }

  async stats(): Promise<ProxyStats> {
    return merged(await Promise.all(this.#workers.map((thread) => thread.ask<ProxyStats>({ ask: "stats" }))));
  }

  async explain(requestId: string): Promise<RequestRecord | undefined> {
    const question: Question = { ask: "explain", requestId };
    const answers = await Promise.all(
      this.#workers.map((thread) => thread.ask<RequestRecord | undefined>(question)),
    );
    return answers.find((record) => record !== undefined);
  }

  async recent(limit: number): Promise<readonly RequestRecord[]> {
    const question: Question = { ask: "recent", limit };
    const answers = await Promise.all(this.#workers.map((thread) => thread.ask<RequestRecord[]>(question)));
    return answers
      .flat()
      .sort((a, b) => b.at - a.at)
      .slice(0, limit);
  }

  /** Every worker has connections of its own; the requests are shared out among them. */
  async probe(probe: Probe): Promise<readonly ProbeFailure[] | undefined> {
    const requests = Math.ceil(probe.requests / this.#workers.length);
    const question: Question = { ask: "probe", probe: { ...probe, requests } };
    const answers = await Promise.all(
      this.#workers.map((thread) => thread.ask<readonly ProbeFailure[] | undefined>(question)),
    );
    if (answers.some((failures) => failures === undefined)) return undefined;
    const byBackend = new Map(answers.flatMap((all) => all ?? []).map((one) => [one.backend, one]));
    return [...byBackend.values()];
  }

  limitUses(max: number): readonly LimitUse[] {
    return this.#limits?.take(max) ?? [];
  }

  raiseLimits(levels: readonly LimitLevel[], now: number): void {
    for (const level of levels) this.#limits?.raise(level, now);
  }

  async stop({ drainMs = 10_000 } = {}): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    await Promise.all(this.#workers.map((thread) => thread.end(drainMs)));
  }

  #thread(index: number): Thread {
    const { onRecords, onBackend, onCohorts, onUnknownKey, onCrash, ...proxy } = this.#options!;
    const data: WorkerData = {
      worker: index,
      memory: this.#memory!,
      proxy,
      timeOrigin: performance.timeOrigin,
    };
    return new Thread(data, {
      told: (told) => {
        if ("records" in told) onRecords?.(told.records);
        else if ("event" in told) onBackend?.(told.event);
        else if ("cohorts" in told) onCohorts?.(told.cohorts);
        else if ("unknownKey" in told) onUnknownKey?.(told.unknownKey);
      },
      died: (error) => {
        if (this.#isStopping) return;
        onCrash?.(error);
        void this.#replace(index).catch((again: unknown) => onCrash?.(again as Error));
      },
    });
  }

  async #replace(index: number): Promise<void> {
    forgetWorker(this.#memory!, index);
    const thread = this.#thread(index);
    this.#workers[index] = thread;
    const slots = Object.fromEntries(this.#slots);
    const { revision, certificates, issuers, apiKeys } = this.#last;
    const change: SnapshotChange = {
      revision,
      routes: [...this.#routes.values()],
      backends: [...this.#backends.values()],
      ...(certificates && { certificates }),
      ...(issuers && { issuers }),
      ...(apiKeys && { apiKeys }),
    };
    // Routes before the port, so that nobody is told that there are none.
    await thread.ask({ ask: "apply", change, slots });
    await thread.ask({ ask: "start", ports: this.#addresses.map(({ port }) => port) });
  }

  // Another address under the same id is another backend: it does not inherit a verdict.
  #giveSlot(backend: Backend): void {
    const { id } = backend;
    const known = this.#backends.get(id);
    if (this.#slots.has(id) && (!known || isSamePeer(known, backend))) return;
    this.#takeSlot(id);
    const slot = this.#freeSlots.pop() ?? this.#nextSlot++;
    if (slot >= SLOTS) throw new RangeError(`more than ${SLOTS} backends`);
    clearSlot(this.#memory!, slot);
    this.#slots.set(id, slot);
  }

  #takeSlot(id: string): void {
    const slot = this.#slots.get(id);
    this.#slots.delete(id);
    if (slot !== undefined) this.#freeSlots.unshift(slot); // the longest free is used first
  }

  // What a new worker would need to be told.
  #remember(change: SnapshotChange): void {
    for (const route of change.routes ?? []) this.#routes.set(route.id, route);
    for (const id of change.removedRoutes ?? []) this.#routes.delete(id);
    for (const backend of change.backends ?? []) this.#backends.set(backend.id, backend);
    for (const id of change.removedBackends ?? []) {
      this.#backends.delete(id);
      this.#takeSlot(id);
    }
    const { revision, certificates, issuers, apiKeys } = change;
    this.#last = {
      ...this.#last,
      revision,
      ...(certificates && { certificates }),
      ...(issuers && { issuers }),
      ...(apiKeys && { apiKeys }),
    };
  }
}

interface Listener {
  told(told: Told): void;
  died(error: Error): void;
}

/** A worker thread that is asked questions. */
class Thread {
  readonly #worker: Worker;
  readonly #waiting = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  #nextId = 0;
  #isEnding = false;
  isGone = false;

  constructor(data: WorkerData, listener: Listener) {
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: data });
    this.#worker.on("message", (told: Told) => {
      if (!("id" in told)) {
        listener.told(told);
        return;
      }
      const waiting = this.#waiting.get(told.id);
      this.#waiting.delete(told.id);
      if (told.error === undefined) waiting?.resolve(told.result);
      else waiting?.reject(new Error(told.error));
    });
    let failure: Error | undefined;
    this.#worker.on("error", (error: Error) => {
      failure = error;
    });
    this.#worker.on("exit", (code) => {
      const error = failure ?? new Error(`the worker ended with ${code}`);
      this.isGone = true;
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
      if (!this.#isEnding) listener.died(error);
    });
  }

  ask<Result>(question: Question): Promise<Result> {
    const id = this.#nextId++;
    return new Promise<Result>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#worker.postMessage({ id, question });
    });
  }

  async end(drainMs: number): Promise<void> {
    this.#isEnding = true;
    await this.ask({ ask: "stop", drainMs }).catch(() => {}); // it is ended all the same
    await this.#worker.terminate();
  }
}

function merged(all: readonly ProxyStats[]): ProxyStats {
  const sum = (of: (stats: ProxyStats) => number) => all.reduce((total, stats) => total + of(stats), 0);
  const records = (of: (stats: ProxyStats) => Readonly<Record<string, number>>) => {
    const total: Record<string, number> = {};
    for (const stats of all) {
      for (const [key, value] of Object.entries(of(stats))) total[key] = (total[key] ?? 0) + value;
    }
    return total;
  };
  const backends = new Map<string, BackendState>();
  for (const state of all.flatMap((stats) => stats.backends)) {
    const other = backends.get(state.id);
    // What is shared is the same in all; what is counted apart is added up.
    const { requests, failures, idle } = other ?? { requests: 0, failures: 0, idle: 0 };
    backends.set(state.id, {
      ...other,
      ...state,
      requests: state.requests + requests,
      failures: state.failures + failures,
      idle: state.idle + idle,
    });
  }
  return {
    revision: Math.min(...all.map(({ revision }) => revision)),
    workers: all.length,
    connections: sum(({ connections }) => connections),
    tunnels: sum(({ tunnels }) => tunnels),
    retries: records(({ retries }) => retries),
    flags: records(({ flags }) => flags),
    logDropped: sum(({ logDropped }) => logDropped),
    routes: mergeRoutes(all.flatMap(({ routes }) => routes)),
    backends: [...backends.values()],
    refused: records(({ refused }) => refused),
  };
}

/**
 * What differs between two snapshots. Entries that are the same object are the same without a look inside; a
 * control plane that keeps unchanged objects pays for a publish what changed, and a pass over the ids.
 */
export function changeBetween(from: Snapshot, to: Snapshot): SnapshotChange {
  const routes = changed<Route>(from.routes, to.routes);
  const backends = changed<Backend>(from.backends, to.backends);
  return {
    revision: to.revision,
    routes: routes.put,
    removedRoutes: routes.removed,
    backends: backends.put,
    removedBackends: backends.removed,
    ...(to.certificates && to.certificates !== from.certificates ? { certificates: to.certificates } : {}),
    ...(to.issuers && to.issuers !== from.issuers ? { issuers: to.issuers } : {}),
    ...(to.apiKeys && to.apiKeys !== from.apiKeys ? { apiKeys: to.apiKeys } : {}),
  };
}

function changed<Item extends { readonly id: string }>(from: readonly Item[], to: readonly Item[]) {
  const before = new Map(from.map((item) => [item.id, item]));
  const put = to.filter((item) => {
    const known = before.get(item.id);
    before.delete(item.id);
    return known !== item && (!known || JSON.stringify(known) !== JSON.stringify(item));
  });
  return { put, removed: [...before.keys()] };
}
