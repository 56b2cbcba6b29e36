/**
 * Patience with a server that is away, such as during its restart: the person is told once, the command goes
 * on trying, and gives up when nothing came back for long enough.
 */
import { HotSwapConnectionError, type Wire } from "../../client/src/node.ts";
import { systemClock } from "../core/clock.ts";
import { durationText } from "./print.ts";

/** Short waits, since a restart takes a second or two; the end is set by patience and not by counting. */
export const patientRetry = { attempts: Number.POSITIVE_INFINITY, baseMs: 50, maxMs: 1_000 };

export class Patience {
  readonly #seconds: number;
  readonly #over = new AbortController();
  #trouble: { since: number; error: Error; cancel: () => void } | undefined;
  /** How often the connection was lost. */
  interruptions = 0;
  /** Tells the person; whoever draws on the terminal puts its own in place of this. */
  say = (text: string): void => void process.stderr.write(`hotswap: ${text}\n`);

  constructor(seconds: number) {
    this.#seconds = seconds;
  }

  /** Aborted, with the last failure as its reason, when there is no patience left. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** The same wire, with its failures seen. */
  wrap(wire: Wire): Wire {
    const send: Wire["send"] = async (request) => {
      try {
        const response = await wire.send(request);
        if (response.status < 500) this.#relieve();
        return response;
      } catch (error) {
        if (error instanceof HotSwapConnectionError) this.#strain(error);
        throw error;
      }
    };
    return { ...wire, send };
  }

  /** For a stream, whose connection is no request on the wire. */
  ofStream() {
    return {
      signal: this.signal,
      onOpen: () => this.#relieve(),
      onRetry: (error: unknown) => {
        if (error instanceof HotSwapConnectionError || (error as { status?: number }).status === 503) {
          this.#strain(error as Error);
        }
      },
    };
  }

  /** Nothing is awaited any more, so nothing may keep the process alive. */
  end(): void {
    this.#trouble?.cancel();
    this.#trouble = undefined;
  }

  #strain(error: Error): void {
    if (this.#trouble) {
      this.#trouble.error = error;
      return;
    }
    this.interruptions += 1;
    this.say(`${error.message}; trying again for ${this.#seconds} s`);
    const giveUp = () => this.#over.abort(this.#trouble?.error);
    const timer = systemClock.after(this.#seconds * 1000, giveUp, { keepAlive: true });
    this.#trouble = { since: systemClock.monotonic(), error, cancel: () => timer.cancel() };
  }

  #relieve(): void {
    if (!this.#trouble) return;
    this.say(`connected again after ${durationText(systemClock.monotonic() - this.#trouble.since)}`);
    this.end();
  }
}
