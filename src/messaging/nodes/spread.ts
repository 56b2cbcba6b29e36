/**
 * Makes the routes of messaging answer on every node: what concerns a topic that another node serves is passed on to
 * it. The routes themselves know nothing of it. On a single node none of this is there.
 *
 * Where the topic is named by path, query or JSON body it is looked up before the handler runs; where only the handler
 * finds it (a body that it reads itself), the topic throws `topic_moved` before anything has happened, and the handler
 * runs again or elsewhere.
 */
import { pipeline } from "node:stream/promises";
import { HotSwapError, hasCode } from "../../core/errors.ts";
import { keepBody, keptBody, mediaType } from "../../platform/http/body.ts";
import { asHotSwapError, problemType, toProblem } from "../../platform/http/problem.ts";
import { type Context, handled, Reply, type Route } from "../../platform/http/route.ts";
import type { Registry } from "../delivery/registry.ts";
import { parseMessageId } from "../ids.ts";
import { allFailed, partsByTopic, type Settled, sumOf, topicOfReceipt } from "../settlements.ts";
import type { Cluster } from "./cluster.ts";
import {
  answerHeaders,
  type Forwarder,
  isPassedOn,
  movedHeader,
  notThere,
  type Outgoing,
  wholeBody,
} from "./forward.ts";
import type { BrokerNode } from "./node.ts";
import type { Places } from "./places.ts";

/** These look at SQL only, so any node answers them. */
const anywhere = new Set([
  "messaging.topics.list",
  "messaging.topics.get",
  "messaging.topics.create",
  "messaging.subscriptions.list",
  "messaging.subscriptions.get",
  "messaging.nodes.list",
  "messaging.nodes.get",
]);

/** Another node may have made what this one does not know yet. */
const unknownHere = ["topic_not_found", "subscription_not_found", "message_not_found"] as const;

export interface SpreadParts {
  cluster: Cluster;
  registry: Registry;
  forwarder: Forwarder;
  places: Places;
}

type Body = Record<string, unknown> | undefined;

export function spread(routes: readonly Route[], parts: SpreadParts): Route[] {
  return routes.map((route) => {
    if (anywhere.has(route.id)) return route;
    const served = new ServedRoute(route, parts);
    return { ...route, handler: (context: Context) => served.handle(context) };
  });
}

class ServedRoute {
  readonly #route: Route;
  readonly #parts: SpreadParts;

  constructor(route: Route, parts: SpreadParts) {
    this.#route = route;
    this.#parts = parts;
  }

  async handle(context: Context): Promise<unknown> {
    if (this.#route.body === "stream") keepBody(context.request);
    try {
      return await this.#handle(context);
    } catch (error) {
      if (!hasCode(error, "topic_moved") || !isPassedOn(context.headers)) throw error;
      return notHere(error, context);
    }
  }

  async #handle(context: Context): Promise<unknown> {
    const parts = this.#isSettlement ? await this.#settlements(context) : undefined;
    if (parts && parts.size > 1) return this.#settleEach(context, parts);
    const topic = parts ? [...parts.keys()][0] : await this.#topicOf(context);
    return topic ? this.#serve(context, topic) : this.#run(context);
  }

  /** The bodies by topic; a receipt that nobody knows may be of a subscription that is new. */
  async #settlements(context: Context): Promise<Map<string | undefined, object> | undefined> {
    const group = () => partsByTopic(context.body, (text) => this.#topicOfReceipt(context, text));
    const parts = group();
    if (!parts?.has(undefined)) return parts;
    await this.#parts.cluster.refresh();
    return group();
  }

  /** The topic that the request is about, where it can be seen before the handler runs. */
  async #topicOf(context: Context): Promise<string | undefined> {
    const known = this.#namedTopic(context);
    if (known !== undefined || !this.#isAboutAnId) return known;
    await this.#parts.cluster.refresh();
    return this.#namedTopic(context);
  }

  get #isAboutAnId(): boolean {
    return /^\/api\/v1\/(messages|subscriptions)\/\{id\}/.test(this.#route.path);
  }

  #namedTopic({ params, query, body, principal }: Context): string | undefined {
    const { registry } = this.#parts;
    const { topic, name, id } = params as Record<string, string | undefined>;
    if (topic !== undefined) return topic;
    if (this.#route.path.startsWith("/api/v1/topics/{name}")) return name;
    if (id !== undefined && this.#route.path.startsWith("/api/v1/messages/{id}")) {
      return registry.byNumber(principal.tenant, parseMessageId(id).topic)?.spec.name;
    }
    if (id !== undefined) return registry.bySubscriptionId(principal.tenant, id)?.spec.name;
    const given = (query as Body)?.topic ?? (isRecord(body) ? body.topic : undefined);
    return typeof given === "string" ? given : undefined;
  }

  #topicOfReceipt({ principal }: Context, text: string): string | undefined {
    return topicOfReceipt(this.#parts.registry, principal.tenant, text);
  }

  /** Runs it here without knowing the topic; a handler that finds it elsewhere says so before anything happens. */
  async #run(context: Context): Promise<unknown> {
    try {
      return await this.#route.handler(context);
    } catch (error) {
      if (hasCode(error, "topic_moved")) return this.#serve(context, String(error.data?.topic));
      if (!(error instanceof HotSwapError) || !unknownHere.some((code) => code === error.code)) throw error;
      if (context.response.headersSent) throw error;
      await this.#parts.cluster.refresh();
      return this.#again(context);
    }
  }

  async #again(context: Context): Promise<unknown> {
    try {
      return await this.#route.handler(context);
    } catch (error) {
      if (hasCode(error, "topic_moved")) return this.#serve(context, String(error.data?.topic));
      throw error;
    }
  }

  /** Here or elsewhere, until somebody has served it. */
  async #serve(context: Context, topic: string): Promise<unknown> {
    return this.#parts.places.attempt(context, topic, {
      here: async () => this.#route.handler(context),
      there: (node) => this.#there(context, node),
    });
  }

  async #there(context: Context, node: BrokerNode): Promise<unknown> {
    const outgoing = await this.#outgoing(context);
    const answer = await this.#parts.forwarder.exchange(context, node, outgoing);
    if (answer === notThere) {
      // A body that went out as it came in cannot be sent twice.
      if (outgoing.body || !context.request.readableDidRead) return notThere;
      throw new HotSwapError("topic_moved", undefined, { retryAfterMs: 200 });
    }
    const { response } = context;
    response.writeHead(answer.statusCode ?? 502, answerHeaders(answer));
    await pipeline(answer, response).catch(() => {}); // one of the two has gone; the other is ended by it
    return handled;
  }

  async #outgoing(context: Context): Promise<Outgoing> {
    const { request, body } = context;
    const method = request.method ?? "GET";
    const path = request.url ?? "/";
    const isRepeatable = method === "GET" || this.#isSettlement;
    const hasNone = this.#route.body === undefined;
    const isStream = this.#route.body === "stream" && mediaType(request) !== "application/json";
    if (isStream && !keptBody(request)) return { method, path, body: undefined, isRepeatable: false };
    const bytes = hasNone
      ? Buffer.alloc(0)
      : ((await keptBody(request)) ?? Buffer.from(JSON.stringify(body)));
    return { method, path, body: bytes, isRepeatable };
  }

  get #isSettlement(): boolean {
    return /^\/api\/v1\/messages\/(\{id\}\/)?(ack|nack|extend)$/.test(this.#route.path);
  }

  /** Receipts of several topics: each goes where its topic is served, and the outcomes are put together. */
  async #settleEach(context: Context, parts: Map<string | undefined, object>): Promise<Settled> {
    const all = await Promise.all(
      [...parts].map(([topic, body]) => this.#settlePart(withBody(context, body), topic)),
    );
    return sumOf(all);
  }

  async #settlePart(context: Context, topic: string | undefined): Promise<Settled> {
    const here = async () => (await this.#route.handler(context)) as Settled;
    if (topic === undefined) return here();
    try {
      return await this.#parts.places.attempt<Settled>(context, topic, {
        here,
        there: async (node) => {
          const { exchange } = this.#parts.forwarder;
          const outgoing = {
            ...(await this.#outgoing(context)),
            body: Buffer.from(JSON.stringify(context.body)),
          };
          const answer = await exchange.call(this.#parts.forwarder, context, node, outgoing);
          if (answer === notThere) return notThere;
          const json = JSON.parse((await wholeBody(answer)).toString());
          if (answer.statusCode === 200) return json as Settled;
          throw new HotSwapError(json.code, json.detail);
        },
      });
    } catch (error) {
      return allFailed(context.body, asHotSwapError(error));
    }
  }
}

/** Tells the node that passed it on that it was not carried out. */
function notHere(error: HotSwapError, { requestId }: Context): Reply {
  const problem = toProblem(error, requestId);
  const headers = { "content-type": problemType, [movedHeader]: "1" };
  return new Reply(Buffer.from(JSON.stringify(problem)), { status: problem.status, headers });
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value);

function withBody(context: Context, body: unknown): Context {
  const { principal, params, query, headers, requestId, request, response } = context;
  return {
    principal,
    params,
    query,
    body,
    headers,
    requestId,
    request,
    response,
    get signal() {
      return context.signal; // is made only when somebody asks
    },
  };
}
