/**
 * Tells instances what they should have. Each scope (a service in an environment) has one immutable state, read from
 * SQL when its revision has changed; who listens is a set of connections in this process. What is said of a version
 * is serialised once, and the same bytes go to everybody.
 *
 * The truth is the revision in SQL: a notice through the key-value store, and a change made on this node, only make the
 * look come sooner. An instance is told by comparing what it was told with what it should have, so nothing is lost by
 * a notice that is lost, and nothing is said twice.
 */
import type { Clock, Timer } from "../core/clock.ts";
import type { Service } from "../core/lifecycle.ts";
import type { Kv } from "../stores/kv/index.ts";
import type { Sql } from "../stores/sql/port.ts";
import type { DeliveryTx } from "./delivery.tables.ts";
import { originOf, type Unit, versionFor, type Wanted } from "./desired.ts";
import { configNotice, type Notice, trialNotice } from "./events.ts";
import type { Content, Payload, Payloads } from "./payloads.ts";
import {
  loadScope,
  type OpenTrial,
  type ScopeName,
  type ScopeState,
  scopeKey,
  selectRevisions,
} from "./scopes.sql.ts";

/** An instance that listens on this node. */
export interface Listener extends Unit {
  /** By configuration: what it was told; null is "none". */
  readonly told: Map<string, number | null>;
  /** Never throws; a reader that is too slow is ended, and comes back for what it missed. */
  send(notice: Notice): void;
  readonly isOpen: boolean;
}

/** Is shown each state of a scope; never throws. */
export type Watcher = (state: ScopeState) => void;

export interface HubOptions {
  sql: Sql;
  kv: Kv;
  clock: Clock;
  payloads: Payloads;
  pollMs: number;
  /** A document up to this size is part of the event; a larger one is fetched. */
  inlineBytes: number;
  /** A version was told to so many instances just now. */
  onTold(scope: ScopeName, config: string, version: number, count: number): void;
  onError(error: unknown): void;
}

interface Scope {
  readonly name: ScopeName;
  readonly listeners: Set<Listener>;
  readonly watchers: Set<Watcher>;
  state: ScopeState | undefined;
  running: Promise<void>;
  next: Promise<void> | undefined;
  /** Monotonic; of the last look by a heartbeat or a listener. */
  usedAt: number;
}

const channel = "configuration/changed";
const sliceSize = 500;
/** A scope that nobody listens to and nobody asks for is given up after this. */
const idleMs = 300_000;

export class Hub implements Service {
  readonly name = "configuration hub";
  readonly #options: HubOptions;
  readonly #scopes = new Map<string, Scope>();
  #timer: Timer | undefined;
  #unsubscribe: (() => Promise<void>) | undefined;
  #stopped = false;
  /** Of how many at once listeners are being told something. */
  #telling = 0;

  constructor(options: HubOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { kv, onError } = this.#options;
    const hear = (key: string) => {
      const scope = this.#scopes.get(key);
      if (scope) this.#refresh(scope).catch(onError);
    };
    const onResume = () => void this.#poll();
    this.#unsubscribe = await kv.subscribe(channel, hear, { onResume }).catch((error) => {
      onError(error); // the poll goes on without it
      return undefined;
    });
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#unsubscribe?.().catch(() => {}); // the store may be away
    await Promise.allSettled([...this.#scopes.values()].map(({ running }) => running));
  }

  /** Whether listeners are being told something just now, and not all of them have been. */
  get isTelling(): boolean {
    return this.#telling > 0;
  }

  /** What is known of the scope already. */
  known(name: ScopeName): ScopeState | undefined {
    return this.#scope(name).state;
  }

  /** What is known of the scope, read when nobody has asked for it before, or when it is older than `revision`. */
  async state(name: ScopeName, revision = 0): Promise<ScopeState> {
    const scope = this.#scope(name);
    if (!scope.state || scope.state.revision < revision) await this.#refresh(scope);
    return scope.state!;
  }

  /** From now on the watcher is shown each state; returns the function that ends it. */
  watch(name: ScopeName, watcher: Watcher): () => void {
    const { watchers } = this.#scope(name);
    watchers.add(watcher);
    return () => void watchers.delete(watcher);
  }

  /** To be called when a change has been committed: resolves when everybody here has been told. */
  async changed(name: ScopeName): Promise<void> {
    const { kv, onError } = this.#options;
    const key = scopeKey(name);
    const told = kv.publish(channel, key).catch(onError);
    const scope = this.#scopes.get(key);
    if (scope) await this.#refresh(scope).catch(onError);
    await told;
  }

  /**
   * From now on the listener hears of changes; before, of everything that changed after revision `since`. Resolves
   * when that is said.
   */
  async add(name: ScopeName, listener: Listener, since: number): Promise<void> {
    const scope = this.#scope(name);
    for (;;) {
      if (!scope.state) await this.#refresh(scope);
      const state = scope.state!;
      const events = await this.#eventsFor(name, state, listener, since);
      if (scope.state !== state) continue;
      if (!listener.isOpen) return;
      for (const { told, event } of events) {
        if (told) listener.told.set(...told);
        if (event) listener.send(event);
      }
      scope.listeners.add(listener);
      return;
    }
  }

  remove(name: ScopeName, listener: Listener): void {
    this.#scopes.get(scopeKey(name))?.listeners.delete(listener);
  }

  #scope(name: ScopeName): Scope {
    const key = scopeKey(name);
    const now = this.#options.clock.monotonic();
    const known = this.#scopes.get(key);
    if (known) {
      known.usedAt = now;
      return known;
    }
    const scope: Scope = {
      ...{ name, listeners: new Set(), watchers: new Set(), usedAt: now },
      ...{ state: undefined, running: Promise.resolve(), next: undefined },
    };
    this.#scopes.set(key, scope);
    return scope;
  }

  /** One after the other; who asks during one waits for the next. */
  #refresh(scope: Scope): Promise<void> {
    scope.next ??= scope.running
      .catch(() => {}) // told to whoever asked for that one
      .then(() => {
        scope.next = undefined;
        scope.running = this.#load(scope);
        return scope.running;
      });
    return scope.next;
  }

  async #load(scope: Scope): Promise<void> {
    const { sql, clock, payloads } = this.#options;
    const { name } = scope;
    const now = new Date(clock.now());
    const state = await sql.tenant(name.tenant, (tx: DeliveryTx) => loadScope(tx, name, now));
    const before = scope.state;
    for (const config of before?.configs.keys() ?? []) {
      if (!state.configs.has(config)) payloads.forget(name.tenant, config);
    }
    scope.state = state;
    for (const watcher of scope.watchers) watcher(state);
    if (scope.listeners.size === 0) return;
    for (const wanted of state.configs.values()) await this.#tell(scope, wanted);
    for (const config of before?.configs.keys() ?? []) {
      if (!state.configs.has(config)) await this.#tellGone(scope, config, state.revision);
    }
    const known = new Set(before?.trials.map(({ id }) => id));
    for (const trial of state.trials) if (!known.has(trial.id)) await this.#tellTrial(scope, trial);
  }

  async #tell(scope: Scope, wanted: Wanted): Promise<void> {
    const { config } = wanted;
    const byVersion = new Map<number | null, Listener[]>();
    for (const listener of scope.listeners) {
      const version = versionFor(wanted, listener) ?? null;
      if ((listener.told.get(config) ?? null) === version) continue;
      const group = byVersion.get(version);
      if (group) group.push(listener);
      else byVersion.set(version, [listener]);
    }
    for (const [version, listeners] of byVersion) {
      const event = await this.#event(scope.name, wanted, version);
      if (!event) continue;
      await this.#send(listeners, event, (listener) => listener.told.set(config, version));
      if (version !== null) this.#options.onTold(scope.name, config, version, listeners.length);
    }
  }

  async #tellGone(scope: Scope, config: string, revision: number): Promise<void> {
    const event = configNotice({ config, revision }, undefined, 0);
    await this.#send([...scope.listeners], event, (listener) => listener.told.delete(config));
  }

  async #tellTrial({ name, listeners }: Scope, trial: OpenTrial): Promise<void> {
    const content = await this.#tried(name.tenant, trial);
    if (!content) return;
    const asked = [...listeners].filter(({ id }) => trial.instances.has(id));
    await this.#send(asked, trialNotice(trial, content, this.#options.inlineBytes), () => {});
  }

  /** In slices, so that requests are answered in between. */
  async #send(
    listeners: readonly Listener[],
    event: Notice,
    note: (listener: Listener) => void,
  ): Promise<void> {
    this.#telling++;
    try {
      for (let start = 0; start < listeners.length; start += sliceSize) {
        if (start > 0) await new Promise<void>((resolve) => void setImmediate(resolve));
        for (const listener of listeners.slice(start, start + sliceSize)) {
          if (!listener.isOpen) continue;
          note(listener);
          listener.send(event);
        }
      }
    } finally {
      this.#telling--;
    }
  }

  async #eventsFor(name: ScopeName, state: ScopeState, listener: Listener, since: number) {
    const events: { told?: [config: string, version: number | null]; event: Notice | undefined }[] = [];
    const inOrder = [...state.configs.values()].sort((a, b) => a.revision - b.revision);
    for (const wanted of inOrder) {
      const version = versionFor(wanted, listener) ?? null;
      const isNew = wanted.revision > since || since === 0;
      if (version === null && since === 0) continue;
      const event = isNew ? await this.#event(name, wanted, version) : undefined;
      if (isNew && !event) continue;
      events.push({ told: [wanted.config, version], event });
    }
    for (const trial of state.trials) {
      if (!trial.instances.has(listener.id)) continue;
      const content = await this.#tried(name.tenant, trial);
      if (content) events.push({ event: trialNotice(trial, content, this.#options.inlineBytes) });
    }
    return events;
  }

  async #event(name: ScopeName, wanted: Wanted, version: number | null): Promise<Notice | undefined> {
    if (version === null) return configNotice(wanted, undefined, 0);
    const payload = await this.#payload(name.tenant, wanted.config, version);
    const about = { ...wanted, ...originOf(wanted, version) };
    return payload && configNotice(about, payload, this.#options.inlineBytes);
  }

  #payload(tenant: string, config: string, version: number): Promise<Payload | undefined> {
    return this.#had(this.#options.payloads.get(tenant, config, version), `version ${version} of ${config}`);
  }

  #tried(tenant: string, trial: OpenTrial): Promise<Content | undefined> {
    return this.#had(this.#options.payloads.tried(tenant, trial), `what trial ${trial.id} is of`);
  }

  /** Undefined, and reported, when it cannot be had: the instance keeps what it has, and is asked again later. */
  async #had<Found extends Content>(
    found: Promise<Found | undefined>,
    what: string,
  ): Promise<Found | undefined> {
    try {
      const content = await found;
      if (!content) throw new Error(`${what} is wanted and not there`);
      return content;
    } catch (error) {
      this.#options.onError(error);
      return undefined;
    }
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#timer = this.#options.clock.after(this.#options.pollMs, () => {
      void this.#poll().finally(() => this.#arm());
    });
  }

  async #poll(): Promise<void> {
    const { sql, clock, onError } = this.#options;
    try {
      const now = clock.monotonic();
      for (const [key, { listeners, watchers, usedAt }] of this.#scopes) {
        const isHeard = listeners.size + watchers.size > 0;
        if (!isHeard && now - usedAt > idleMs) this.#scopes.delete(key);
      }
      const names = [...this.#scopes.values()].map(({ name }) => name);
      if (names.length === 0) return;
      const rows = await sql.system((tx: DeliveryTx) => selectRevisions(tx, names));
      for (const row of rows) {
        const scope = this.#scopes.get(scopeKey(row));
        if (scope?.state && scope.state.revision !== row.revision) await this.#refresh(scope);
      }
    } catch (error) {
      onError(error);
    }
  }
}
