/**
 * What a deployment is judged by: the `analysis` object of the API. Every field has a default, chosen so that a
 * deployment that says nothing is neither rolled back by chance nor held for ever.
 *
 * No data is not a failure. `onInsufficient` defaults to "pass": a target whose units report no counts, or that nobody
 * calls at night, is guarded by its failed units alone, and to hold each of its deployments would teach people to
 * promote without looking. `onInconclusive` defaults to "hold": there was enough traffic, and it could not be shown
 * that the new version is as good; a person decides then. AWS AppConfig rolls back in both cases.
 */
import { type Static, Type } from "typebox";

const strict = { additionalProperties: false } as const;

const undecided = (fallback: "hold" | "pass", description: string) =>
  Type.Optional(Type.Enum(["hold", "rollback", "pass"], { default: fallback, description }));
const fraction = (fallback: number, description: string) =>
  Type.Optional(Type.Number({ minimum: 0, maximum: 1, default: fallback, description }));

export const quantiles = ["p50", "p95", "p99"] as const;
export type Quantile = (typeof quantiles)[number];

const custom = Type.Object(
  {
    higherIs: Type.Enum(["worse", "better"]),
    weight: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 100,
        description: "Its part of the allowed false rollbacks; default 1, errors and latency have 2 each.",
      }),
    ),
  },
  strict,
);

export const analysis = Type.Object(
  {
    minRequests: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1e9,
        default: 200,
        description: "Of either version, until the judge says pass, or holds one window against a limit.",
      }),
    ),
    warmUpSeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 86_400,
        default: 10,
        description: "In which slow requests do not count, and the baseline of latency is taken. Errors do.",
      }),
    ),
    falseRollbackRate: Type.Optional(
      Type.Number({
        minimum: 1e-6,
        maximum: 0.2,
        default: 0.01,
        description:
          "How often a version that is no worse may be rolled back by the comparison; all metrics together.",
      }),
    ),
    tolerance: fraction(
      0.05,
      "How much higher the odds of an error or a slow request may be without counting as worse: 0.05 is 5 % higher.",
    ),
    errorRateDelta: fraction(
      0.05,
      "A window in which the error rate is above the control's by more than this is over the limit: 0.05 is five points.",
    ),
    latencyDelta: Type.Optional(
      Type.Object(
        {
          quantile: Type.Enum([...quantiles]),
          ratio: Type.Number({ exclusiveMinimum: 1, maximum: 1000 }),
        },
        {
          ...strict,
          default: { quantile: "p95", ratio: 2 },
          description:
            "A window in which this quantile is more than `ratio` times the control's is over the limit.",
        },
      ),
    ),
    errorRateMax: Type.Optional(
      Type.Number({ minimum: 0, maximum: 1, description: "An absolute limit. Default none." }),
    ),
    latencyMaxMs: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 3_600_000,
        description: "An absolute limit for the quantile of `latencyDelta`. Default none.",
      }),
    ),
    consecutiveFailures: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 100,
        default: 3,
        description:
          "Windows in a row over a limit, each of at least `minRequests`, until the deployment fails.",
      }),
    ),
    custom: Type.Optional(
      Type.Record(Type.String({ pattern: "^[A-Za-z][A-Za-z0-9_.-]{0,63}$" }), custom, {
        maxProperties: 16,
        default: {},
        description: "Counters of the target by name, each an event among requests.",
      }),
    ),
    allowedRegression: Type.Optional(
      Type.Object(
        {
          rate: fraction(0.05, "Of errors and custom counters, as a share of requests: 0.05 is five points."),
          slow: fraction(0.1, "Of requests slower than the control's p95 and p99; twice this for the p50."),
        },
        {
          ...strict,
          default: { rate: 0.05, slow: 0.1 },
          description: "The judge says pass once it is sure that no metric is worse by more than this.",
        },
      ),
    ),
    confidence: Type.Optional(
      Type.Number({
        minimum: 0.5,
        maximum: 0.9999,
        default: 0.95,
        description: "How sure it must be for that.",
      }),
    ),
    goal: Type.Optional(
      Type.String({
        maxLength: 64,
        pattern: "^(errors|custom\\..+)$",
        description:
          "A/B: the metric that decides, `errors` or `custom.NAME` of a counter in `custom`; default the first counter.",
      }),
    ),
    onInconclusive: undecided("hold", "When the time is up and it is not sure."),
    onInsufficient: undecided("pass", "When the time is up and there were too few requests to say anything."),
    minFailures: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1e6,
        default: 1,
        description: "Units that refuse the version, or end after taking it, until the deployment fails.",
      }),
    ),
  },
  { ...strict, title: "DeploymentAnalysis" },
);

/** As a caller writes it. */
export type Analysis = Static<typeof analysis>;

type Undecided = "hold" | "rollback" | "pass";

/** The same with its defaults. JSON. */
export interface AnalysisPolicy {
  readonly minRequests: number;
  readonly warmUpSeconds: number;
  readonly falseRollbackRate: number;
  readonly tolerance: number;
  readonly errorRateDelta: number;
  readonly latencyDelta: { readonly quantile: Quantile; readonly ratio: number };
  readonly errorRateMax?: number;
  readonly latencyMaxMs?: number;
  readonly consecutiveFailures: number;
  readonly custom: Readonly<
    Record<string, { readonly higherIs: "worse" | "better"; readonly weight?: number }>
  >;
  readonly allowedRegression: { readonly rate: number; readonly slow: number };
  readonly confidence: number;
  readonly goal?: string;
  readonly onInconclusive: Undecided;
  readonly onInsufficient: Undecided;
  readonly minFailures: number;
}

const defaultOf = <Key extends keyof Analysis>(key: Key) =>
  (analysis.properties[key] as { default?: unknown }).default as NonNullable<Analysis[Key]> | undefined;

/** Fills in the defaults of the schema, so that they stand in one place. What is given has been validated. */
export function policyOf(given: Analysis = {}): AnalysisPolicy {
  const filled: Record<string, unknown> = {};
  for (const key of Object.keys(analysis.properties) as (keyof Analysis)[]) {
    const value = given[key] ?? defaultOf(key);
    if (value !== undefined) filled[key] = value;
  }
  filled.allowedRegression = { ...defaultOf("allowedRegression"), ...given.allowedRegression };
  return filled as unknown as AnalysisPolicy;
}
