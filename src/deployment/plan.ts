/**
 * Strategies as data: each compiles to the same five kinds of step, and the engine knows only these. An urgent change
 * is compressed, never made for everybody at once.
 *
 *   expose   this share of units (or count of them) gets the new version; done when they run it
 *   bake     wait, while the judge looks
 *   gate     wait for something outside of the deployment
 *   switch   everybody, at once
 *   retire   the old version is kept for a while, then dropped
 */
import type { Smoke } from "./target.ts";

export const strategies = ["direct", "canary", "rolling", "blue-green", "ab", "emergency"] as const;
export type StrategyName = (typeof strategies)[number];

export type Step =
  | {
      readonly kind: "expose";
      /** Of all units, 0 to 1. */
      readonly share: number;
      /** Instead of the share: so many units, where they can be counted. */
      readonly count?: number;
      /** So many units may be on their way at once, where they can be counted; default all. */
      readonly concurrency?: number;
      /** Until units that do not answer count as failed. */
      readonly timeoutMs: number;
    }
  | {
      readonly kind: "bake";
      readonly minMs: number;
      /** Undecided until here, the policy decides. */
      readonly maxMs: number;
      /** "signals": failed units only. "judge": the comparison too. "winner": until one of two is better. */
      readonly checks: "signals" | "judge" | "winner";
    }
  | { readonly kind: "gate"; readonly gate: "manual" }
  | { readonly kind: "smoke"; readonly smoke: Smoke }
  | { readonly kind: "switch"; readonly timeoutMs: number }
  | { readonly kind: "retire"; readonly delayMs: number };

/** Everything that a strategy needs; the API fills in defaults (deployments.schema.ts). Times in seconds. */
export interface StrategySpec {
  readonly strategy: StrategyName;
  /** Percent, ascending, the last is 100. */
  readonly phases: readonly number[];
  readonly bakeSeconds: number;
  readonly bakeMaxSeconds: number;
  /** For units to say that they run the version. */
  readonly ackTimeoutSeconds: number;
  /** One unit goes first where units can be counted; 0 does not wait for it. */
  readonly probeSeconds: number;
  readonly concurrency: number;
  readonly batchSize: number;
  readonly maxUnavailable: number;
  readonly intervalSeconds: number;
  readonly smoke: Smoke | undefined;
  readonly verifySeconds: number;
  readonly keepWarmSeconds: number;
  /** A/B: percent of the new one. */
  readonly split: number;
  readonly isManual: boolean;
}

export interface Inventory {
  readonly kind: "counted" | "shares";
  readonly units: number;
}

/**
 * Pure. The inventory counts as it is now; who comes later is exposed or not by its position.
 *
 * Where units can be counted, one goes first in every strategy, direct and rolling too, and of blue-green it is the
 * green side: a version that ends its readers must not meet two of them. It costs one answer and `probeSeconds`; a
 * concurrency limit alone would let as many units end as it lets go at once (docs/adr/0015).
 */
export function planOf(spec: StrategySpec, inventory: Inventory): Step[] {
  const timeoutMs = spec.ackTimeoutSeconds * 1000;
  const bake = (checks: "signals" | "judge" | "winner", seconds = spec.bakeSeconds): Step => ({
    kind: "bake",
    minMs: seconds * 1000,
    maxMs: Math.max(seconds, checks === "signals" ? 0 : spec.bakeMaxSeconds) * 1000,
    checks,
  });
  const expose = (share: number, concurrency?: number): Step => ({
    ...{ kind: "expose", share, timeoutMs },
    ...(concurrency !== undefined && { concurrency }),
  });
  const retire = (seconds: number): Step => ({ kind: "retire", delayMs: seconds * 1000 });
  const gate: Step[] = spec.isManual ? [{ kind: "gate", gate: "manual" }] : [];
  const last = spec.bakeSeconds > 0 ? [bake("judge")] : [];
  const first = (seconds: number): Step[] => [
    { kind: "expose", share: 0, count: 1, timeoutMs },
    bake("signals", seconds),
  ];
  const isCounted = inventory.kind === "counted";
  const probe = isCounted ? first(spec.probeSeconds) : [];
  const uncalled: Step[] = [
    expose(0),
    ...(spec.smoke ? [{ kind: "smoke", smoke: spec.smoke } as const] : []),
    ...(spec.verifySeconds > 0 ? [bake("signals", spec.verifySeconds)] : []),
  ];
  switch (spec.strategy) {
    case "direct":
      return [...probe, expose(1, spec.concurrency), ...last, retire(0)];
    case "canary":
      return [...probe, ...canarySteps(spec, expose, bake), retire(0)];
    case "emergency":
      return [...probe, expose(0.05), bake("signals", 3), expose(1), ...last, retire(0)];
    case "rolling":
      return [...probe, ...rollingSteps(spec, inventory, expose, bake), ...last, retire(0)];
    case "blue-green":
      return [
        ...(isCounted ? first(spec.verifySeconds) : uncalled),
        ...gate,
        { kind: "switch", timeoutMs },
        bake("judge"),
        retire(spec.keepWarmSeconds),
      ];
    case "ab":
      return [
        ...[...probe, expose(spec.split / 100), bake("winner")],
        ...[...gate, { kind: "switch", timeoutMs } as const, retire(0)],
      ];
  }
}

type Expose = (share: number, concurrency?: number) => Step;
type Bake = (checks: "signals" | "judge" | "winner", seconds?: number) => Step;

function canarySteps({ phases, isManual }: StrategySpec, expose: Expose, bake: Bake): Step[] {
  return phases.flatMap((percent, index) => [
    ...(isManual && index > 0 ? [{ kind: "gate", gate: "manual" } as const] : []),
    expose(percent / 100),
    bake("judge"),
  ]);
}

const BATCHES_MAX = 200;

/**
 * A batch is never larger than what may be unavailable at once, and the limit holds when units come and go. Of more
 * batches than a plan may have, several follow each other without the interval.
 */
function rollingSteps(spec: StrategySpec, { kind, units }: Inventory, expose: Expose, bake: Bake): Step[] {
  const { batchSize, maxUnavailable, intervalSeconds } = spec;
  const total = kind === "counted" ? Math.max(1, units) : 100;
  const size = Math.max(1, Math.min(batchSize, maxUnavailable));
  const batches = Math.min(Math.ceil(total / size), BATCHES_MAX);
  const stride = Math.ceil(total / size / batches) * size;
  const shares = Array.from({ length: Math.ceil(total / stride) }, (_, index) =>
    Math.min(1, ((index + 1) * stride) / total),
  );
  return shares.flatMap((share) => {
    const interval = share < 1 ? [bake("signals", intervalSeconds)] : [];
    return [expose(share, size), ...interval];
  });
}

/** How far apart the phases of a curve lie, as AWS AppConfig has them: G·N and G·2^N percent. */
export function curve(kind: "linear" | "exponential", growth: number): number[] {
  const phases: number[] = [];
  for (let n = kind === "linear" ? 1 : 0; ; n++) {
    const percent = kind === "linear" ? growth * n : growth * 2 ** n;
    if (percent >= 100) return [...phases, 100];
    phases.push(Math.round(percent * 100) / 100);
  }
}
