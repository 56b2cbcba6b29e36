/**
 * What each node knows for itself, put together. Who consumes is known where a topic is served, so the node that is
 * asked for the users of a schema asks the others for the consumers that they have heard of; the rest is in SQL, the
 * same for all. One that does not answer in time is named rather than waited for.
 */
import type { Clock } from "../../core/clock.ts";
import type { Caller, SchemaUse, Usage } from "../../schemas/index.ts";
import type { Cluster } from "./cluster.ts";
import { type Forwarder, notThere, wholeBody } from "./forward.ts";
import { type BrokerNode, statusOf } from "./node.ts";

export interface GatherParts {
  cluster: Cluster;
  forwarder: Forwarder;
  clock: Clock;
}

/** As the route `schemas.usage` answers. */
interface Answer {
  items: SchemaUse[];
  total: number;
}

/** For others to answer. */
const patienceMs = 2_000;

/** Consumers of this schema version at all other nodes, asked with the caller's own token. */
export async function gatherUses(caller: Caller, id: string, parts: GatherParts): Promise<Usage> {
  const { cluster, clock } = parts;
  const others = cluster.nodes.filter((node) => node.id !== cluster.id && isThere(node));
  const answers = await Promise.all(others.map((node) => inTime(ask(node, id, caller, parts), clock)));
  const known = answers.filter((answer) => answer !== undefined);
  return {
    uses: known.flatMap(({ items }) => items),
    total: known.reduce((sum, { total }) => sum + total, 0),
    missing: others.filter((_, i) => !answers[i]).map(({ name }) => name),
  };
}

const isThere = (node: BrokerNode) => !["dead", "stopped"].includes(statusOf(node));

/** Undefined when the node does not say. */
async function ask(
  node: BrokerNode,
  id: string,
  caller: Caller,
  { forwarder }: GatherParts,
): Promise<Answer | undefined> {
  const path = `/api/v1/schemas/${encodeURIComponent(id)}/usage?kind=consumer`;
  const outgoing = { method: "GET", path, body: Buffer.alloc(0), isRepeatable: true };
  const answer = await forwarder.exchange(caller, node, outgoing);
  if (answer === notThere) return undefined;
  const bytes = await wholeBody(answer);
  return answer.statusCode === 200 ? (JSON.parse(bytes.toString()) as Answer) : undefined;
}

/** Undefined when it takes too long, or fails. */
async function inTime<Result>(work: Promise<Result>, clock: Clock): Promise<Result | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = clock.after(patienceMs, () => resolve(undefined));
  try {
    return await Promise.race([work.catch(() => undefined), late]);
  } finally {
    timer.cancel();
  }
}
