/**
 * One lifecycle for every part that holds something open: `start` resolves when the part is ready, `stop`
 * drains, is idempotent, and never throws for a part that did not start.
 */
export interface Service {
  readonly name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts services in order and stops them in reverse. When one fails to start, those before it are stopped
 * and the error is passed on. A failing `stop` does not keep the others from stopping; the errors come
 * together at the end.
 */
export class Lifecycle {
  readonly #services: Service[] = [];
  #stopping: Promise<void> | undefined;

  async start(service: Service): Promise<void> {
    this.#services.push(service);
    try {
      await service.start();
    } catch (error) {
      await this.stop().catch(() => {}); // the start's error is the one worth showing
      throw error;
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #stopAll(): Promise<void> {
    const errors: unknown[] = [];
    for (const service of this.#services.toReversed()) {
      await service.stop().catch((error) => errors.push(error));
    }
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, "several services failed to stop");
  }
}
