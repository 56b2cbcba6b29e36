/**
 * A provider for OpenFeature's server SDK (1.x), which evaluates in this process: no request per evaluation, and
 * flags go on with the server gone, by what the watcher keeps.
 *
 *   const watcher = await hotswap.configuration({ …, validate: checkFlags, onChange: checkFlags });
 *   await OpenFeature.setProviderAndWait(new HotSwapProvider(watcher, { config: "flags" }));
 */
import type {
  ErrorCode,
  EvaluationContext,
  JsonValue,
  Provider,
  ResolutionDetails,
  ServerProviderEvents,
} from "@openfeature/server-sdk";
import type { ConfigurationWatcher } from "./configuration.ts";
import type { ConfigDocument } from "./configuration-state.ts";
import { FlagSet } from "./flags/flags.ts";
import { wallMs } from "./time.ts";

export interface HotSwapProviderOptions {
  /** The configuration that holds the flags, in flagd's format. */
  config: string;
}

/** Throws what is wrong with a document of flags, for `onChange` and `validate`. */
export function checkFlags({ value }: Pick<ConfigDocument, "value">): void {
  const [fault] = FlagSet.parse(value).faults;
  if (fault !== undefined) throw new TypeError(fault);
}

type Events = NonNullable<Provider["events"]>;
type Handler = (details?: never) => unknown;

export class HotSwapProvider implements Provider {
  readonly metadata = { name: "HotSwap" };
  readonly runsOn = "server";
  readonly events: Events;
  readonly #watcher: ConfigurationWatcher;
  readonly #config: string;
  readonly #emitter = new Emitter();
  #flags: FlagSet | undefined;
  #unsubscribe = () => {};

  constructor(watcher: ConfigurationWatcher, { config }: HotSwapProviderOptions) {
    this.#watcher = watcher;
    this.#config = config;
    this.events = this.#emitter as unknown as Events;
  }

  async initialize(): Promise<void> {
    this.#unsubscribe = this.#watcher.subscribe((config) => {
      if (config === this.#config) this.#changed();
    });
    this.#flags = this.#read();
    if (!this.#flags) throw new Error(`the configuration ${this.#config} has no version for this instance`);
  }

  async onClose(): Promise<void> {
    this.#unsubscribe();
  }

  resolveBooleanEvaluation(key: string, otherwise: boolean, context: EvaluationContext) {
    return this.#resolve(key, otherwise, context, (value) => typeof value === "boolean");
  }

  resolveStringEvaluation(key: string, otherwise: string, context: EvaluationContext) {
    return this.#resolve(key, otherwise, context, (value) => typeof value === "string");
  }

  resolveNumberEvaluation(key: string, otherwise: number, context: EvaluationContext) {
    return this.#resolve(key, otherwise, context, (value) => typeof value === "number");
  }

  resolveObjectEvaluation<T extends JsonValue>(key: string, otherwise: T, context: EvaluationContext) {
    return this.#resolve(key, otherwise, context, (value) => typeof value === "object" && value !== null);
  }

  async #resolve<T>(
    key: string,
    otherwise: T,
    context: EvaluationContext,
    fits: (value: unknown) => boolean,
  ): Promise<ResolutionDetails<T>> {
    const fail = (code: string, errorMessage: string): ResolutionDetails<T> => {
      return { value: otherwise, reason: "ERROR", errorCode: code as ErrorCode, errorMessage };
    };
    if (!this.#flags) return fail("PROVIDER_NOT_READY", "there are no flags yet");
    const found = this.#flags.evaluate(key, context, wallMs());
    if ("errorCode" in found) return fail(found.errorCode, found.errorMessage);
    const { value, variant, reason, metadata: flagMetadata } = found;
    if (value === undefined) return { value: otherwise, reason, flagMetadata };
    if (!fits(value)) return fail("TYPE_MISMATCH", `the value of ${key} is of another type`);
    return { value: value as T, reason, flagMetadata, ...(variant !== undefined && { variant }) };
  }

  #read(): FlagSet | undefined {
    const value = this.#watcher.get(this.#config);
    return value === undefined ? undefined : FlagSet.parse(value);
  }

  #changed(): void {
    const before = this.#flags?.keys ?? [];
    try {
      this.#flags = this.#read();
    } catch (error) {
      this.#emitter.emit("PROVIDER_ERROR", { message: String(error) });
      return;
    }
    const flagsChanged = [...new Set([...before, ...(this.#flags?.keys ?? [])])];
    this.#emitter.emit("PROVIDER_CONFIGURATION_CHANGED", { flagsChanged });
  }
}

/** As much of the SDK's emitter as it asks of a provider; its own would be a dependency at run time. */
class Emitter {
  readonly #handlers = new Map<string, Set<Handler>>();

  emit(event: `${ServerProviderEvents}`, details: object): void {
    for (const handler of this.#handlers.get(event) ?? []) handler(details as never);
  }

  addHandler(event: string, handler: Handler): void {
    const known = this.#handlers.get(event) ?? new Set();
    this.#handlers.set(event, known.add(handler));
  }

  removeHandler(event: string, handler: Handler): void {
    this.#handlers.get(event)?.delete(handler);
  }

  removeAllHandlers(event?: string): void {
    if (event === undefined) this.#handlers.clear();
    else this.#handlers.delete(event);
  }

  getHandlers(event: string): Handler[] {
    return [...(this.#handlers.get(event) ?? [])];
  }

  setLogger(): this {
    return this;
  }
}
