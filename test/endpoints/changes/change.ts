/** A change of each route that is audited: what to send, and what its entry says. audit.test.ts makes them all. */
import type { Answer } from "../../contract.ts";
import type { Caller, CallOptions } from "../../server.ts";

export interface Audited {
  /** What the entry names. */
  resource: RegExp;
  /** Actions of other rooms that it takes on the way. */
  also?: string[];
  change: (caller: Caller, options: CallOptions) => Promise<Answer>;
}

/** By route id, in the order in which they are made: one may change what another has left. */
export type Changes = Record<string, Audited>;

/** Another person, whose requests `caller` may decide about, and who leaves no entries of `caller`. */
export const another = (caller: Caller): Promise<Caller> => caller.as({ subject: "bob" });
