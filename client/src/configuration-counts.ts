/** What an instance counts until it says so: what a deployment of its configuration is judged by. */
import type { InstanceCounts } from "./instances.ts";

const none = (): Required<InstanceCounts> => ({ requests: 0, errors: 0, slow: 0, custom: {} });

export class ConfigurationCounts {
  #counts = none();

  add({ requests, errors, slow = 0, custom = {} }: InstanceCounts): void {
    const counts = this.#counts;
    counts.requests += requests;
    counts.errors += errors;
    counts.slow += slow;
    for (const [name, by] of Object.entries(custom)) counts.custom[name] = (counts.custom[name] ?? 0) + by;
  }

  /** All of them, which begin anew; undefined without requests. What could not be said is added again. */
  take(): InstanceCounts | undefined {
    const { requests, errors, slow, custom } = this.#counts;
    if (requests === 0) return undefined;
    this.#counts = none();
    return {
      ...{ requests, errors },
      ...(slow > 0 && { slow }),
      ...(Object.keys(custom).length > 0 && { custom }),
    };
  }
}
