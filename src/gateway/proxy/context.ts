/** What a worker lends to each of its exchanges: the route table, clocks, ids, counters. */
import type { Timer } from "../../core/clock.ts";
import type { AccessLog } from "./access-log.ts";
import type { Backend } from "./backend.ts";
import type { GuardContext } from "./guard.ts";
import type { Head } from "./http1/head.ts";
import type { Refusal } from "./http1/refusal.ts";
import type { Ids } from "./ids.ts";
import type { Matcher } from "./matcher.ts";
import type { RequestRecord, ResponseFlag } from "./records.ts";
import type { Route } from "./route.ts";

export interface ProxyContext extends GuardContext {
  readonly worker: number;
  readonly revision: number;
  readonly matcher: Matcher<Route>;
  readonly heads: { readonly request: Head; readonly answer: Head; readonly trailer: Head };
  /** Fields that a trailer may not bring. */
  readonly trailerDrop: Uint8Array;
  readonly ids: Ids;
  readonly log: AccessLog | undefined;
  /** The time of the last tick: good enough for idle times, and free. */
  readonly tick: number;
  tunnels: number;
  backend(id: string): Backend | undefined;
  wallAt(now: number): number;
  chance(): number;
  after(delayMs: number, work: () => void): Timer;
  /** The host that a Host field names: lower case, without a port. */
  hostName(field: string): string;
  clientBehind(peer: string, forwardedFor: string | undefined): string;
  /** Whether this request is kept in full; some of each second's are. */
  takeDetail(): boolean;
  /** Whether this request, which has no trace of its own, is sampled. */
  takeSample(): boolean;
  keep(record: RequestRecord, isSampled: boolean): void;
  /** A retry, or what kept one from being made. */
  count(reason: string): void;
  countFlags(flags: readonly ResponseFlag[]): void;
  refused(refusal: Refusal | "tls"): void;
}
