/**
 * Steps that run at the end of a transaction, after its work and just before its commit. For what takes a
 * lock that everybody wants, such as the head of a tenant's audit chain: taken last, it is held for the
 * shortest time and can be in no cycle with the locks of the work.
 *
 * A step that fails takes the transaction with it. When the work is run again after a conflict, its steps
 * are registered again with the new transaction.
 */
import type { AnyTx } from "./port.ts";

type Step = () => Promise<void>;

const stepsOf = new WeakMap<AnyTx, Step[]>();

/** `tx` must be the object that `Sql.tenant` or `Sql.system` handed out. */
export function beforeCommit(tx: AnyTx, step: Step): void {
  const steps = stepsOf.get(tx);
  if (!steps) throw new TypeError("beforeCommit needs an open transaction of the Sql port");
  steps.push(step);
}

/** For drivers: runs the work, then the steps that it has registered, in their order. */
export async function withSteps<T extends AnyTx, Result>(
  tx: T,
  work: (tx: T) => Promise<Result>,
): Promise<Result> {
  const steps: Step[] = [];
  stepsOf.set(tx, steps);
  try {
    const result = await work(tx);
    for (const step of steps) await step(); // a step may register more
    return result;
  } finally {
    stepsOf.delete(tx);
  }
}
