/**
 * What a node may serve, as a state machine without I/O: time and what others said come in as arguments, so that
 * the simulation runs the very code that a server does.
 *
 * A node has one session at a time. The roll in PostgreSQL gives it a lease and prolongs it with each heartbeat;
 * the node counts from the moment *before* it asked, on a clock that never jumps, and stops a margin early. So it
 * has stopped before anybody else may begin, however long an answer took and as long as clocks run apart by less
 * than the margin. A session that ended never comes back: what it owned is gone with it.
 */
import { HotSwapError } from "../../core/errors.ts";
import { keyOf, type Unit } from "./unit.ts";

/** The part of a lease that is given up for clocks that run at different speeds. */
export const marginShare = 0.1;

export interface Session {
  readonly id: string;
  /** Monotonic milliseconds. */
  validUntil: number;
}

/** The right to serve a unit, under an epoch that nobody else ever has. */
export interface Tenure {
  readonly unit: Unit;
  readonly epoch: number;
  readonly session: Session;
  /** Given up: by a handover, or because the log says that somebody else writes. */
  isOver: boolean;
}

export class Tenancy {
  readonly #leaseMs: number;
  #session: Session | undefined;
  readonly #tenures = new Map<string, Tenure>();

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** The roll has a new session; what was owned under an older one is over. Returns what ended. */
  begin(id: string, askedAt: number): Tenure[] {
    const ended = this.end();
    this.#session = { id, validUntil: this.#until(askedAt) };
    return ended;
  }

  /** The roll has prolonged the session. An answer about an older session says nothing. */
  prolong(id: string, askedAt: number): void {
    if (this.#session?.id !== id) return;
    this.#session.validUntil = Math.max(this.#session.validUntil, this.#until(askedAt));
  }

  /** The session is over, or no answer came in time. Returns what ended. */
  end(): Tenure[] {
    const ended = [...this.#tenures.values()];
    for (const tenure of ended) tenure.isOver = true;
    this.#tenures.clear();
    this.#session = undefined;
    return ended;
  }

  /** The roll says that the session owns the unit under this epoch. Undefined when it says so too late. */
  grant(session: string, unit: Unit, epoch: number): Tenure | undefined {
    if (this.#session?.id !== session) return undefined;
    const key = keyOf(unit);
    const known = this.#tenures.get(key);
    if (known && known.epoch >= epoch) return known.epoch === epoch ? known : undefined;
    if (known) known.isOver = true;
    const tenure: Tenure = { unit, epoch, session: this.#session, isOver: false };
    this.#tenures.set(key, tenure);
    return tenure;
  }

  /** Gives the unit up. */
  yield(tenure: Tenure): void {
    tenure.isOver = true;
    if (this.#tenures.get(keyOf(tenure.unit)) === tenure) this.#tenures.delete(keyOf(tenure.unit));
  }

  get(unit: Unit): Tenure | undefined {
    return this.#tenures.get(keyOf(unit));
  }

  all(): Tenure[] {
    return [...this.#tenures.values()];
  }

  isValid(now: number): boolean {
    return this.#session !== undefined && now < this.#session.validUntil;
  }

  #until(askedAt: number): number {
    return askedAt + this.#leaseMs * (1 - marginShare);
  }
}

/** Whether the unit may be served at this moment. On the path of every message. */
export function holds(tenure: Tenure, now: number): boolean {
  return !tenure.isOver && now < tenure.session.validUntil;
}

/** For a request that another node has to answer. */
export function moved(topic: string): HotSwapError {
  const detail = `Another node serves the topic ${JSON.stringify(topic)}.`;
  return new HotSwapError("topic_moved", detail, { retryAfterMs: 200, data: { topic } });
}
