/**
 * What must be so once a simulated history is over: each deployment is settled as its status says, units run what their
 * target was left with, and neither the limits of a strategy nor the order of a group were passed over meanwhile.
 */
import type { Ask, Planned } from "./simulation.schedule.ts";
import { broken, type Database } from "./simulation.store.ts";
import type { SimulatedTarget } from "./simulation.target.ts";
import type { DeploymentRow } from "./tables.ts";

export interface Outcome {
  /** How each deployment ended. */
  readonly statuses: Readonly<Record<string, string>>;
  /** What each target has in the end, and all of its units run. */
  readonly versions: Readonly<Record<string, string | undefined>>;
}

export interface End {
  readonly database: Database;
  readonly targets: ReadonlyMap<string, SimulatedTarget>;
  readonly plans: ReadonlyMap<string, Planned>;
  readonly isGroup: boolean;
}

/** Throws when something is not as it must be. */
export function endOf({ database, targets, plans, isGroup }: End): Outcome {
  const statuses: Record<string, string> = {};
  for (const [id, row] of database.rows) {
    statuses[id] = isGroup && row.status === "cancelled" ? "rolled_back" : row.status;
    const target = targets.get(row.target)!;
    const settled = target.settlements.filter(({ deployment }) => deployment === id);
    const wanted = { succeeded: "to", rolled_back: "from" }[row.status as string];
    if (settled.length !== (wanted ? 1 : 0) || (wanted && settled[0]!.version !== wanted))
      broken(`${id} is ${row.status} and settled ${JSON.stringify(settled)}`);
    const onTarget = [...plans.values()].filter((planned) => planned.target === row.target);
    const asked = onTarget.flatMap(({ asks }) => asks.map(({ ask }) => ask));
    checkUnits(row, target, plans.get(id)!, asked);
  }
  for (const [name, target] of targets) {
    const wrong = Object.entries(target.rest()).find(([, version]) => version !== target.current);
    if (wrong) broken(`${wrong[0]} of ${name} runs ${wrong[1]}, ${target.current} is settled`);
  }
  if (isGroup) checkGroup(database);
  const versions = [...targets].map(([name, { current }]) => [name, current]);
  return { statuses, versions: Object.fromEntries(versions) };
}

/** One that ends its readers met one, unless somebody promoted it. `asked` is what was of all on this target. */
function checkUnits(
  { id, state }: DeploymentRow,
  target: SimulatedTarget,
  { strategy, asks, quality }: Planned,
  asked: readonly Ask["ask"][],
): void {
  const isHurried = asks.some(({ ask }) => ask === "promote") || asked.includes("join");
  const met = target.ended.get(id)?.size ?? 0;
  // After one that somebody takes away meanwhile, another one tries; whoever's deployment it was that brought that up.
  const gone = asked.filter((ask) => ask === "leave").length;
  if (met > 1 + gone && !isHurried) broken(`${id} ended ${met} units`);
  const isLimited = strategy.strategy === "direct" || strategy.strategy === "rolling";
  const limit =
    strategy.strategy === "direct"
      ? strategy.concurrency
      : Math.min(strategy.batchSize, strategy.maxUnavailable);
  const most = target.onTheirWay.get(id) ?? 0;
  // Those that go between a look and its exposure let others come in their place.
  const comes = asked.filter((ask) => ask === "join" || ask === "leave").length;
  const isOver = most > limit + comes && state.startedAt !== undefined;
  if (isLimited && quality.answer !== "silent in one" && isOver)
    broken(`${id}: ${most} units on their way, ${limit} may be`);
}

function checkGroup({ rows, events }: Database): void {
  const statuses = new Set([...rows.values()].map(({ status }) => status));
  if (statuses.has("succeeded") && statuses.size > 1) broken("a group ends apart");
  const back = [...events.values()].map(
    (written) => written.find(({ event }) => event.type === "ended" && event.status === "rolled_back")?.at,
  );
  if (back[0] !== undefined && back[1] !== undefined && back[0] < back[1])
    broken("a group goes back in its order");
}
