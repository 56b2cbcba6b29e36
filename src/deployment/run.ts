/**
 * One deployment in the hands of one engine: load, observe, judge, decide, write, act, and look again. Whatever is
 * decided is written before it is done, and what is done can be done again, so an end at any line is made good by
 * whoever holds the deployment next. Nothing in here is remembered over a look but how often the target failed.
 */
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import type { Random } from "../core/random.ts";
import { formatTraceparent, type Metrics } from "../platform/telemetry/index.ts";
import { type Decision, decide, type Effect, type Gates } from "./decide.ts";
import type { Verdict } from "./judge/judge.ts";
import { judge, type Look, verdictNow, withVerdict } from "./judging.ts";
import { planOf } from "./plan.ts";
import { countEvents } from "./records.ts";
import { contextOf, recordEnds, type Tracer } from "./spans.ts";
import { isEnded, type State } from "./state.ts";
import { type Beside, type DeploymentStore, MovedOn, TargetTaken, type Written } from "./store.ts";
import type { DeploymentRow, Progress, Trouble } from "./tables.ts";
import type { Assignment, Kind, Observation, Target, TargetRef } from "./target.ts";

export interface RunParts {
  store: DeploymentStore;
  clock: Clock;
  random: Random;
  traces: Tracer;
  metrics: Metrics;
  targetOf(kind: Kind): Target | undefined;
  /** Something that others can see has changed. */
  onChange(row: DeploymentRow): void;
  onError(error: unknown): void;
}

/** Milliseconds until the next look; "gone" when there is nothing left to do here. */
export type Next = number | "gone";

const IDLE_MS = 1_000;
const BACKOFF_MIN_MS = 250;
const BACKOFF_MAX_MS = 15_000;

interface Seen {
  readonly observed: Observation | undefined;
  readonly looks: readonly Look[];
  readonly judging: DeploymentRow["judge"];
  readonly verdict: Verdict | undefined;
}

const NOTHING_SEEN: Seen = { observed: undefined, looks: [], judging: null, verdict: undefined };

export class Run {
  readonly id: string;
  readonly tenant: string;
  readonly kind: Kind;
  readonly strategy: string;
  readonly #parts: RunParts;
  /** As it was claimed. */
  readonly #row: DeploymentRow;
  #failure: { attempts: number; since: number; message: string } | undefined;

  constructor(parts: RunParts, row: DeploymentRow) {
    this.#parts = parts;
    this.#row = row;
    ({ id: this.id, tenant_id: this.tenant, kind: this.kind, strategy: this.strategy } = row);
    const { trouble } = row;
    if (trouble) this.#failure = { ...trouble };
  }

  /** Never rejects for what the target or a store does: that is tried again. */
  async look(): Promise<Next> {
    const attempts = this.#failure?.attempts ?? 0;
    try {
      const next = await this.#look();
      if (this.#failure?.attempts === attempts) this.#failure = undefined;
      if (next === "gone") return next;
      return this.#failure ? Math.max(next, this.#backoff()) : next;
    } catch (error) {
      if (error instanceof MovedOn) return 0;
      if (error instanceof TargetTaken) return IDLE_MS; // another one was first
      this.#fail(error);
      return this.#backoff();
    }
  }

  async #look(): Promise<Next> {
    const { store } = this.#parts;
    const loaded = await store.load(this.#row);
    if (!loaded) return "gone";
    const { row, gates, now } = loaded;
    if (row.freeze_override?.isGiven === false && (await store.breakGlass(row))) return 0;
    const target = this.#parts.targetOf(row.kind);
    if (!target) throw new HotSwapError("deployment_kind_unknown", `Nothing here deploys a ${row.kind}.`);
    const isPending = row.state.startedAt === undefined;
    const isLooking = !isPending || isOpen(gates, row.state);
    const seen = isLooking ? await this.#see(target, row, now) : NOTHING_SEEN;
    const { spec, state } = row;
    const { observed, verdict } = seen;
    const decision = decide(state, {
      ...{ now, gates, observed, verdict },
      rules: {
        failureBudget: spec.failureBudget,
        minFailures: spec.analysis.minFailures,
        onInsufficient: spec.analysis.onInsufficient,
        onInconclusive: spec.analysis.onInconclusive,
      },
      plan:
        isPending && observed
          ? planOf(spec.strategy, { kind: spec.inventory, units: observed.units })
          : undefined,
    });
    const beside = this.#beside(row, seen, now);
    const isNew = decision.events.length > 0 || Object.keys(beside).length > 0;
    const after = isNew
      ? this.#written(row, await store.save(loaded, decision.events, beside, seen.looks), observed)
      : row;
    if (decision.effect) await this.#act(target, after, decision.effect);
    if (isEnded(after.state)) return "gone";
    return delayOf(decision, now);
  }

  /** What the target says, and the judge of it. A target that fails is told of, and looked at again later. */
  async #see(target: Target, row: DeploymentRow, now: number): Promise<Seen> {
    const observed = await this.#observe(target, row);
    // Before the first exposure the target still speaks of the deployment before.
    const isJudged = row.state.generation > 0 && !row.state.rollback;
    if (!isJudged) return { ...NOTHING_SEEN, observed, judging: row.judge };
    const { traces } = this.#parts;
    const samples = observed?.samples ?? [];
    const judged = () => judge(row, row.judge ?? undefined, samples, now);
    const parent = contextOf(row);
    const isTraced = parent && samples.length > 0;
    const { judging, looks } = isTraced ? traces.span("deployment judge", { parent }, judged) : judged();
    const isMeasured = row.state.bound > 0 && judging.number > 0;
    const verdict = isMeasured ? verdictNow(row, judging, now) : undefined;
    return { observed, judging, looks, verdict };
  }

  async #observe(target: Target, row: DeploymentRow): Promise<Observation | undefined> {
    try {
      return await target.observe(refOf(row), assignmentOf(row), row.cursor ?? undefined);
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  #beside(row: DeploymentRow, { observed, looks, judging, verdict }: Seen, now: number): Beside {
    const trouble = this.#failure ?? null;
    const progress = observed && progressOf(observed, now);
    const isMoved = progress && !isSameProgress(progress, row.progress);
    const { step } = row.state;
    return {
      ...(isMoved && { progress }),
      ...(looks.length > 0 && { judge: judging, cursor: observed?.cursor }),
      ...(looks.length === 0 &&
        row.judge === null &&
        judging && { judge: judging, cursor: observed?.cursor }),
      ...(looks.length > 0 &&
        verdict && { verdicts: withVerdict(row.verdicts, { ...verdict, at: now, step }) }),
      ...(troubleText(trouble) !== troubleText(row.trouble) && { trouble }),
    };
  }

  #written(before: DeploymentRow, { row, events, now }: Written, observed?: Observation): DeploymentRow {
    countEvents(this.#parts.metrics, before, events, row.state);
    recordEnds(this.#parts.traces, before, events, { state: row.state, observed, now });
    this.#parts.onChange(row);
    return row;
  }

  #act(target: Target, row: DeploymentRow, effect: Effect): Promise<void> {
    const parent = contextOf(row);
    const act = () => this.#effect(target, row, effect);
    return parent ? this.#parts.traces.span(`deployment ${effect.type}`, { parent }, act) : act();
  }

  async #effect(target: Target, row: DeploymentRow, effect: Effect): Promise<void> {
    const ref = refOf(row);
    switch (effect.type) {
      case "expose":
        return this.#expose(target, row, effect.wanted);
      case "apply":
        return target.apply(ref, assignmentOf(row));
      case "smoke": {
        const step = row.state.plan[row.state.step];
        const smoke = step?.kind === "smoke" ? step.smoke : undefined;
        const failures = smoke && target.smoke ? await target.smoke(ref, assignmentOf(row), smoke) : [];
        this.#written(row, await this.#parts.store.append(row, [{ type: "smoked", failures }]));
        return;
      }
      case "settle":
        return this.#settle(target, row, effect.version);
    }
  }

  async #expose(
    target: Target,
    row: DeploymentRow,
    wanted: { share: number } | { count: number },
  ): Promise<void> {
    const { spec, state } = row;
    // The way back asks nobody: the target may be the very thing that is broken.
    const bound = state.rollback ? 0 : await target.boundOf(refOf(row), spec.seed, wanted, state.bound);
    const exposed = this.#written(row, await this.#parts.store.expose(row, bound));
    await target.apply(refOf(row), assignmentOf(exposed));
  }

  async #settle(target: Target, row: DeploymentRow, version: "from" | "to"): Promise<void> {
    await target.settle(refOf(row), assignmentOf(row), version);
    this.#written(row, await this.#parts.store.end(row, version));
  }

  #fail(error: unknown): void {
    const { clock, onError } = this.#parts;
    const message =
      error instanceof HotSwapError ? error.message : "It failed unexpectedly; the log says how.";
    if (!this.#failure || this.#failure.message !== message) onError(error);
    const attempts = (this.#failure?.attempts ?? 0) + 1;
    this.#failure = { attempts, message, since: this.#failure?.since ?? clock.now() };
    this.#parts.metrics.counter("deployment_target_failures_total").labels({ kind: this.kind }).inc();
  }

  /** Spread, so that many deployments of one target do not come back all at once. */
  #backoff(): number {
    const { attempts } = this.#failure ?? { attempts: 1 };
    const delayMs = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(attempts - 1, 10));
    return delayMs * (0.75 + 0.5 * this.#parts.random.number());
  }
}

function delayOf({ events, effect, wakeAt }: Decision, now: number): number {
  if (wakeAt !== undefined) return Math.max(0, wakeAt - now);
  return events.length > 0 || effect ? 0 : IDLE_MS;
}

/** Nothing but the plan is missing for the start. */
function isOpen({ approval, schedule, freeze, queue, dependency, group }: Gates, { holds }: State): boolean {
  const isPaused = holds.some(({ reason }) => reason === "manual");
  const isFree = schedule === undefined && freeze === undefined && queue === undefined;
  return (
    !isPaused && isFree && approval === "given" && dependency.state === "met" && group.state !== "failed"
  );
}

export const refOf = ({ tenant_id: tenant, kind, target: name }: DeploymentRow): TargetRef => ({
  tenant,
  kind,
  name,
});

export function assignmentOf(row: DeploymentRow): Assignment {
  const { id, spec, state, version_from, version_to } = row;
  const { bound, generation } = state;
  const trace = contextOf(row);
  return {
    seed: spec.seed,
    bound,
    from: version_from ?? undefined,
    to: version_to,
    generation,
    deployment: id,
    traceparent: trace && formatTraceparent(trace),
  };
}

function progressOf(observed: Observation, at: number): Progress {
  const { samples: _, cursor: __, unproven: ___, taken: ____, failures, ...seen } = observed;
  return { ...seen, failures: failures.slice(0, 100), at };
}

function isSameProgress(one: Progress, other: Progress | null): boolean {
  return other !== null && JSON.stringify({ ...one, at: 0 }) === JSON.stringify({ ...other, at: 0 });
}

/** Attempts alone are not worth a write. */
const troubleText = (trouble: Trouble | null) => trouble?.message;
