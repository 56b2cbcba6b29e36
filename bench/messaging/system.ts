/**
 * What the benchmark asks of a system, whichever it is. `start` runs in the orchestrating process and owns the
 * server; `connect` runs in the one client process and owns the connection. Both halves meet in `Endpoint` only.
 */
import type { Histogram, Ledger } from "./measure.ts";

/** Where and how the client reaches the server; crosses a process boundary as JSON. */
export type Endpoint = Readonly<Record<string, string>>;

export interface Running {
  /** Root of the server's process tree; its CPU time is charged to the server. */
  readonly pid: number;
  /** Of another server that this one needs; its CPU time is charged to it too. */
  readonly besides?: number;
  readonly version: string;
  readonly endpoint: Endpoint;
  stop(): Promise<void>;
}

/** One bounded stretch of work: at most `count` messages from number `first`, and no new ones once `expired()`. */
export interface Stretch {
  readonly first: number;
  readonly count: number;
  /** Most messages that are sent and not yet acknowledged, or delivered and not yet acknowledged. */
  readonly window: number;
  /** Publish: from the call to the acknowledgement. Consume: see `consumeLatency` of the system. */
  readonly latency: Histogram;
  readonly ledger: Ledger;
  expired(): boolean;
}

export interface Client {
  /** Publishes and awaits every acknowledgement; marks each in the ledger. */
  publish(stretch: Stretch): Promise<void>;
  /** Takes `count` messages that are already stored and acknowledges each; marks each in the ledger. */
  consume(stretch: Stretch): Promise<void>;
  close(): Promise<void>;
}

export type Phase = "publish" | "consume";

export interface System {
  readonly name: string;
  readonly title: string;
  /** What the peer's own client does on the wire, in a few words. */
  readonly method: Readonly<Record<Phase, string>>;
  /** How safe a published message, or the fact that it is done, is at the moment of acknowledgement. */
  readonly promise: Readonly<Record<Phase, string>>;
  /** What the consume latency of this system spans. */
  readonly consumeLatency: string;
  readonly phases: readonly Phase[];
  readonly window: number;
  start(folder: string, cpus: string | undefined): Promise<Running>;
  connect(endpoint: Endpoint): Promise<Client>;
}

/**
 * Keeps up to `window` sends in flight until `count` are confirmed or time is up. It refills when half of the
 * window is free, in one go: every client library here coalesces what one tick sends, and each was measured to
 * be as fast or faster than with a refill per confirmation, at a lower latency.
 */
export function slide(stretch: Stretch, send: (number: number) => Promise<unknown>): Promise<void> {
  const { first, count, window, latency, ledger } = stretch;
  return new Promise((resolve, reject) => {
    let next = 0;
    let inFlight = 0;
    const refill = () => {
      if (inFlight > window / 2) return;
      while (inFlight < window && next < count && !stretch.expired()) {
        const number = first + next++;
        const sentAt = performance.now();
        inFlight += 1;
        send(number).then(() => {
          latency.record(performance.now() - sentAt);
          ledger.mark(number);
          inFlight -= 1;
          refill();
        }, reject);
      }
      if (inFlight === 0) resolve();
    };
    refill();
  });
}

/** Messages on lease, and how to say that they are done. */
export interface Page {
  readonly numbers: readonly number[];
  acknowledge(): Promise<unknown>;
}

/**
 * For servers that hand out pages: two loops take pages of half a window each, and each asks for the next page
 * while its last one is being acknowledged. So the server works while the client reads, as it does anyway with
 * a server that pushes. A page without messages ends a loop.
 */
export async function turnPages(stretch: Stretch, fetch: (limit: number) => Promise<Page>): Promise<void> {
  const { count, window, latency, ledger } = stretch;
  let asked = 0;
  const loop = async () => {
    let acknowledging: Promise<void> = Promise.resolve();
    while (asked < count && !stretch.expired()) {
      const limit = Math.min(window >> 1, count - asked);
      asked += limit;
      const { numbers, acknowledge } = await fetch(limit);
      const deliveredAt = performance.now();
      asked -= limit - numbers.length;
      if (numbers.length === 0) break;
      for (const number of numbers) ledger.mark(number);
      await acknowledging;
      acknowledging = acknowledge().then(() => {
        const took = performance.now() - deliveredAt;
        for (let index = 0; index < numbers.length; index++) latency.record(took);
      });
    }
    await acknowledging;
  };
  await Promise.all([loop(), loop()]);
}
