/** The message broker: what the composition root needs to run it. */
import type { Service } from "../core/lifecycle.ts";
import type { Random } from "../core/random.ts";
import type { Route } from "../platform/http/route.ts";
import type { Metrics, Usage } from "../platform/telemetry/index.ts";
import type { Kv } from "../stores/kv/port.ts";
import type { SecretStore } from "../stores/secrets/port.ts";
import { bindLog } from "./binding.ts";
import { cloudEventRoutes } from "./cloudevents.routes.ts";
import { DeadLetterTopics } from "./dead-letter-topics.ts";
import { deadLetterRoutes } from "./dead-letters.routes.ts";
import { DeadLetters } from "./dead-letters.ts";
import { Registry } from "./delivery/registry.ts";
import { Retention } from "./delivery/retention.ts";
import type { LiveSubscription } from "./delivery/subscription.ts";
import { eventRoutes } from "./events.routes.ts";
import { explanationRoutes } from "./explanations.routes.ts";
import { Explanations } from "./explanations.ts";
import { messageRoutes } from "./messages.routes.ts";
import { settleMax } from "./messages.schema.ts";
import { type MessageLimits, Messages } from "./messages.ts";
import { MessagingMetrics } from "./metrics.ts";
import { Nodes, type NodesParts } from "./nodes/index.ts";
import { systemResolve } from "./push/address.ts";
import { Pushes } from "./push/push.ts";
import { pushRoutes } from "./push.routes.ts";
import { Replays } from "./replays.ts";
import { scheduledRoutes } from "./scheduled.routes.ts";
import { settlementRoutes } from "./settlements.routes.ts";
import { Settlements } from "./settlements.ts";
import { streamRoutes } from "./stream.routes.ts";
import { subscriptionRoutes } from "./subscriptions.routes.ts";
import { Subscriptions } from "./subscriptions.ts";
import { type TopicSchemaParts, TopicSchemas } from "./topic-schemas.ts";
import { topicRoutes } from "./topics.routes.ts";
import { type MessagingParts, Topics } from "./topics.ts";
import type { Tracer } from "./traces.ts";

export interface MessagingSettings {
  ackDeadlineSeconds: number;
  batchMax: number;
  consumeWaitMaxSeconds: number;
  partitionsMax: number;
  messageLimitBytes: number;
  inFlightMax: number;
  dedupKeysMax: number;
  scheduledMax: number;
  jsonDepthLimit: number;
  bodyLimitBytes: number;
  lineLimitBytes: number;
  streamsMax: number;
  streamChannelsMax: number;
  streamIdleMs: number;
  pushPrivateTargets: boolean;
  pushFailuresMax: number;
  pushPauseMs: number;
}

export interface MessagingOptions
  extends Omit<
    MessagingParts,
    "registry" | "topicSchemas" | "ackDeadlineSeconds" | "partitionsMax" | "onError"
  > {
  schemas: TopicSchemaParts["schemas"];
  metrics: Metrics;
  traces: Tracer;
  kv: Kv;
  secrets: Pick<SecretStore, "get" | "set" | "delete">;
  random: Random;
  settings: MessagingSettings;
  nodes: NodesParts["settings"];
  usage: () => Usage;
  /** Told of what cannot be answered to anybody. */
  onError: (error: unknown) => void;
}

export const migrations = new URL("./migrations/", import.meta.url);

export class Messaging implements Service {
  readonly name = "messaging";
  readonly routes: Route[];
  readonly #registry: Registry;
  readonly #topics: Topics;
  readonly #retention: Retention;
  readonly #nodes: Nodes;
  readonly #replays: Replays;
  readonly #parts: MessagingParts;
  readonly #pushes: Pushes;

  constructor(options: MessagingOptions) {
    const { metrics, traces, secrets, random, settings, onError, kv, nodes, usage, schemas, ...parts } =
      options;
    const { ackDeadlineSeconds, partitionsMax, batchMax, dedupKeysMax, scheduledMax } = settings;
    const { log, clock } = parts;
    const meters = new MessagingMetrics(metrics);
    const topicSchemas = new TopicSchemas({ schemas, clock, metrics, onError });
    this.#registry = new Registry({
      ...{ log, clock, metrics: meters, tracer: traces, dedupKeysMax, scheduledMax, onError },
      outstandingMax: settings.inFlightMax,
      openDeadLetters: async (of) => (await deadLetterTopics.open(of)).deadLetterQueue(),
      inspect: (spec, messages) => topicSchemas.inspect(spec, messages),
    });
    topicSchemas.watch(this.#registry, (caller, id) => this.#nodes.usesElsewhere(caller, id));
    const { sql, makeId } = parts;
    this.#nodes = new Nodes(
      {
        ...{ sql, kv, log, clock, makeId, metrics, settings: nodes, usage, onError },
        onServed: (unit) => this.#pushes.serve(unit),
        onYield: (unit) => this.#pushes.yield(unit),
      },
      this.#registry,
    );
    this.#registry.serving = this.#nodes.serving;
    const whole: MessagingParts = {
      ...parts,
      registry: this.#registry,
      topicSchemas,
      ackDeadlineSeconds,
      partitionsMax,
      onError,
    };
    const deadLetterTopics = new DeadLetterTopics(whole);
    const deadLetters = new DeadLetters(this.#registry, deadLetterTopics);
    this.#replays = new Replays(whole, deadLetters, onError);
    this.#parts = whole;
    this.#topics = new Topics(whole);
    this.#retention = new Retention(this.#registry, clock, onError);
    const messages = new Messages(this.#registry, limitsOf(settings), traces);
    const delivering = { registry: this.#registry, metrics: meters, tracer: traces, clock, onError };
    this.#pushes = new Pushes({
      ...whole,
      ...delivering,
      ...{ secrets, random, ...pushLimitsOf(settings) },
      refresh: () => this.#nodes.refresh(),
    });
    const settlements = new Settlements(this.#registry, batchMax);
    const routes = [
      ...topicRoutes(this.#topics),
      ...subscriptionRoutes(new Subscriptions(whole)),
      ...deadLetterRoutes(deadLetters, this.#replays),
      ...explanationRoutes(new Explanations(parts.sql, this.#registry, deadLetters)),
      ...messageRoutes(messages),
      ...scheduledRoutes(messages),
      ...settlementRoutes(settlements),
      ...cloudEventRoutes(messages),
      ...eventRoutes(delivering),
      ...pushRoutes(this.#pushes),
      ...streamRoutes({
        ...delivering,
        settlements,
        whereabouts: this.#nodes.whereabouts,
        limits: streamLimitsOf(settings),
      }),
    ];
    this.routes = this.#nodes.routes(routes, messages);
  }

  /** Sums over a tenant's topics, for people. Opens every subscription once, as depths are in their journals. */
  async overview(tenant: string): Promise<MessagingOverview> {
    const sum = { ...nothing };
    for (const topic of this.#registry.all()) {
      if (topic.spec.tenant !== tenant) continue;
      sum.topics += 1;
      sum.publishedTotal += topic.publishedTotal;
      if (!topic.isServed) continue; // another node's; its own page counts it
      for (const partition of await topic.partitions()) sum.bytes += partition.bytes;
      for (const { name } of topic.subscriptions) addTo(sum, await topic.subscription(name));
    }
    return sum;
  }

  async start(): Promise<void> {
    const { sql, log, makeId } = this.#parts;
    await bindLog(sql, log, makeId);
    await this.#topics.load();
    this.#retention.start();
    await this.#replays.start();
    await this.#pushes.start();
  }

  /** Takes part among other nodes, which reach this one at `address`. */
  join(address: string): Promise<void> {
    return this.#nodes.join(address);
  }

  /** Hands over to other nodes; resolves when no request should come here any more. */
  leave(): Promise<void> {
    return this.#nodes.leave();
  }

  async stop(): Promise<void> {
    this.#retention.stop();
    await this.#replays.stop();
    await this.#pushes.stop();
    await this.#registry.close();
    await this.#nodes.stop();
  }
}

/** A batch may be as large as its messages need, within what the HTTP server would take of a stream's lines. */
function limitsOf(settings: MessagingSettings): MessageLimits {
  const { bodyLimitBytes, messageLimitBytes, lineLimitBytes, jsonDepthLimit, batchMax } = settings;
  return {
    jsonDepth: jsonDepthLimit,
    messageBytes: messageLimitBytes,
    batch: batchMax,
    batchBytes: Math.max(bodyLimitBytes, lineLimitBytes, batchBytesMin),
    lineBytes: lineLimitBytes,
    waitMs: settings.consumeWaitMaxSeconds * 1000,
  };
}

function pushLimitsOf(settings: MessagingSettings) {
  const { pushPrivateTargets: privateAllowed, pushFailuresMax: failuresMax, pushPauseMs } = settings;
  return { resolve: systemResolve, privateAllowed, patience: { failuresMax, firstPauseMs: pushPauseMs } };
}

function streamLimitsOf(settings: MessagingSettings) {
  const message = limitsOf(settings);
  return {
    message,
    streams: settings.streamsMax,
    channels: settings.streamChannelsMax,
    idleMs: settings.streamIdleMs,
    publish: { messages: 10_000, bytes: 2 * message.batchBytes },
    settle: settleMax,
  };
}

/** A batch of 1,000 messages of some kilobytes is what clients send. */
const batchBytesMin = 8 << 20;

const nothing = {
  topics: 0,
  subscriptions: 0,
  publishedTotal: 0,
  deliveredTotal: 0,
  ackedTotal: 0,
  redeliveredTotal: 0,
  depth: 0,
  inFlight: 0,
  bytes: 0,
};

export type MessagingOverview = typeof nothing;

function addTo(sum: MessagingOverview, live: LiveSubscription | undefined): void {
  if (!live) return;
  sum.subscriptions += 1;
  sum.deliveredTotal += live.counters.delivered;
  sum.ackedTotal += live.counters.acked;
  sum.redeliveredTotal += live.counters.redelivered;
  sum.depth += live.state.depth;
  sum.inFlight += live.state.inFlight;
}
