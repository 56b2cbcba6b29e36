/**
 * The body of a deployment: which fields there are, which of them fit which strategy, and what they are when they are
 * not given. Fields of the thing itself (`config`, `version`, `route`, `change`) go to its target.
 */
import { type Static, type TProperties, Type } from "typebox";
import { INTEGER_MAX } from "../core/bounds.ts";
import { HotSwapError } from "../core/errors.ts";
import { type AnalysisPolicy, analysis, policyOf } from "./judge/policy.ts";
import { curve, type StrategyName, type StrategySpec, strategies } from "./plan.ts";
import type { Kind, Resolved, Smoke } from "./target.ts";

const strict = { additionalProperties: false } as const;
const day = 86_400;
const seconds = (description: string, maximum = 30 * day) =>
  Type.Optional(Type.Number({ minimum: 0, maximum, description }));
const count = (description: string, maximum = 1_000_000) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum, description }));
const percent = (description: string) => Type.Number({ exclusiveMinimum: 0, maximum: 100, description });

export const targetName = Type.String({
  minLength: 1,
  maxLength: 253,
  pattern: "^[^\\u0000-\\u001f\\u007f]+$",
});
export const reason = Type.String({ minLength: 1, maxLength: 2_000, pattern: "^[^\\u0000]*$" });

const fieldName = Type.String({ pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$" });

/** What a body says of the thing itself. */
const thingFields = {
  config: {
    config: targetName,
    version: Type.Union([Type.Integer({ minimum: 1, maximum: INTEGER_MAX }), Type.String({ maxLength: 64 })]),
  },
  route: {
    route: targetName,
    change: Type.Record(Type.String(), Type.Unknown(), {
      maxProperties: 64,
      description:
        "The route's new fields, such as `backends`, as a JSON merge patch; not `name`, `match`, `priority` and `enabled`.",
    }),
    unit: Type.Optional(
      Type.Object(
        { header: Type.Optional(fieldName), cookie: Type.Optional(fieldName) },
        {
          ...{ ...strict, minProperties: 1, maxProperties: 1 },
          description:
            "What tells callers apart; who does not send it counts by its address, as all do by default.",
        },
      ),
    ),
    testHeader: Type.Optional(
      Type.Object(
        { name: fieldName, value: Type.String({ minLength: 1, maxLength: 256 }) },
        { ...strict, description: "Requests with it get the new version, whatever the share." },
      ),
    ),
  },
} as const satisfies Partial<Record<Kind, TProperties>>;
export type DeployableKind = keyof typeof thingFields;
export const deployableKinds = Object.keys(thingFields) as DeployableKind[];

const requirement = Type.Union(
  [
    Type.Object({ deployment: Type.String({ format: "uuid" }) }, strict),
    Type.Object(
      {
        kind: Type.Enum(["config", "route", "plugin"]),
        target: targetName,
        version: Type.String({ maxLength: 64 }),
      },
      strict,
    ),
  ],
  { title: "DeploymentRequirement" },
);
export type Requirement = Static<typeof requirement>;

const smoke = Type.Object(
  {
    path: Type.Optional(Type.String({ maxLength: 2_048, pattern: "^/", default: "/" })),
    requests: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 3 })),
  },
  { ...strict, title: "DeploymentSmoke" },
);

const strategyFields = {
  phases: Type.Optional(
    Type.Array(percent("Of all units."), {
      minItems: 1,
      maxItems: 100,
      description: "Ascending; the last is 100. Default: 10, 30, 50, 100; of a route 10, 50, 100.",
    }),
  ),
  curve: Type.Optional(
    Type.Object(
      { kind: Type.Enum(["linear", "exponential"]), growth: Type.Number({ minimum: 1, maximum: 100 }) },
      { ...strict, description: "Phases G·N or G·2^N percent apart, instead of a list." },
    ),
  ),
  bakeSeconds: seconds("How long each phase is watched at least."),
  bakeMaxSeconds: seconds(
    "Until then the judge may stay undecided. Default three times bakeSeconds; of `ab` a week.",
  ),
  probeSeconds: seconds("How long one unit is watched before any other, where units can be counted.", 3_600),
  ackTimeoutSeconds: seconds("For units to say that they run the version; then they count as failed.", day),
  concurrency: count("So many units are on their way at once."),
  batchSize: count("Units of a batch; of what cannot be counted, percent."),
  maxUnavailable: count("So many units may be on their way at once; a batch is never larger."),
  intervalSeconds: seconds("Between batches."),
  smoke: Type.Optional(smoke),
  verifySeconds: seconds("How long the new version is watched before anybody gets it."),
  keepWarmSeconds: seconds("How long the old version is kept for an instant way back."),
  split: Type.Optional(
    Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 100, description: "Percent of the new." }),
  ),
  manual: Type.Optional(Type.Boolean({ description: "Each phase, or the switch, waits for a promotion." })),
};
type StrategyField = keyof typeof strategyFields;

/** Which fields a strategy knows; the others are refused, as they would change nothing. */
const fitting: Readonly<Record<StrategyName, readonly StrategyField[]>> = {
  direct: ["ackTimeoutSeconds", "concurrency", "bakeSeconds", "bakeMaxSeconds", "probeSeconds"],
  canary: ["ackTimeoutSeconds", "phases", "curve", "bakeSeconds", "bakeMaxSeconds", "probeSeconds", "manual"],
  rolling: [
    ...(["ackTimeoutSeconds", "batchSize", "maxUnavailable", "intervalSeconds"] as const),
    ...(["bakeSeconds", "bakeMaxSeconds", "probeSeconds"] as const),
  ],
  "blue-green": [
    ...(["ackTimeoutSeconds", "smoke", "verifySeconds", "manual"] as const),
    ...(["bakeSeconds", "bakeMaxSeconds", "keepWarmSeconds"] as const),
  ],
  ab: ["ackTimeoutSeconds", "split", "bakeSeconds", "bakeMaxSeconds", "probeSeconds", "manual"],
  emergency: ["ackTimeoutSeconds", "bakeSeconds", "bakeMaxSeconds", "probeSeconds"],
};

const commonFields = {
  strategy: Type.Enum([...strategies], { default: "canary" }),
  analysis: Type.Optional(analysis),
  failureBudget: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 1,
      description:
        "The share of units that may fail, of those that a step is for. Default 0; of `direct` 0.1.",
    }),
  ),
  startAt: Type.Optional(Type.String({ format: "date-time" })),
  requires: Type.Optional(
    Type.Array(requirement, {
      maxItems: 20,
      description: "It waits for these, and is cancelled when one of them fails.",
    }),
  ),
  group: Type.Optional(
    Type.String({
      pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
      description: "Deployments of one group end together, or roll back together in reverse order.",
    }),
  ),
  onConflict: Type.Enum(["queue", "supersede"], {
    default: "queue",
    description:
      "When another deployment of the same target is under way: wait for it, or roll it back first.",
  }),
  seed: Type.Optional(
    Type.String({
      pattern: "^[A-Za-z0-9._-]{1,64}$",
      description: "Of an earlier deployment, so that the same units come first. Default: a new one.",
    }),
  ),
  note: Type.Optional(Type.String({ maxLength: 500, pattern: "^[^\\u0000]*$" })),
};

const fieldsOf = <Name extends DeployableKind>(kind: Name) =>
  Type.Object({ kind: Type.Literal(kind), ...thingFields[kind], ...commonFields, ...strategyFields }, strict);

export type DeploymentBody = { readonly kind: DeployableKind } & Static<
  ReturnType<typeof Type.Object<typeof commonFields>>
> &
  Static<ReturnType<typeof Type.Object<typeof strategyFields>>>;

/** Of one kind, or of all: then `kind` says which fields belong to it. */
export function bodyOf(kind?: DeployableKind) {
  if (kind) {
    const { kind: _, ...rest } = fieldsOf(kind).properties;
    return Type.Object({ kind: Type.Optional(Type.Literal(kind)), ...rest }, strict);
  }
  const all: TProperties = Object.assign({}, ...deployableKinds.map((name) => thingFields[name]));
  const optional = Object.fromEntries(
    Object.entries(all).map(([name, field]) => [name, Type.Optional(field)]),
  );
  return Type.Object(
    { kind: Type.Enum([...deployableKinds]), ...optional, ...commonFields, ...strategyFields },
    strict,
  );
}

/** Refuses fields of another kind, and the lack of its own. */
export function checkThing(body: DeploymentBody): void {
  const given = body as unknown as Record<string, unknown>;
  const fields: TProperties = thingFields[body.kind];
  const own = Object.keys(fields);
  for (const name of own)
    if (given[name] === undefined && !Type.IsOptional(fields[name]!))
      throw unfit(`/${name}`, `is needed for a deployment of kind ${body.kind}`);
  for (const kind of deployableKinds)
    for (const name of Object.keys(thingFields[kind]))
      if (given[name] !== undefined && !own.includes(name))
        throw unfit(`/${name}`, `belongs to a deployment of kind ${kind}, not ${body.kind}`);
}

export interface DeploymentSpec {
  /** For people; written anew at the start, which knows what is replaced. */
  readonly summary: string;
  /** Where the target is an id; not there in one that an older version began. */
  readonly targetName?: string;
  /** Where the version is made anew at the start. */
  readonly change?: object;
  readonly inventory: Resolved["inventory"];
  readonly seed: string;
  readonly strategy: StrategySpec;
  readonly analysis: AnalysisPolicy;
  readonly failureBudget: number;
  /** Milliseconds since 1970. */
  readonly startAt?: number;
  readonly requires: readonly Requirement[];
  readonly needsApproval: boolean;
  readonly note?: string;
}

/** The body with its defaults. Throws `validation_failed` for what does not fit together. */
export function specOf(body: DeploymentBody, resolved: Resolved, seed: string): DeploymentSpec {
  refuseUnfitting(body);
  const { summary, targetName, change, inventory, needsApproval } = resolved;
  if (body.smoke && inventory === "counted")
    throw unfit("/smoke", "asks the backends of a route; of a configuration one instance goes first");
  return {
    ...{ summary, inventory, needsApproval },
    ...(targetName !== undefined && { targetName }),
    ...(change && { change }),
    seed: body.seed ?? seed,
    strategy: strategyOf(body, resolved),
    analysis: policyOf(body.analysis),
    failureBudget: body.failureBudget ?? (body.strategy === "direct" ? 0.1 : 0),
    ...(body.startAt !== undefined && { startAt: Date.parse(body.startAt) }),
    requires: body.requires ?? [],
    ...(body.note !== undefined && { note: body.note }),
  };
}

function refuseUnfitting(body: DeploymentBody): void {
  const fits = fitting[body.strategy as StrategyName];
  for (const name of Object.keys(strategyFields) as StrategyField[])
    if (body[name] !== undefined && !fits.includes(name))
      throw unfit(`/${name}`, `does nothing in the strategy ${body.strategy}; it takes ${fits.join(", ")}`);
  if (body.phases && body.curve) throw unfit("/curve", "cannot be given together with phases");
  const { phases = [100] } = body;
  const badly = phases.findIndex((phase, index) => index > 0 && phase <= phases[index - 1]!);
  if (badly >= 0) throw unfit(`/phases/${badly}`, "must be more than the phase before");
  if (phases.at(-1) !== 100) throw unfit(`/phases/${phases.length - 1}`, "must be 100, as the last phase");
  if (
    body.bakeMaxSeconds !== undefined &&
    body.bakeSeconds !== undefined &&
    body.bakeMaxSeconds < body.bakeSeconds
  )
    throw unfit("/bakeMaxSeconds", "must not be less than bakeSeconds");
  refuseGoal(body);
}

/** A goal that nobody counts would keep an A/B test waiting to its end. */
function refuseGoal({ strategy, analysis: { goal, custom = {} } = {} }: DeploymentBody): void {
  if (goal === undefined) return;
  if (strategy !== "ab") throw unfit("/analysis/goal", `does nothing in the strategy ${strategy}`);
  const isCounted = goal === "errors" || Object.keys(custom).some((name) => goal === `custom.${name}`);
  if (!isCounted) throw unfit("/analysis/goal", "must be errors, or custom.NAME of a counter in custom");
}

/** Seconds; without a bake the strategy goes on by what the units say. */
const bakes: Readonly<Record<StrategyName, number>> = {
  ...{ direct: 0, canary: 60, rolling: 0, "blue-green": 60, ab: 60, emergency: 0 },
};

function strategyOf(body: DeploymentBody, { phases }: Resolved): StrategySpec {
  const strategy = body.strategy as StrategyName;
  const bakeSeconds = body.bakeSeconds ?? Math.min(bakes[strategy], body.bakeMaxSeconds ?? day);
  const batchSize = body.batchSize ?? body.maxUnavailable ?? 1;
  const given = body.curve
    ? curve(body.curve.kind as "linear" | "exponential", body.curve.growth)
    : body.phases;
  return {
    strategy,
    phases: given ?? phases,
    bakeSeconds,
    bakeMaxSeconds: body.bakeMaxSeconds ?? (strategy === "ab" ? 7 * day : 3 * bakeSeconds),
    ackTimeoutSeconds: body.ackTimeoutSeconds ?? 60,
    probeSeconds: body.probeSeconds ?? (strategy === "emergency" || strategy === "direct" ? 2 : 5),
    concurrency: body.concurrency ?? 1_000,
    batchSize,
    maxUnavailable: body.maxUnavailable ?? batchSize,
    intervalSeconds: body.intervalSeconds ?? 5,
    smoke: body.smoke && smokeOf(body.smoke),
    verifySeconds: body.verifySeconds ?? 10,
    keepWarmSeconds: body.keepWarmSeconds ?? 300,
    split: body.split ?? 50,
    isManual: body.manual ?? false,
  };
}

const smokeOf = ({ path = "/", requests = 3 }: Static<typeof smoke>): Smoke => ({ path, requests });

export function unfit(pointer: string, message: string): HotSwapError {
  const name = pointer.slice(1);
  return new HotSwapError("validation_failed", `${name} ${message}.`, { fields: [{ pointer, message }] });
}
