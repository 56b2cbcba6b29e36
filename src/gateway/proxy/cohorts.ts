/**
 * What a worker counts of a route under deployment: apart from its other counters, for each of the two versions, and
 * from the moment on at which the deployment is served here. It is told by differences, many times a second while
 * requests of the new version fail, otherwise a few times; so nobody has to come and ask.
 *
 * A request counts for the deployment under which it began. Who is in a version for another reason than the chance of
 * the hash, such as a tester, is not counted: a comparison is only worth something between callers drawn alike.
 */
import { BUCKETS, bucketOf } from "./counters.ts";
import type { CohortNumbers, CohortReport } from "./stats.ts";

export class CohortCounts {
  requests = 0;
  errors = 0;
  refused = 0;
  #latency = new Float64Array(BUCKETS);

  /** `status` is what the caller got; `isCut`, that it did not get all of it. */
  add(status: number, isCut: boolean, ms: number): void {
    this.requests++;
    if (status >= 500 || isCut) this.errors++;
    else if (status >= 400) this.refused++;
    this.#latency[bucketOf(ms)]! += 1;
  }

  take(): CohortNumbers {
    const { requests, errors, refused } = this;
    const latency = [...this.#latency];
    this.requests = 0;
    this.errors = 0;
    this.refused = 0;
    this.#latency.fill(0);
    return { requests, errors, refused, latency };
  }
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
