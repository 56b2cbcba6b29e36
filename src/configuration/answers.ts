/**
 * What an instance is told in answer to what it says: what it should have, what it is asked to try, and when to say
 * something again. Instances with the same versions are told the same, which is put together once for each state of
 * their scope: nine of ten heartbeats find it there, and wait for nothing.
 */
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import { isLastExposed, originOf, type Unit, versionFor, type Wanted } from "./desired.ts";
import type { Desired } from "./instances.schema.ts";
import type { Content, Payloads } from "./payloads.ts";
import type { OpenTrial, ScopeName, ScopeState } from "./scopes.sql.ts";

export interface AnswersParts {
  clock: Clock;
  payloads: Payloads;
  heartbeatMs: number;
}

/** To whom it is said. */
export interface Asking extends Unit {
  readonly scope: ScopeName;
  /** By configuration: what it runs. */
  readonly running: ReadonlyMap<string, number | undefined>;
  /** Trials that it has answered. */
  readonly answered: ReadonlySet<string>;
}

export interface Answer {
  configs: readonly Desired[];
  trials: { id: string; config: string; version: number | null; hash: string }[];
  heartbeatSeconds: number;
}

/** A deployment goes on when the unit that tries its version first was heard of once more after that. */
const probedHeartbeatMs = 1_000;
const noTrials: Answer["trials"] = [];

export class Answers {
  readonly #parts: AnswersParts;
  /** By what each configuration comes to for the instance. */
  readonly #told = new WeakMap<ScopeState, Map<string, readonly Desired[]>>();

  constructor(parts: AnswersParts) {
    this.#parts = parts;
  }

  /** `changed`: the configurations of which it runs another version than before. */
  of(asking: Asking, state: ScopeState, changed: ReadonlySet<string>): Answer | Promise<Answer> {
    const { heartbeatMs } = this.#parts;
    const isProbed = changed.size > 0 && isLastToTry(asking, state, changed);
    const heartbeatSeconds = (isProbed ? Math.min(heartbeatMs, probedHeartbeatMs) : heartbeatMs) / 1_000;
    const configs = this.#configs(asking, state);
    if (!(configs instanceof Promise) && state.trials.length === 0)
      return { configs, trials: noTrials, heartbeatSeconds };
    return this.#patiently(asking, state, configs, heartbeatSeconds);
  }

  async #patiently(
    asking: Asking,
    state: ScopeState,
    configs: readonly Desired[] | Promise<readonly Desired[]>,
    heartbeatSeconds: number,
  ): Promise<Answer> {
    const now = this.#parts.clock.now();
    const trials: Answer["trials"] = [];
    for (const trial of state.trials) {
      const { id, config, version, instances, expiresAt } = trial;
      if (!instances.has(asking.id) || asking.answered.has(id) || expiresAt <= now) continue;
      const content = await had(this.#parts.payloads.tried(asking.scope.tenant, trial));
      if (content) trials.push({ id, config, version, hash: content.hash });
    }
    return { configs: await configs, trials, heartbeatSeconds };
  }

  #configs(asking: Asking, state: ScopeState): readonly Desired[] | Promise<readonly Desired[]> {
    const versions: (number | null | undefined)[] = [];
    for (const wanted of state.configs.values()) {
      const version = versionFor(wanted, asking);
      const isLeft = version === undefined && asking.running.get(wanted.config) !== undefined;
      versions.push(isLeft ? null : version);
    }
    const told = this.#told.get(state) ?? new Map<string, readonly Desired[]>();
    this.#told.set(state, told);
    const key = versions.join();
    return told.get(key) ?? this.#make(asking.scope.tenant, state, versions, key, told);
  }

  async #make(
    tenant: string,
    state: ScopeState,
    versions: readonly (number | null | undefined)[],
    key: string,
    told: Map<string, readonly Desired[]>,
  ): Promise<readonly Desired[]> {
    const configs: Desired[] = [];
    let isWhole = true;
    for (const [index, wanted] of [...state.configs.values()].entries()) {
      const version = versions[index];
      if (version === undefined) continue;
      const desired = await this.#desired(tenant, wanted, version);
      if (desired) configs.push(desired);
      else isWhole = false;
    }
    if (isWhole) told.set(key, configs);
    return configs;
  }

  /** Undefined of a document whose secrets cannot be had: the instance keeps what it has. */
  async #desired(tenant: string, wanted: Wanted, version: number | null): Promise<Desired | undefined> {
    const { config, revision } = wanted;
    if (version === null) return { config, version, hash: null, revision, deployment: null };
    const payload = await had(this.#parts.payloads.get(tenant, config, version));
    return payload && { config, version, hash: payload.hash, revision, ...originOf(wanted, version) };
  }
}

function isLastToTry(asking: Asking, { configs }: ScopeState, changed: ReadonlySet<string>): boolean {
  for (const config of changed) if (isLastExposed(configs.get(config)!, asking)) return true;
  return false;
}

/** An instance hears nothing of what it would not get; an operator sees the secret missing elsewhere. */
export function had<Found extends Content>(found: Promise<Found | undefined>): Promise<Found | undefined> {
  return found.catch((error) => {
    if (error instanceof HotSwapError && error.code === "secret_not_found") return undefined;
    throw error;
  });
}

/** Of those trials that ask this instance, the one that is meant. */
export function trialFor(
  { trials }: ScopeState,
  { id }: Pick<Unit, "id">,
  config: string,
  asked: { trial?: string | undefined; version?: number | undefined },
): OpenTrial | undefined {
  return trials.find(
    (one) =>
      one.config === config &&
      one.instances.has(id) &&
      (asked.trial === undefined ? one.version === asked.version : one.id === asked.trial),
  );
}
