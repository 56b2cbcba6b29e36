/**
 * @hotswap/client: what HotSwap's API offers, typed, without dependencies, in Node and in browsers.
 *
 *   const hotswap = new HotSwap({ url: "http://127.0.0.1:7070", token });
 *   await hotswap.topics.create({ name: "orders" });
 *   await hotswap.messages.publish("orders", { payload: { id: 1 } });
 *   for await (const message of hotswap.messages.consume("orders")) await message.ack();
 *
 * In Node, `connect` of `@hotswap/client/node` gives the same over a faster wire.
 */
import { Approvals } from "./approvals.ts";
import { Audit } from "./audit.ts";
import { Configs } from "./configs.ts";
import { type ConfigurationOptions, ConfigurationWatcher } from "./configuration.ts";
import { DeadLetters } from "./dead-letters.ts";
import { Deployments } from "./deployments.ts";
import { Gateway } from "./gateway.ts";
import { Instances } from "./instances.ts";
import { Messages } from "./messages.ts";
import { Pushes } from "./pushes.ts";
import { Scheduled } from "./scheduled.ts";
import { Schemas } from "./schemas.ts";
import { Secrets } from "./secrets.ts";
import { Stream, type StreamOptions } from "./stream.ts";
import { Subscriptions } from "./subscriptions.ts";
import { System } from "./system.ts";
import { Topics } from "./topics.ts";
import { Transport, type TransportOptions } from "./transport.ts";
import { type StandardSchema, TypedTopic } from "./typed-topic.ts";

export class HotSwap {
  readonly topics: Topics;
  readonly subscriptions: Subscriptions;
  readonly pushes: Pushes;
  readonly messages: Messages;
  readonly scheduled: Scheduled;
  readonly schemas: Schemas;
  readonly deadLetters: DeadLetters;
  readonly audit: Audit;
  readonly approvals: Approvals;
  readonly gateway: Gateway;
  readonly instances: Instances;
  readonly deployments: Deployments;
  readonly configs: Configs;
  readonly secrets: Secrets;
  readonly system: System;
  readonly #transport: Transport;

  constructor(options: TransportOptions) {
    this.#transport = new Transport(options);
    this.topics = new Topics(this.#transport);
    this.subscriptions = new Subscriptions(this.#transport);
    this.pushes = new Pushes(this.#transport);
    this.messages = new Messages(this.#transport);
    this.scheduled = new Scheduled(this.#transport);
    this.schemas = new Schemas(this.#transport);
    this.deadLetters = new DeadLetters(this.#transport);
    this.audit = new Audit(this.#transport);
    this.approvals = new Approvals(this.#transport);
    this.gateway = new Gateway(this.#transport);
    this.instances = new Instances(this.#transport);
    this.deployments = new Deployments(this.#transport);
    this.configs = new Configs(this.#transport);
    this.secrets = new Secrets(this.#transport);
    this.system = new System(this.#transport);
  }

  /** A topic whose payloads have the type of a schema (Standard Schema: zod, valibot, arktype …). */
  topic<Schema extends StandardSchema<never, unknown>>(name: string, schema: Schema): TypedTopic<Schema> {
    return new TypedTopic(this.messages, name, schema);
  }

  /** One WebSocket for publishing and consuming: the fastest way. Connects at first use. */
  stream(options: StreamOptions = {}): Stream {
    return new Stream(this.#transport, options);
  }

  /** Keeps this instance of a service at the configuration that it should run; resolves when it does. */
  configuration(options: ConfigurationOptions): Promise<ConfigurationWatcher> {
    return new ConfigurationWatcher(this.#transport, this.instances, options).start();
  }

  /** Gives back idle connections, where the wire keeps some. */
  close(): void {
    this.#transport.wire.close?.();
  }
}

export type * from "./approvals.ts";
export type * from "./audit.ts";
export type * from "./configs.ts";
export type { ConfigurationCache, ConfigurationOptions, ConfigurationWatcher } from "./configuration.ts";
export type { ConfigDocument, Refusal, SavedState } from "./configuration-state.ts";
export type { ConsumeOptions, Consumer, Delivery, PullOptions } from "./consumer.ts";
export type * from "./dead-letters.ts";
export type * from "./deployments.ts";
export type * from "./gateway.ts";
export type * from "./gateway-routes.ts";
export type * from "./gateway-services.ts";
export type * from "./gateway-traffic.ts";
export {
  type Handleable,
  Inbox,
  type InboxClient,
  type InboxOptions,
  type InboxPool,
  type InboxTransaction,
} from "./inbox.ts";
export type * from "./instances.ts";
export type * from "./message.ts";
export type { Messages } from "./messages.ts";
export {
  type ConnectionFailure,
  type FieldError,
  HotSwapConnectionError,
  HotSwapProblem,
} from "./problem.ts";
export type { Publisher, PublisherOptions } from "./publisher.ts";
export type * from "./pushes.ts";
export type * from "./scheduled.ts";
export type * from "./schemas.ts";
export type * from "./secrets.ts";
export type { OpenSocket, Socket, SocketEvents, SocketRequest } from "./socket.ts";
export type { Stream, StreamOptions } from "./stream.ts";
export type { StreamConsumeOptions, StreamConsumer } from "./stream-consumer.ts";
export type { StreamDelivery } from "./stream-delivery.ts";
export type { RawMessage, StreamPublisher, StreamPublisherOptions } from "./stream-publisher.ts";
export type * from "./subscriptions.ts";
export type * from "./system.ts";
export type * from "./topics.ts";
export type { CallOptions, Page, PageOptions, RetryPolicy, Token, TransportOptions } from "./transport.ts";
export type { SchemaIssue, SchemaResult, StandardSchema, TypedTopic } from "./typed-topic.ts";
export { fetchWire, type Wire, type WireRequest, type WireResponse } from "./wire.ts";
