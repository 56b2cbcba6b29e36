/**
 * A backend at run time: its pool of connections, what is known of its health, and its counters. It lives as long as
 * its id is in the snapshot with the same address, so a publish carries all of this over.
 *
 * The pool is LIFO, so that what is not needed grows old and goes. How long a backend keeps an idle connection is
 * learned: from `Keep-Alive: timeout=`, and from each idle connection that it closes. Requests that must not be sent
 * twice take only connections that are well within that time.
 */
import { isIP } from "node:net";
import { hash32 } from "../../core/hash.ts";
import type { Balanced } from "./balance.ts";
import * as breaker from "./breaker.ts";
import type { Head } from "./http1/head.ts";
import { isEjected, type OutlierSettings, observe, outlierSettings } from "./outlier.ts";
import { type BackendCells, CELL, TIME } from "./shared.ts";
import type { Backend as Settings } from "./snapshot.backend.ts";
import type { BackendEvent, BackendState } from "./stats.ts";
import { type Pool, Upstream } from "./upstream.ts";

/** What a backend needs of its worker. */
export interface BackendContext {
  readonly heads: { readonly answer: Head };
  now(): number;
  /** Gives the upstream a socket that connects. */
  dial(upstream: Upstream): void;
  onEvent(backend: string, what: BackendEvent["what"], reason?: string): void;
  /** Whether enough of the other targets of its routes are fit. */
  mayEject(backend: Backend): boolean;
}

export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** `host:port` as in the URL, for Host and for records. */
  readonly authority: string;
}

export class Backend implements Balanced, Pool {
  readonly id: string;
  readonly hash: number;
  readonly slot: number;
  readonly endpoint: Endpoint;
  readonly cells: BackendCells;
  settings: Settings;
  breaker: breaker.BreakerSettings;
  outlier: OutlierSettings;
  requests = 0;
  failures = 0;
  lastProblem: string | undefined;
  readonly #context: BackendContext;
  readonly #idle: Upstream[] = [];
  readonly #open = new Set<Upstream>();
  #learnedIdleMs = Number.POSITIVE_INFINITY;
  #isRetired = false;

  constructor(settings: Settings, slot: number, cells: BackendCells, context: BackendContext) {
    this.id = settings.id;
    this.hash = hash32(settings.id);
    this.slot = slot;
    this.cells = cells;
    this.settings = settings;
    this.endpoint = endpointOf(settings.url);
    this.breaker = breaker.breakerSettings(settings.breaker);
    this.outlier = outlierSettings(settings.outlier);
    this.#context = context;
  }

  /** Takes over settings that do not change who is spoken to. */
  update(settings: Settings): void {
    this.settings = settings;
    this.breaker = breaker.breakerSettings(settings.breaker);
    this.outlier = outlierSettings(settings.outlier);
  }

  readonly #mayEject = (): boolean => this.#context.mayEject(this);
  readonly #turned = (what: breaker.BreakerTurn): void => {
    if (what) this.#context.onEvent(this.id, what);
  };

  get heads() {
    return this.#context.heads;
  }

  get inFlight(): number {
    return this.cells.inFlight;
  }

  admits(now: number): boolean {
    return !this.settings.draining && breaker.mayAdmit(this.cells, this.breaker, now);
  }

  isFit(now: number): boolean {
    return (
      this.cells.get(CELL.unhealthy) === 0 &&
      !isEjected(this.cells, now, () => this.#context.onEvent(this.id, "returned"))
    );
  }

  warmth(now: number): number {
    const { slowStartMs = 0 } = this.settings;
    if (slowStartMs === 0) return 1;
    return Math.min(1, Math.max(0.1, (now - this.cells.time(TIME.usableSince)) / slowStartMs));
  }

  /** Counts a request in; false when the breaker does not let it through. */
  enter(now: number): boolean {
    if (!breaker.admit(this.cells, this.breaker, now, this.#turned)) return false;
    this.cells.addInFlight(1);
    this.requests++;
    return true;
  }

  /** Counts it out, judged. `ok` undefined: it ended for a reason that is not the backend's. */
  leave(ok: boolean | undefined, now: number, problem?: string): void {
    this.depart();
    if (ok === undefined) breaker.withdrawn(this.cells);
    else this.judge(ok, now, problem);
  }

  /** Counts out one that was judged by the head of its answer: a stream or a tunnel may have gone on for hours. */
  depart(): void {
    this.cells.addInFlight(-1);
  }

  judge(ok: boolean, now: number, problem?: string): void {
    if (!ok) {
      this.failures++;
      this.lastProblem = problem;
    }
    const turn = ok
      ? breaker.succeeded(this.cells, this.breaker)
      : breaker.failed(this.cells, this.breaker, now);
    if (turn) {
      if (turn === "closed") this.cells.setTime(TIME.usableSince, now);
      this.#context.onEvent(this.id, turn, problem);
    }
    const ejected = observe(this.cells, this.outlier, ok, now, this.#mayEject);
    if (ejected) this.#context.onEvent(this.id, "ejected", problem);
  }

  setHealthy(healthy: boolean, reason?: string): void {
    this.cells.set(CELL.unhealthy, healthy ? 0 : 1);
    if (healthy) this.cells.setTime(TIME.usableSince, this.#context.now());
    else this.lastProblem = reason;
    this.#context.onEvent(this.id, healthy ? "healthy" : "unhealthy", reason);
  }

  /** An idle connection. `once`: for a request that must not be sent twice. */
  take(now: number, once: boolean): Upstream | undefined {
    for (let upstream = this.#idle.pop(); upstream; upstream = this.#idle.pop()) {
      const idleMs = now - upstream.idleSince;
      const limit = Math.min(this.settings.idleMs ?? 60_000, this.#learnedIdleMs);
      if (idleMs < (once ? limit / 2 : limit) && !upstream.socket.destroyed) return upstream;
      upstream.destroy();
    }
    return undefined;
  }

  /** A new connection; undefined when there are as many as may be. */
  open(): Upstream | undefined {
    if (this.cells.connections >= (this.settings.connectionsMax ?? 1024)) return undefined;
    const upstream = new Upstream(this, this.#context.now());
    this.cells.addConnections(1);
    this.#open.add(upstream);
    this.#context.dial(upstream);
    return upstream;
  }

  release(upstream: Upstream): void {
    const isWanted = !this.#isRetired && this.settings.protocol !== "h2";
    if (!isWanted || this.#idle.length >= (this.settings.idleMax ?? 64)) upstream.destroy();
    else {
      upstream.idleSince = this.#context.now();
      this.#idle.push(upstream);
    }
  }

  /** The connection is closed. When the backend did that to an idle one, its patience is known better. */
  forget(upstream: Upstream, reason?: string): void {
    if (!this.#open.delete(upstream)) return;
    this.cells.addConnections(-1);
    const at = this.#idle.indexOf(upstream);
    if (at < 0) return;
    this.#idle.splice(at, 1);
    const idleMs = this.#context.now() - upstream.idleSince;
    // Sooner than that is a restart, not patience.
    if (reason && idleMs > 500) this.#learnedIdleMs = Math.min(this.#learnedIdleMs, idleMs * 0.9);
  }

  /** From `Keep-Alive: timeout=5, max=100`: a second less than it says. */
  hint(keepAlive: string): void {
    const seconds = /(?:^|[ ,])timeout=(\d{1,6})/.exec(keepAlive)?.[1];
    if (seconds)
      this.#learnedIdleMs = Math.min(this.#learnedIdleMs, Math.max(500, Number(seconds) * 1000 - 1000));
  }

  /** Closes what has been idle for too long. Called every second or so. */
  sweep(now: number): void {
    const limit = Math.min(this.settings.idleMs ?? 60_000, this.#learnedIdleMs);
    while (this.#idle[0] && now - this.#idle[0].idleSince >= limit) this.#idle[0].destroy();
  }

  /** It left the snapshot: idle connections go now, the others when they are done. */
  retire(): void {
    this.#isRetired = true;
    for (const upstream of [...this.#idle]) upstream.destroy();
  }

  state(now: number): BackendState {
    const problem = this.lastProblem;
    return {
      id: this.id,
      healthy: this.cells.get(CELL.unhealthy) === 0,
      ejected: isEjected(this.cells, now),
      breaker: breaker.stateOf(this.cells, this.breaker),
      inFlight: this.inFlight,
      connections: this.cells.connections,
      idle: this.#idle.length,
      requests: this.requests,
      failures: this.failures,
      ...(problem !== undefined && { lastProblem: problem }),
    };
  }
}

/** Whether both mean the same connections. */
export function isSamePeer(one: Settings, other: Settings): boolean {
  const of = ({ url, protocol, tls }: Settings) => JSON.stringify([url, protocol ?? "h1", tls ?? {}]);
  return of(one) === of(other);
}

/** Throws what a publish says about a URL that cannot be used. */
export function endpointOf(url: string): Endpoint {
  const parsed = new URL(url);
  const isTls = parsed.protocol === "https:";
  if (!isTls && parsed.protocol !== "http:") throw new TypeError(`${url}: http: or https: is expected`);
  if (parsed.pathname !== "/" || parsed.search || parsed.username) {
    throw new TypeError(`${url}: only a scheme, a host and a port are expected`);
  }
  const host = parsed.hostname.replace(/^\[|\]$/g, "");
  if (host === "" || (parsed.hostname.startsWith("[") && !isIP(host))) throw new TypeError(`${url}: no host`);
  return { host, port: Number(parsed.port || (isTls ? 443 : 80)), isTls, authority: parsed.host };
}
