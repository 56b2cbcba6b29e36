/**
 * A change by somebody: one transaction, and what follows from it once it is committed. With `dryRun` the
 * transaction runs with all its checks and is rolled back, so the answer is what it would have been.
 */
import { Type } from "typebox";
import type { Sql, Tx } from "../../stores/sql/port.ts";
import type { Principal } from "../auth/principal.ts";
import type { Context } from "./route.ts";

/** Who changes something, by which request, and whether it is meant. */
export interface Actor {
  principal: Principal;
  requestId: string;
  dryRun?: boolean;
}

export const dryRunQuery = Type.Object(
  { dryRun: Type.Boolean({ default: false, description: "Check everything and answer, but keep nothing." }) },
  { additionalProperties: false },
);

export function actorOf(context: Context<unknown, { dryRun: boolean }>): Actor {
  const { principal, requestId, query } = context;
  return { principal, requestId, dryRun: query.dryRun };
}

/** Carries the result out of a transaction that is rolled back. */
class Rehearsed<Result> extends Error {
  readonly result: Result;

  constructor(result: Result) {
    super("rolled back on purpose");
    this.result = result;
  }
}

export async function change<Tables, Result>(
  sql: Sql,
  { principal, dryRun = false }: Actor,
  work: (tx: Tx<Tables>) => Promise<Result>,
  afterCommit: (result: Result) => void | Promise<void>,
): Promise<Result> {
  try {
    const result = await sql.tenant(principal.tenant, async (tx: Tx<Tables>) => {
      const done = await work(tx);
      if (dryRun) throw new Rehearsed(done);
      return done;
    });
    await afterCommit(result);
    return result;
  } catch (error) {
    if (error instanceof Rehearsed) return error.result as Result;
    throw error;
  }
}
