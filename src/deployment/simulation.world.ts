/**
 * The world of the simulation of deployments: one line of virtual time, and nodes that can be killed or frozen at every
 * call that leaves them. A killed node never hears the answer; a frozen one hears it, or sends what it was about to
 * send, when it thaws. Calls take time, and the clocks of nodes disagree.
 */
import type { Clock } from "../core/clock.ts";
import type { Random } from "../core/random.ts";

/** When every promise that can go on has done so. */
const rest = () => new Promise<void>((resolve) => process.nextTick(resolve));

interface Due {
  readonly at: number;
  readonly work: () => void;
}

/** Of the database, and of everything that happens outside of the nodes. */
export class World {
  readonly random: Random;
  now = 1_700_000_000_000;
  /** The next one is the last. Few wait at a time, so that sorting in is cheap. */
  readonly #due: Due[] = [];

  constructor(random: Random) {
    this.random = random;
  }

  after(delayMs: number, work: () => void): void {
    const at = this.now + Math.max(0, delayMs);
    let index = this.#due.length;
    while (index > 0 && this.#due[index - 1]!.at <= at) index--;
    this.#due.splice(index, 0, { at, work });
  }

  /** Lets time pass, from event to event, until it is so or this much has passed. */
  async run(isOver: () => boolean, limitMs: number): Promise<boolean> {
    const end = this.now + limitMs;
    for (;;) {
      await rest();
      if (isOver()) return true;
      const next = this.#due.at(-1);
      if (!next || next.at > end) return false;
      this.#due.pop();
      this.now = next.at;
      next.work();
    }
  }
}

export type FaultKind = "kill" | "freeze" | "outage";

/** What happens at a call, counted over all nodes from the start of the history: of all calls, or of this one. */
export interface Fault {
  readonly of: string;
  readonly call: number;
  readonly kind: FaultKind;
  /** Before the call has its effect, or after it and before its answer is heard. */
  readonly when: "before" | "after";
  /** Until a killed node is there again, a frozen one thaws, the store or target answers. */
  readonly forMs: number;
}

/** A process with an engine. */
export class Node {
  readonly clock: Clock;
  isAlive = true;
  frozenUntil = 0;
  readonly #world: World;

  constructor(world: World, skewMs: number) {
    this.#world = world;
    this.clock = {
      now: () => world.now + skewMs,
      monotonic: () => world.now,
      after: (delayMs, callback) => {
        let isCancelled = false;
        world.after(delayMs, () =>
          this.awake(() => {
            if (!isCancelled) callback();
          }),
        );
        return {
          cancel: () => {
            isCancelled = true;
          },
        };
      },
    };
  }

  get isFrozen(): boolean {
    return this.#world.now < this.frozenUntil;
  }

  kill(): void {
    this.isAlive = false;
  }

  freeze(ms: number): void {
    this.frozenUntil = Math.max(this.frozenUntil, this.#world.now + ms);
  }

  /** Now, or when it thaws; never once it is dead. */
  awake(work: () => void): void {
    if (!this.isAlive) return;
    if (this.isFrozen) this.#world.after(this.frozenUntil - this.#world.now, () => this.awake(work));
    else work();
  }

  /** A call to what is shared. `sent` and `done` may end or stop this node. */
  call<Value>(work: () => Value, sent: () => void, done: () => void): Promise<Value> {
    return new Promise((resolve, reject) => {
      const arrive = () => {
        let answer: () => void;
        try {
          const value = work();
          answer = () => resolve(value);
        } catch (error) {
          answer = () => reject(error);
        }
        done();
        this.#world.after(this.#latencyMs(), () => this.awake(answer));
      };
      sent();
      // What is on its way arrives, whatever becomes of the node; what is not sent yet waits for the thaw.
      this.awake(() => this.#world.after(this.#latencyMs(), arrive));
    });
  }

  #latencyMs(): number {
    return this.#world.random.below(16);
  }
}
