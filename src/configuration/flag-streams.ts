/**
 * Event streams of flags, as OFREP has them: a server-sent event says that flags of a configuration may have changed,
 * and the caller evaluates them anew. The event's id and its `etag` are the revision of the scope, which the caller
 * hands on with the evaluation, so that it is not answered by a node that has not heard of the change yet.
 *
 * Who comes for the first time is told to evaluate at once: something may have changed since it did so.
 */
import type { ServerResponse } from "node:http";
import type { Clock, Timer } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import type { Service } from "../core/lifecycle.ts";
import type { Random } from "../core/random.ts";
import { Notice } from "./events.ts";
import type { Hub } from "./hub.ts";
import { EventLine } from "./lines.ts";
import type { ScopeName, ScopeState } from "./scopes.sql.ts";

export interface FlagStreamsOptions {
  hub: Hub;
  clock: Clock;
  random: Random;
  streamsMax: number;
  pendingBytesMax: number;
}

export interface Listening {
  scope: ScopeName;
  config: string;
  /** The revision that the caller heard of last; undefined: it comes for the first time. */
  since: number | undefined;
  /** In epoch seconds. */
  expiresAt: number;
  requestId: string;
}

const keepAliveMs = 15_000;
const retryMs = { least: 500, spread: 2_500 };

export class FlagStreams implements Service {
  readonly name = "flag streams";
  readonly #options: FlagStreamsOptions;
  readonly #open = new Map<EventLine, { expiresAt: number }>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: FlagStreamsOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const line of this.#open.keys()) line.end();
  }

  /** Takes the response over. Throws `overloaded`. */
  async open(response: ServerResponse, listening: Listening): Promise<void> {
    const { hub, random, streamsMax, pendingBytesMax } = this.#options;
    const { scope, config, since, expiresAt, requestId } = listening;
    if (this.#open.size >= streamsMax)
      throw new HotSwapError("overloaded", "Too many streams are open.", { retryAfterMs: 10_000 });
    const state = await hub.state(scope);
    const line = new EventLine(response, {
      ...{ requestId, pendingBytesMax, retryMs: retryMs.least + random.below(retryMs.spread) },
    });
    let told = since;
    const tell = ({ configs, revision }: ScopeState) => {
      const moved = configs.get(config)?.revision ?? revision; // one that has gone
      if (told !== undefined && moved <= told) return;
      told = moved;
      line.send(refetch(moved));
    };
    this.#open.set(line, { expiresAt });
    const unwatch = hub.watch(scope, tell);
    line.onClose(() => {
      unwatch();
      this.#open.delete(line);
    });
    tell(hub.known(scope) ?? state);
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#timer = this.#options.clock.after(keepAliveMs, () => {
      const nowSeconds = this.#options.clock.now() / 1_000;
      for (const [line, { expiresAt }] of this.#open) {
        if (expiresAt <= nowSeconds) line.end();
        else line.keepAlive();
      }
      this.#arm();
    });
  }
}

const refetch = (revision: number) =>
  new Notice("message", JSON.stringify({ type: "refetchEvaluation", etag: String(revision) }), revision);
