/**
 * What this node serves and counts of routes under deployment, written to SQL, so that the engine on any node sees the
 * whole. Counts come from the data plane's workers as differences and are kept as totals since the split is served
 * here; a write puts the totals, so one that is done twice changes nothing, and a reader takes the difference to what
 * it saw last.
 *
 * Written once a second while there is something new, at once when a split changed here, and soon when requests of a
 * new version failed: how fast a bad version is taken back begins here. A node beats every two seconds, and one that
 * is silent for longer is not waited for.
 */
import type { Clock, Timer } from "../core/clock.ts";
import { UNIT_GROUPS } from "../core/cohort.ts";
import type { Service } from "../core/lifecycle.ts";
import type { Kv } from "../stores/kv/index.ts";
import type { Sql } from "../stores/sql/port.ts";
import { type CohortNumbers, type CohortReport, latencyBoundsSeconds } from "./proxy/stats.ts";
import type { GatewayTx } from "./revisions.sql.ts";
import type { HeldSplit } from "./snapshot-builder.ts";
import { deleteNode, deleteSilentNodes, touchNode, upsertSplitNodes } from "./splits.sql.ts";

export interface CohortCountsOptions {
  sql: Sql;
  kv: Kv;
  clock: Clock;
  /** Of this life of the process. */
  node: string;
  /** Whether this node has a data plane at all. */
  isServing(): boolean;
  problemOf(route: string): string | undefined;
  /** There is something new to observe of a deployment, from here or from another node. */
  onNews(deployment: string): void;
  onError(error: unknown): void;
}

interface Served {
  split: HeldSplit;
  totals: number[];
  isDirty: boolean;
}

const fields = 3 + latencyBoundsSeconds.length + 1;
const grouped = 2 * UNIT_GROUPS;
const refusals = 2 * (fields + 2 * grouped);
const none = (): number[] => new Array(refusals + 4 * UNIT_GROUPS).fill(0);

/**
 * Canary, then control; of each: requests, errors, refused, and the latencies. Behind them, where a node of an older
 * version says nothing, again canary, then control: of each the groups of callers, then those of backends. Behind these
 * the refusals by group, in the same order.
 */
export function flat(canary: CohortNumbers, control: CohortNumbers): number[] {
  const cohorts = [canary, control];
  const sums = cohorts.flatMap(({ requests, errors, refused, latency }) => [
    ...[requests, errors, refused],
    ...latency,
  ]);
  return [
    ...sums,
    ...cohorts.flatMap(({ callers, backends }) => [...callers, ...backends]),
    ...cohorts.flatMap(({ callersRefused, backendsRefused }) => [...callersRefused, ...backendsRefused]),
  ];
}

export function unflat(numbers: readonly number[]): { canary: CohortNumbers; control: CohortNumbers } {
  const at = (cohort: 0 | 1): CohortNumbers => {
    const slice = (from: number, length: number) => numbers.slice(from, from + length);
    const [requests = 0, errors = 0, refused = 0, ...latency] = slice(cohort * fields, fields);
    const groups = 2 * fields + cohort * 2 * grouped;
    const [callers, backends] = [slice(groups, grouped), slice(groups + grouped, grouped)];
    const others = refusals + cohort * 2 * UNIT_GROUPS;
    return {
      ...{ requests, errors, refused, latency, callers, backends },
      callersRefused: slice(others, UNIT_GROUPS),
      backendsRefused: slice(others + UNIT_GROUPS, UNIT_GROUPS),
    };
  };
  return { canary: at(0), control: at(1) };
}

/** How long a node may be silent. */
export const nodeTtlMs = 6_000;
const beatMs = 2_000;
const writeMs = 1_000;
/** Errors of one moment come in one write. */
const soonMs = 10;
const channel = "gateway/cohorts";

export class CohortCounts implements Service {
  readonly name = "gateway cohorts";
  readonly #options: CohortCountsOptions;
  readonly #served = new Map<string, Served>();
  #timer: Timer | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #beat: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();
  #unsubscribe: (() => Promise<void>) | undefined;
  #isFailing = false;
  #stopped = false;

  constructor(options: CohortCountsOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { kv, onError, onNews } = this.#options;
    this.#unsubscribe = await kv.subscribe(channel, onNews, { onResume: () => {} }).catch((error) => {
      onError(error); // the engine looks every second as it is
      return undefined;
    });
    if (this.#options.isServing()) await this.#beatOnce();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#beat?.cancel();
    await this.#writing;
    const { sql, node, isServing } = this.#options;
    await this.#unsubscribe?.().catch(() => {}); // the store may be away
    if (isServing()) await sql.system((tx: GatewayTx) => deleteNode(tx, node)).catch(() => {}); // it ends by itself
  }

  /** The data plane serves these splits now, and no others. */
  serve(splits: Iterable<HeldSplit>): void {
    if (!this.#options.isServing()) return;
    const gone = new Set(this.#served.keys());
    for (const split of splits) {
      gone.delete(split.route);
      const known = this.#served.get(split.route);
      if (known?.split === split) continue;
      const totals = known?.split.deployment === split.deployment ? known.totals : none();
      this.#served.set(split.route, { split, totals, isDirty: true });
      this.#writeIn(0);
    }
    for (const route of gone) this.#served.delete(route);
  }

  add(reports: readonly CohortReport[]): void {
    for (const { route, deployment, canary, control } of reports) {
      const served = this.#served.get(route);
      // The last requests of one that has ended.
      if (served?.split.deployment !== deployment) continue;
      const numbers = flat(canary, control);
      served.totals = served.totals.map((total, index) => total + numbers[index]!);
      served.isDirty = true;
      this.#writeIn(canary.errors > 0 ? soonMs : writeMs);
    }
  }

  #writeIn(delayMs: number): void {
    const { clock } = this.#options;
    const at = clock.monotonic() + delayMs;
    if (this.#stopped || at >= this.#dueAt) return;
    this.#dueAt = at;
    this.#timer?.cancel();
    this.#timer = clock.after(delayMs, () => {
      this.#dueAt = Number.POSITIVE_INFINITY;
      this.#writing = this.#writing.then(() => this.#write());
    });
  }

  async #write(): Promise<void> {
    const { sql, kv, node, problemOf, onNews, onError } = this.#options;
    const dirty = [...this.#served.values()].filter(({ isDirty }) => isDirty);
    if (dirty.length === 0) return;
    const rows = dirty.map(({ split: { tenant, route, deployment, generation }, totals }) => ({
      ...{ tenant_id: tenant, route, node, deployment, generation, totals: JSON.stringify(totals) },
      problem: problemOf(route) ?? null,
    }));
    for (const served of dirty) served.isDirty = false;
    try {
      await sql.system((tx: GatewayTx) => upsertSplitNodes(tx, rows));
      this.#isFailing = false;
    } catch (error) {
      for (const served of dirty) served.isDirty = true;
      if (!this.#isFailing) onError(error);
      this.#isFailing = true;
      this.#writeIn(writeMs);
      return;
    }
    for (const { split } of dirty) {
      // This node hears it too.
      await kv.publish(channel, split.deployment).catch(() => onNews(split.deployment));
    }
  }

  async #beatOnce(): Promise<void> {
    const { sql, node, clock } = this.#options;
    await sql
      .system(async (tx: GatewayTx) => {
        await touchNode(tx, node);
        await deleteSilentNodes(tx, 100 * nodeTtlMs);
      })
      .catch(() => {}); // /ready says how SQL is
    if (!this.#stopped) this.#beat = clock.after(beatMs, () => void this.#beatOnce());
  }
}
