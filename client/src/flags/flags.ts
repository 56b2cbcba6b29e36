/**
 * Feature flags in flagd's format (flagd.dev/schema/v0/flags.json), evaluated in this process: `flags` with state,
 * variants, a default and targeting in JSON Logic; `$evaluators`, shared rules that `{"$ref": "name"}` stands for.
 * Pure but for the time, which rules may ask for.
 */
import { JsonLogic, LogicError } from "./json-logic.ts";
import { flagOperators } from "./operators.ts";

export type FlagErrorCode = "FLAG_NOT_FOUND" | "PARSE_ERROR" | "GENERAL";

/** What a rule says of somebody; a value that is undefined means: the default that the caller has. */
export type Evaluation =
  | {
      readonly value: unknown;
      readonly variant: string | undefined;
      readonly reason: "STATIC" | "DEFAULT" | "TARGETING_MATCH" | "DISABLED";
      readonly metadata: FlagMetadata;
    }
  | {
      readonly errorCode: FlagErrorCode;
      readonly errorMessage: string;
      readonly reason: "ERROR";
      readonly metadata: FlagMetadata;
    };

export type FlagMetadata = Readonly<Record<string, string | number | boolean>>;
export type FlagContext = Readonly<Record<string, unknown>>;

interface Flag {
  readonly enabled: boolean;
  readonly variants: ReadonlyMap<string, unknown>;
  readonly defaultVariant: string | undefined;
  readonly targeting: unknown;
  readonly metadata: FlagMetadata;
  /** Why it cannot be evaluated. */
  readonly fault?: string;
}

const logic = new JsonLogic(flagOperators);
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A document of flags that has been read; immutable. */
export class FlagSet {
  readonly #flags: ReadonlyMap<string, Flag>;

  private constructor(flags: ReadonlyMap<string, Flag>) {
    this.#flags = flags;
  }

  /** Throws a TypeError, which says where, when it is no document of flags. */
  static parse(document: unknown): FlagSet {
    if (!isObject(document) || !isObject(document.flags)) throw new TypeError("/flags must be an object");
    const shared = isObject(document.$evaluators) ? document.$evaluators : {};
    const common = metadataOf(document.metadata);
    const flags = Object.entries(document.flags).map(([key, flag]): [string, Flag] => {
      return [key, parseFlag(`/flags/${key}`, flag, shared, common)];
    });
    return new FlagSet(new Map(flags));
  }

  get keys(): string[] {
    return [...this.#flags.keys()];
  }

  /** What is wrong with flags that could be read and cannot be evaluated. */
  get faults(): string[] {
    return [...this.#flags].flatMap(([key, { fault }]) =>
      fault === undefined ? [] : [`/flags/${key}: ${fault}`],
    );
  }

  evaluate(key: string, context: FlagContext, nowMs: number): Evaluation {
    const flag = this.#flags.get(key);
    if (!flag) return failed("FLAG_NOT_FOUND", `there is no flag ${key}`);
    const { metadata, targeting, defaultVariant } = flag;
    if (!flag.enabled) return { value: undefined, variant: undefined, reason: "DISABLED", metadata };
    if (flag.fault !== undefined) return failed("PARSE_ERROR", flag.fault, metadata);
    if (!isObject(targeting) || Object.keys(targeting).length === 0)
      return chosen(flag, defaultVariant, "STATIC");
    try {
      const $flagd = { flagKey: key, timestamp: Math.floor(nowMs / 1_000) };
      const result = logic.evaluate(targeting, { ...context, $flagd });
      if (result === null || result === undefined) return chosen(flag, defaultVariant, "DEFAULT");
      const variant = typeof result === "boolean" ? String(result) : result;
      if (typeof variant === "string" && flag.variants.has(variant))
        return chosen(flag, variant, "TARGETING_MATCH");
      return failed("GENERAL", `the rule chose ${JSON.stringify(result)}, which is no variant`, metadata);
    } catch (error) {
      if (!(error instanceof LogicError)) throw error;
      return failed("PARSE_ERROR", error.message, metadata);
    }
  }
}

function chosen(
  { variants, metadata }: Flag,
  variant: string | undefined,
  reason: "STATIC" | "DEFAULT" | "TARGETING_MATCH",
): Evaluation {
  // Without a default variant the caller's own default counts, whatever led here.
  if (variant === undefined) return { value: undefined, variant, reason: "DEFAULT", metadata };
  return { value: variants.get(variant), variant, reason, metadata };
}

function failed(errorCode: FlagErrorCode, errorMessage: string, metadata: FlagMetadata = {}): Evaluation {
  return { errorCode, errorMessage, reason: "ERROR", metadata };
}

function parseFlag(
  where: string,
  flag: unknown,
  shared: Record<string, unknown>,
  common: FlagMetadata,
): Flag {
  if (!isObject(flag)) throw new TypeError(`${where} must be an object`);
  const { state, variants, defaultVariant = null, targeting } = flag;
  if (state !== "ENABLED" && state !== "DISABLED")
    throw new TypeError(`${where}/state must be ENABLED or DISABLED`);
  if (!isObject(variants) || Object.keys(variants).length === 0) {
    throw new TypeError(`${where}/variants must be an object with one variant at least`);
  }
  if (
    defaultVariant !== null &&
    (typeof defaultVariant !== "string" || !Object.hasOwn(variants, defaultVariant))
  ) {
    throw new TypeError(`${where}/defaultVariant must name one of the variants`);
  }
  const rest = {
    enabled: state === "ENABLED",
    variants: new Map(Object.entries(variants)),
    defaultVariant: defaultVariant ?? undefined,
    metadata: { ...common, ...metadataOf(flag.metadata) },
  };
  try {
    return { ...rest, targeting: resolved(targeting, shared, 0) };
  } catch (error) {
    if (!(error instanceof LogicError)) throw error;
    return { ...rest, targeting: undefined, fault: error.message };
  }
}

const depthMax = 64;

/** The rule with shared ones in the places of their references. */
function resolved(rule: unknown, shared: Record<string, unknown>, depth: number): unknown {
  if (depth > depthMax)
    throw new LogicError("rules refer to one another in a circle, or are nested too deeply");
  if (Array.isArray(rule)) return rule.map((item) => resolved(item, shared, depth + 1));
  if (!isObject(rule)) return rule;
  if (Object.hasOwn(rule, "$ref")) {
    const name = String(rule.$ref);
    if (!Object.hasOwn(shared, name)) throw new LogicError(`there is no evaluator ${name}`);
    return resolved(shared[name], shared, depth + 1);
  }
  return Object.fromEntries(
    Object.entries(rule).map(([name, inner]) => [name, resolved(inner, shared, depth + 1)]),
  );
}

function metadataOf(value: unknown): FlagMetadata {
  const entries = isObject(value) ? Object.entries(value) : [];
  const kept = entries.filter(([, item]) => ["string", "number", "boolean"].includes(typeof item));
  return Object.fromEntries(kept) as FlagMetadata;
}
