/**
 * A worker's data plane: listens, accepts, holds the route table and the backends, ticks. Everything that it shares
 * with other workers is in shared memory; everything else is its own. Runs in a thread of its own (worker.ts); tests
 * may run it where they are.
 */
import type { BlockList } from "node:net";
import type { Clock, Timer } from "../../core/clock.ts";
import type { Random } from "../../core/random.ts";
import { AccessLog } from "./access-log.ts";
import { addressList, clientBehind, isListed } from "./addresses.ts";
import { Backend, isSamePeer } from "./backend.ts";
import { Checker } from "./checker.ts";
import type { ClientConnection, ClientLimits } from "./client.ts";
import type { ProxyContext } from "./context.ts";
import type { Address, Limits, Probe, ProbeFailure, ProxyOptions } from "./data-plane.ts";
import { Dialler } from "./dial.ts";
import { F, HOP_BY_HOP } from "./http1/grammar.ts";
import { Head } from "./http1/head.ts";
import type { Refusal } from "./http1/refusal.ts";
import { dropping } from "./http1/write.ts";
import { Ids } from "./ids.ts";
import { RateLimits } from "./limits.ts";
import { Listeners } from "./listeners.ts";
import type { Matcher } from "./matcher.ts";
import { probeBackend } from "./probe.ts";
import { Recorder } from "./recorder.ts";
import type { RequestRecord, ResponseFlag } from "./records.ts";
import type { Route } from "./route.ts";
import { RouteTable } from "./route-table.ts";
import { BackendCells, type SharedMemory, TIME } from "./shared.ts";
import type { Backend as BackendSettings } from "./snapshot.backend.ts";
import type { SnapshotChange, SnapshotProblem } from "./snapshot.ts";
import type { BackendEvent, CohortReport, ProxyStats } from "./stats.ts";
import { Tokens } from "./tokens.ts";
import type { Upstream } from "./upstream.ts";

const TICK_MS = 100;

export interface EngineOptions {
  readonly worker: number;
  readonly memory: SharedMemory;
  readonly proxy: Omit<ProxyOptions, "onRecords" | "onBackend" | "onCohorts" | "onUnknownKey" | "onCrash">;
  readonly clock: Clock;
  readonly random: Random;
  /** Added to the clock's monotonic time, it is the time that all workers share. */
  readonly offsetMs: number;
  readonly onRecords?: (records: readonly RequestRecord[]) => void;
  readonly onBackend?: (event: BackendEvent) => void;
  readonly onCohorts?: (reports: readonly CohortReport[]) => void;
  readonly onUnknownKey?: (issuer: string) => void;
}

export const limitsOf = (given: Limits = {}): Required<Limits> => ({
  headBytesMax: given.headBytesMax ?? 16_384,
  headersMax: given.headersMax ?? 100,
  targetBytesMax: given.targetBytesMax ?? 8192,
  connectionsMax: given.connectionsMax ?? 20_000,
  headMs: given.headMs ?? 10_000,
  keepAliveMs: given.keepAliveMs ?? 75_000,
  bodyBytesPerSecondMin: given.bodyBytesPerSecondMin ?? 100,
  streamsMax: given.streamsMax ?? 128,
});

/** What a trailer may not say: framing, routing, trust (RFC 9110 §6.5.1). */
const TRAILER_DROP = dropping(
  HOP_BY_HOP,
  F.host,
  F.contentLength,
  F.expect,
  F.authorization,
  F.cookie,
  F.forwardedFor,
  F.forwardedProto,
  F.forwardedHost,
  F.forwardedPort,
  F.forwarded,
  F.realIp,
  F.requestId,
  F.traceparent,
  F.location,
);

export class Engine implements ProxyContext {
  readonly worker: number;
  readonly matcher: Matcher<Route>;
  readonly heads: { readonly request: Head; readonly answer: Head; readonly trailer: Head };
  readonly trailerDrop = TRAILER_DROP;
  readonly ids: Ids;
  readonly log: AccessLog | undefined;
  readonly limits: RateLimits;
  readonly tokens: Tokens;
  readonly clients = new Set<ClientConnection>();
  readonly clientLimits: ClientLimits;
  readonly settings: Required<Limits>;
  revision = 0;
  tick = 0;
  tunnels = 0;
  readonly #options: EngineOptions;
  readonly #listeners: Listeners;
  readonly #dialler = new Dialler();
  /** In one worker for all. */
  readonly #checker: Checker | undefined;
  readonly #backends = new Map<string, Backend>();
  readonly #routes: RouteTable;
  readonly #recorder: Recorder;
  readonly #trusted: BlockList | undefined;
  readonly #flagCounts: Record<string, number> = {};
  readonly #retryCounts: Record<string, number> = {};
  readonly #refusedCounts: Record<string, number> = {};
  #ticks = 0;
  #timer: Timer | undefined;
  #wallOffset = 0;
  /** Issuers to the tick at which a key of theirs was missing. */
  readonly #asked = new Map<string, number>();
  #lastHost = "";
  #lastHostName = "";

  constructor(options: EngineOptions) {
    const { proxy, memory } = options;
    this.#options = options;
    this.worker = options.worker;
    const limits = limitsOf(proxy.limits);
    this.settings = limits;
    this.heads = {
      request: new Head(limits),
      answer: new Head({ headBytesMax: 65_536, headersMax: 200, targetBytesMax: 0 }),
      trailer: new Head({ headBytesMax: 8192, headersMax: 64, targetBytesMax: 0 }),
    };
    this.clientLimits = limits;
    this.ids = new Ids(options.random.bytes(16));
    this.log = proxy.accessLog && new AccessLog(proxy.accessLog.path, proxy.accessLog.format ?? "json");
    this.limits = new RateLimits(memory.limits);
    this.tokens = new Tokens(() => options.clock.now(), this.#askFor);
    this.#trusted = proxy.trustedHops?.length ? addressList(proxy.trustedHops) : undefined;
    this.#recorder = new Recorder(proxy.recordsKept ?? 2048);
    this.#routes = new RouteTable(
      (id) => this.#backends.get(id),
      () => this.chance(),
    );
    this.matcher = this.#routes.matcher;
    this.#listeners = new Listeners(this, proxy.listen);
    this.#checker = options.worker === 0 ? new Checker(options.clock, () => this.chance()) : undefined;
    this.#beat();
  }

  // Lifecycle

  /** `ports` are those that another worker has already, in the order of `listen`. */
  start(ports?: readonly number[]): Promise<readonly Address[]> {
    this.#schedule();
    const { memory, proxy } = this.#options;
    return this.#listeners.listen(ports, memory.workers > 1 || proxy.sharesPorts === true);
  }

  /** Accepts no more; resolves when nothing is open, or at `drainMs`. */
  async stop(drainMs: number): Promise<void> {
    this.#listeners.close();
    this.#checker?.stop();
    for (const client of [...this.clients]) client.drain();
    const deadline = this.now() + drainMs;
    while (this.clients.size > 0 && this.now() < deadline) {
      await new Promise<void>((resolve) => void this.#options.clock.after(20, resolve, { keepAlive: true }));
    }
    for (const client of [...this.clients]) client.destroy();
    this.#listeners.destroy();
    for (const backend of this.#backends.values()) backend.retire();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#sendRecords();
    await this.log?.close();
  }

  isTrusted(address: string): boolean {
    return this.#trusted !== undefined && isListed(this.#trusted, address);
  }

  // Snapshot

  /** `slots` holds the slot in shared memory of each backend that the change puts. */
  apply(change: SnapshotChange, slots: Readonly<Record<string, number>>): SnapshotProblem[] {
    const problems: SnapshotProblem[] = [];
    const attempt = (kind: SnapshotProblem["kind"], id: string, work: () => void) => {
      try {
        work();
      } catch (error) {
        problems.push({ kind, id, message: error instanceof Error ? error.message : String(error) });
      }
    };
    if (change.issuers) {
      this.#asked.clear();
      for (const problem of this.tokens.setIssuers(change.issuers))
        problems.push({ kind: "issuer", ...problem });
    }
    if (change.apiKeys) this.tokens.setApiKeys(change.apiKeys);
    for (const { id, message } of this.#listeners.setCertificates(change.certificates)) {
      problems.push({ kind: "certificate", id, message });
    }
    const replaced = new Set<string>();
    for (const settings of change.backends ?? []) {
      attempt("backend", settings.id, () => {
        if (this.#putBackend(settings, slots[settings.id]!)) replaced.add(settings.id);
      });
    }
    const routes = new Map((change.routes ?? []).map((route) => [route.id, route]));
    // A backend with another address is another object; routes that use it are compiled anew.
    for (const id of replaced) {
      for (const { settings } of this.#routes.usersOf(id)) {
        if (!routes.has(settings.id)) routes.set(settings.id, settings);
      }
    }
    for (const route of routes.values()) attempt("route", route.id, () => this.#routes.put(route));
    for (const id of change.removedRoutes ?? []) this.#routes.remove(id);
    for (const id of change.removedBackends ?? []) {
      this.#backends.get(id)?.retire();
      this.#backends.delete(id);
      this.#checker?.forget(id);
    }
    this.revision = change.revision;
    return problems;
  }

  /** True when routes must take up a new object. */
  #putBackend(settings: BackendSettings, slot: number): boolean {
    const known = this.#backends.get(settings.id);
    if (known && isSamePeer(known.settings, settings)) {
      const hadHealth = JSON.stringify(known.settings.health);
      known.update(settings);
      if (JSON.stringify(settings.health) !== hadHealth) this.#checker?.watch(known);
      return false;
    }
    const cells = new BackendCells(this.#options.memory, slot, this.worker);
    const context = {
      heads: this.heads,
      now: () => this.now(),
      dial: (upstream: Upstream) => this.#dialler.dial(upstream, this.#backends.get(settings.id) ?? backend),
      onEvent: (id: string, what: BackendEvent["what"], reason?: string) => this.#tell(id, what, reason),
      mayEject: (one: Backend) => this.#routes.mayEject(one, this.now()),
    };
    const backend: Backend = new Backend(settings, slot, cells, context);
    known?.retire();
    this.#backends.set(settings.id, backend);
    cells.setTime(TIME.usableSince, this.now());
    this.#checker?.watch(backend);
    return known !== undefined;
  }

  // ProxyContext

  now(): number {
    return this.#options.clock.monotonic() + this.#options.offsetMs;
  }

  wallAt(now: number): number {
    return now + this.#wallOffset;
  }

  chance(): number {
    return this.#options.random.number();
  }

  after(delayMs: number, work: () => void): Timer {
    return this.#options.clock.after(delayMs, work);
  }

  backend(id: string): Backend | undefined {
    return this.#backends.get(id);
  }

  hostName(field: string): string {
    // Most requests of a worker name the same host.
    if (field === this.#lastHost) return this.#lastHostName;
    this.#lastHost = field;
    this.#lastHostName = field.toLowerCase().replace(/:\d*$/, "");
    return this.#lastHostName;
  }

  clientBehind(peer: string, forwardedFor: string | undefined): string {
    return this.#trusted ? clientBehind(this.#trusted, peer, forwardedFor) : peer;
  }

  takeDetail(): boolean {
    return this.#recorder.takeDetail();
  }

  takeSample(): boolean {
    const share = this.#options.proxy.recordShare ?? 0;
    return share > 0 && this.chance() * 10_000 < share;
  }

  keep(record: RequestRecord, isSampled: boolean): void {
    this.#recorder.keep(record, isSampled);
  }

  count(reason: string): void {
    this.#retryCounts[reason] = (this.#retryCounts[reason] ?? 0) + 1;
  }

  countFlags(flags: readonly ResponseFlag[]): void {
    for (const flag of flags) this.#flagCounts[flag] = (this.#flagCounts[flag] ?? 0) + 1;
  }

  refused(refusal: Refusal | "tls"): void {
    this.#refusedCounts[refusal] = (this.#refusedCounts[refusal] ?? 0) + 1;
  }

  // Time

  #schedule(): void {
    this.#timer = this.#options.clock.after(TICK_MS, () => {
      this.#beat();
      this.#schedule();
    });
  }

  #beat(): void {
    const now = this.now();
    this.tick = now;
    this.#recorder.tick();
    this.#wallOffset = this.#options.clock.now() - now;
    for (const client of this.clients) client.checkDeadlines(now);
    this.#reportCohorts();
    if (++this.#ticks % 10 !== 0) return;
    for (const backend of this.#backends.values()) backend.sweep(now);
    this.log?.flush();
    this.#sendRecords();
  }

  /** Tells the main thread, once a tick at most: a flood of forged tokens must not become one of messages. */
  readonly #askFor = (issuer: string): void => {
    if (this.#asked.get(issuer) === this.tick) return;
    this.#asked.set(issuer, this.tick);
    this.#options.onUnknownKey?.(issuer);
  };

  #reportCohorts(): void {
    const reports = this.#routes.cohortReports();
    if (reports.length > 0) this.#options.onCohorts?.(reports);
  }

  #sendRecords(): void {
    const sampled = this.#recorder.takeSampled();
    if (sampled.length > 0) this.#options.onRecords?.(sampled);
  }

  #tell(backend: string, what: BackendEvent["what"], reason?: string): void {
    const at = this.#options.clock.now();
    this.#options.onBackend?.({ at, backend, what, ...(reason !== undefined && { reason }) });
  }

  // Questions

  stats(): ProxyStats {
    return {
      revision: this.revision,
      workers: 1,
      connections: this.clients.size,
      tunnels: this.tunnels,
      retries: { ...this.#retryCounts },
      flags: { ...this.#flagCounts },
      logDropped: this.log?.dropped ?? 0,
      routes: this.#routes.stats(),
      backends: [...this.#backends.values()].map((backend) => backend.state(this.now())),
      refused: { ...this.#refusedCounts },
    };
  }

  explain(requestId: string): RequestRecord | undefined {
    return this.#recorder.find(requestId);
  }

  async probe({ route, ...probe }: Probe): Promise<ProbeFailure[] | undefined> {
    const exposed = this.#routes.get(route)?.division?.exposed;
    if (!exposed) return undefined;
    const backends = exposed.balancer.targets.map(({ backend }) => backend);
    if (backends.length === 0 && !exposed.settings.redirect) {
      return [{ backend: "", url: "", message: "the new version has no backend that takes requests" }];
    }
    const { match, settings } = exposed;
    // What callers would send, where that is one name.
    const isTheirs = settings.request?.host !== "backend" && !match.host?.startsWith("*.");
    const how = { ...probe, host: isTheirs ? match.host : undefined, now: () => this.now() };
    const answers = backends.map((backend) => probeBackend(backend, how, this.#options.clock));
    return (await Promise.all(answers)).flatMap((failure) => failure ?? []);
  }

  recent(limit: number): RequestRecord[] {
    return this.#recorder.recent(limit);
  }
}
