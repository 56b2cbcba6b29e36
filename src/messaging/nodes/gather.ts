/**
 * Lists of what each node knows for itself. Who consumes is known where a topic is served, so the node that is asked
 * for the users of a schema asks the others for the consumers that they have heard of, and puts it all together. One
 * that does not answer in time is named in the answer rather than waited for.
 */
import type { Clock } from "../../core/clock.ts";
import type { Context, Route } from "../../platform/http/route.ts";
import type { Cluster } from "./cluster.ts";
import { type Forwarder, isPassedOn, notThere, wholeBody } from "./forward.ts";
import { type BrokerNode, statusOf } from "./node.ts";

export interface GatherParts {
  cluster: Cluster;
  forwarder: Forwarder;
  clock: Clock;
}

interface List {
  items: { kind: string }[];
  total: number;
  missing: string[];
}

/** Of what they list, each node knows its own share of this kind; the rest is in SQL, the same for all. */
const gathered = new Map([["schemas.usage", "consumer"]]);

/** For others to answer. */
const patienceMs = 2_000;

export function gather(routes: readonly Route[], parts: GatherParts): Route[] {
  return routes.map((route) => {
    const kind = gathered.get(route.id);
    if (kind === undefined) return route;
    return { ...route, handler: (context: Context) => gatherList(route, kind, context, parts) };
  });
}

async function gatherList(route: Route, kind: string, context: Context, parts: GatherParts): Promise<List> {
  const own = (await route.handler(context)) as List;
  const asked = (context.query as { kind?: string }).kind ?? kind;
  if (isPassedOn(context.headers) || asked !== kind) return own;
  const { cluster } = parts;
  const others = cluster.nodes.filter((node) => node.id !== cluster.id && isThere(node));
  const answers = await Promise.all(
    others.map((node) => inTime(ask(node, kind, context, parts), parts.clock)),
  );
  const lists = answers.filter((answer) => answer !== undefined);
  return {
    items: [...own.items, ...lists.flatMap(({ items }) => items)],
    total: lists.reduce((sum, { total }) => sum + total, own.total),
    missing: others.filter((_, i) => !answers[i]).map(({ name }) => name),
  };
}

const isThere = (node: BrokerNode) => !["dead", "stopped"].includes(statusOf(node));

/** Undefined when the node does not say. */
async function ask(
  node: BrokerNode,
  kind: string,
  context: Context,
  { forwarder }: GatherParts,
): Promise<List | undefined> {
  const path = `${context.request.url!.split("?", 1)[0]}?kind=${kind}`;
  const outgoing = { method: "GET", path, body: Buffer.alloc(0), isRepeatable: true };
  const answer = await forwarder.exchange(context, node, outgoing);
  if (answer === notThere) return undefined;
  const bytes = await wholeBody(answer);
  return answer.statusCode === 200 ? (JSON.parse(bytes.toString()) as List) : undefined;
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
