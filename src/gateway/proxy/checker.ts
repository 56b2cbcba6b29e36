/**
 * Asks backends how they are, in one worker for all of them, and writes the verdict into shared memory. Each check has
 * a connection of its own, since a kept one says nothing about whether another could be made. Checks of different
 * backends are spread by chance, so that they do not come in bursts.
 */
import type { Clock, Timer } from "../../core/clock.ts";
import type { Backend } from "./backend.ts";
import {
  afterCheck,
  HEALTHY,
  type Health,
  type HealthSettings,
  healthSettings,
  isHealthyStatus,
} from "./health.ts";
import type { Reply } from "./upstream.ts";

interface Watched {
  readonly backend: Backend;
  readonly settings: HealthSettings;
  health: Health;
  timer: Timer | undefined;
}

export class Checker {
  readonly #clock: Clock;
  readonly #chance: () => number;
  readonly #watched = new Map<string, Watched>();

  constructor(clock: Clock, chance: () => number) {
    this.#clock = clock;
    this.#chance = chance;
  }

  /** Takes up, changes or gives up the checks of a backend, as its settings say. */
  watch(backend: Backend): void {
    const known = this.#watched.get(backend.id);
    known?.timer?.cancel();
    this.#watched.delete(backend.id);
    if (!backend.settings.health) {
      if (known && !known.health.healthy) backend.setHealthy(true, "no longer checked");
      return;
    }
    const health = known?.backend === backend ? known.health : HEALTHY;
    const settings = healthSettings(backend.settings.health);
    const watched: Watched = { backend, settings, health, timer: undefined };
    this.#watched.set(backend.id, watched);
    this.#schedule(watched, settings.intervalMs * this.#chance());
  }

  forget(id: string): void {
    this.#watched.get(id)?.timer?.cancel();
    this.#watched.delete(id);
  }

  stop(): void {
    for (const id of [...this.#watched.keys()]) this.forget(id);
  }

  #schedule(watched: Watched, delayMs: number): void {
    watched.timer = this.#clock.after(delayMs, () => {
      check(watched.backend, watched.settings, this.#clock, (problem) => {
        if (this.#watched.get(watched.backend.id) !== watched) return;
        this.#learn(watched, problem);
        this.#schedule(watched, watched.settings.intervalMs * (0.9 + 0.2 * this.#chance()));
      });
    });
  }

  #learn(watched: Watched, problem: string | undefined): void {
    const health = afterCheck(watched.health, watched.settings, problem === undefined);
    if (health.healthy !== watched.health.healthy) watched.backend.setHealthy(health.healthy, problem);
    watched.health = health;
  }
}

/** Calls `done` once, with what is wrong, or undefined when nothing is. */
function check(
  backend: Backend,
  settings: HealthSettings,
  clock: Clock,
  done: (problem?: string) => void,
): void {
  let isOver = false;
  const end = (problem?: string) => {
    if (isOver) return;
    isOver = true;
    timer.cancel();
    done(problem);
  };
  const timer = clock.after(settings.timeoutMs, () => {
    end(`no answer within ${settings.timeoutMs} ms`);
    upstream?.destroy();
  });
  const upstream = backend.open();
  if (!upstream) {
    end(); // as many connections as may be: it is busy, not ill
    return;
  }
  const host = settings.host ?? backend.endpoint.authority;
  const reply: Reply = {
    isHead: false,
    isSent: true,
    wantsUpgrade: false,
    onConnected: () =>
      upstream.out.write(
        `GET ${settings.path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: hotswap-health\r\nConnection: close\r\n\r\n`,
      ),
    onInform: () => {},
    onSwitch: () => end("switched protocols"),
    onHead: ({ status }) => {
      end(isHealthyStatus(settings, status) ? undefined : `status ${status}`);
      upstream.destroy();
    },
    onBody: () => {},
    onDrain: () => {},
    onFail: (_upstream, _flag, message) => end(message),
  };
  upstream.begin(reply);
}
