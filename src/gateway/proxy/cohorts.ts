/**
 * What a worker counts of a route under deployment: apart from its other counters, for each of the two versions, and
 * from the moment on at which the deployment is served here. It is told by differences, many times a second while
 * requests of the new version fail, otherwise a few times; so nobody has to come and ask.
 *
 * A request counts for the deployment under which it began. Who is in a version for another reason than the chance of
 * the hash, such as a tester, is not counted: a comparison is only worth something between callers drawn alike.
 */
import { groupOf, UNIT_GROUPS } from "../../core/cohort.ts";
import { BUCKETS, bucketOf } from "./counters.ts";
import type { CohortNumbers, CohortReport } from "./stats.ts";

export class CohortCounts {
  requests = 0;
  errors = 0;
  refused = 0;
  readonly #latency = new Float64Array(BUCKETS);
  /** Errors and refusals come in clusters: of one caller, or of one backend. So they are counted by both. */
  readonly #callers = new Groups();
  readonly #backends = new Groups();

  /**
   * `status` is what the caller got; `isCut`, that it did not get all of it. Caller and backend are hashes; the latter
   * is undefined of what was answered without one.
   */
  add(status: number, isCut: boolean, ms: number, caller: number, backend: number | undefined): void {
    const isError = status >= 500 || isCut;
    this.requests++;
    if (isError) this.errors++;
    const isRefusal = !isError && status >= 400;
    if (isRefusal) this.refused++;
    this.#latency[bucketOf(ms)]! += 1;
    this.#callers.add(caller, isError, isRefusal);
    if (backend !== undefined) this.#backends.add(backend, isError, isRefusal);
  }

  take(): CohortNumbers {
    const { requests, errors, refused } = this;
    this.requests = 0;
    this.errors = 0;
    this.refused = 0;
    return {
      ...{ requests, errors, refused, latency: taken(this.#latency) },
      ...{ callers: taken(this.#callers.counts), backends: taken(this.#backends.counts) },
      callersRefused: taken(this.#callers.refused),
      backendsRefused: taken(this.#backends.refused),
    };
  }
}

class Groups {
  /** Requests and errors of each. */
  readonly counts = new Float64Array(2 * UNIT_GROUPS);
  readonly refused = new Float64Array(UNIT_GROUPS);

  add(hash: number, isError: boolean, isRefusal: boolean): void {
    const group = groupOf(hash);
    this.counts[2 * group]! += 1;
    if (isError) this.counts[2 * group + 1]! += 1;
    else if (isRefusal) this.refused[group]! += 1;
  }
}

function taken(counts: Float64Array): number[] {
  const all = [...counts];
  counts.fill(0);
  return all;
}

/** Ticks between two reports while nothing fails. */
const CALM_TICKS = 5;

export class Cohorts {
  readonly deployment: string;
  readonly canary = new CohortCounts();
  readonly control = new CohortCounts();
  #ticks = 0;

  constructor(deployment: string) {
    this.deployment = deployment;
  }

  /** Called every tick. Undefined when there is nothing to tell, or it can wait. */
  report(route: string): CohortReport | undefined {
    const { deployment, canary, control } = this;
    this.#ticks++;
    if (canary.requests + control.requests === 0) return undefined;
    if (canary.errors === 0 && this.#ticks < CALM_TICKS) return undefined;
    this.#ticks = 0;
    return { route, deployment, canary: canary.take(), control: control.take() };
  }
}
