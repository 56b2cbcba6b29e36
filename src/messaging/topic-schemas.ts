/**
 * Topics that name a schema: every message is held against it before it is appended, however it comes in. What is
 * in force is looked up beside the way of messages and kept as an immutable snapshot: taken anew when the
 * registry says that the subject has changed, and every few seconds, as another node may have changed it.
 */
import { LRUCache } from "lru-cache";
import type { Clock } from "../core/clock.ts";
import { type FieldError, HotSwapError } from "../core/errors.ts";
import type { Metrics } from "../platform/telemetry/index.ts";
import type {
  Caller,
  SchemaInForce,
  SchemaRegistry,
  SchemaUse,
  SchemaUser,
  Usage,
} from "../schemas/index.ts";
import type { Registry } from "./delivery/registry.ts";
import type { TopicSchema, TopicSpec } from "./delivery/spec.ts";
import { isJsonType, isOpaque, type NewMessage, payloadStart, publishedAtOf } from "./message.ts";

/** Why each message is refused, in order; undefined for one that is not. */
export type Refusals = readonly (HotSwapError | undefined)[];

export interface TopicSchemaParts {
  schemas: Pick<SchemaRegistry, "inForce" | "addUser">;
  clock: Clock;
  metrics: Metrics;
  onError: (error: unknown) => void;
}

type UsesElsewhere = NonNullable<SchemaUser["usesElsewhere"]>;

interface Snapshot {
  inForce: SchemaInForce | undefined;
  takenAt: number;
  isTaking: boolean;
}

const freshMs = 5_000;
const snapshotsMax = 10_000;
const readBytes = 4 << 20;

export class TopicSchemas implements SchemaUser {
  readonly #parts: TopicSchemaParts;
  readonly #snapshots = new LRUCache<string, Snapshot>({ max: snapshotsMax });
  #registry: Registry | undefined;
  #elsewhere: UsesElsewhere | undefined;

  constructor(parts: TopicSchemaParts) {
    this.#parts = parts;
    parts.schemas.addUser(this);
  }

  /** The live topics, which are made with this, and what other nodes know of theirs. */
  watch(registry: Registry, elsewhere: UsesElsewhere): void {
    this.#registry = registry;
    this.#elsewhere = elsewhere;
  }

  /** Throws `validation_failed` unless the schema is there to be named. */
  async refuseUnknown(tenant: string, { subject, version }: TopicSchema): Promise<void> {
    if (await this.#parts.schemas.inForce(tenant, subject, version ?? undefined)) return;
    const which = version === null ? "has no approved version" : `has no version ${version} in force`;
    const fields = [{ pointer: "/schema/subject", message: which }];
    throw new HotSwapError("validation_failed", `The schema ${subject} ${which}.`, { fields });
  }

  /** Undefined when all messages are let in. */
  inspect(
    spec: TopicSpec,
    messages: readonly NewMessage[],
  ): Refusals | undefined | Promise<Refusals | undefined> {
    const { schema } = spec;
    if (!schema) return undefined;
    const key = keyOf(spec.tenant, schema);
    const snapshot = this.#snapshots.get(key);
    if (!snapshot) return this.#take(spec.tenant, schema).then((taken) => this.#judge(spec, taken, messages));
    const isStale = this.#parts.clock.monotonic() - snapshot.takenAt > freshMs;
    if (isStale && !snapshot.isTaking) {
      snapshot.isTaking = true;
      this.#take(spec.tenant, schema).catch((error) => {
        snapshot.isTaking = false;
        this.#parts.onError(error);
      });
    }
    return this.#judge(spec, snapshot.inForce, messages);
  }

  /** Topics of the subject, what subscribes to them, and who was heard of lately; a consumer at the node it is at. */
  usesOf(tenant: string, subject: string): SchemaUse[] {
    const uses: SchemaUse[] = [];
    for (const topic of this.#registry?.all() ?? []) {
      const { spec, subscriptions } = topic;
      if (spec.tenant !== tenant || spec.schema?.subject !== subject) continue;
      uses.push({ kind: "topic", name: spec.name, of: null, version: spec.schema.version });
      const open = new Map([...topic.openSubscriptions()].map(({ name, live }) => [name, live]));
      for (const { name, policy } of subscriptions) {
        const version = policy.schemaVersion ?? spec.schema.version;
        uses.push({ kind: "subscription", name, of: spec.name, version });
        const of = `${spec.name}/${name}`;
        for (const consumer of open.get(name)?.view.consumers.all ?? [])
          uses.push({ kind: "consumer", name: consumer.name, of, version });
      }
    }
    return uses;
  }

  async usesElsewhere(caller: Caller, id: string): Promise<Usage> {
    return (await this.#elsewhere?.(caller, id)) ?? { uses: [], total: 0, missing: [] };
  }

  changed(tenant: string, subject: string): void {
    const start = `${tenant}\n${subject}\n`;
    for (const key of this.#snapshots.keys()) if (key.startsWith(start)) this.#snapshots.delete(key);
  }

  async payloads(tenant: string, name: string, limit: number): Promise<string[] | undefined> {
    const topic = this.#registry?.find(tenant, name);
    if (!topic) return undefined;
    const partitions = await topic.partitions();
    // Messages without a key may all be in one partition; of very many a part of each will do.
    const share = Math.ceil(limit * Math.min(1, 8 / partitions.length));
    const found: { publishedAt: number; payload: string }[] = [];
    for (const log of partitions) {
      for (let from = Math.max(log.start, log.end - share); from < log.end; ) {
        const records = await log.read(from, { records: share, bytes: readBytes });
        if (records.length === 0) break;
        for (const { offset, body } of records) {
          from = offset + 1;
          const payload = () => body.toString("utf8", payloadStart(body));
          if (!isOpaque(body)) found.push({ publishedAt: publishedAtOf(body), payload: payload() });
        }
      }
    }
    found.sort((one, other) => other.publishedAt - one.publishedAt);
    return found.slice(0, limit).map(({ payload }) => payload);
  }

  async #take(tenant: string, schema: TopicSchema): Promise<SchemaInForce | undefined> {
    const inForce = await this.#parts.schemas.inForce(tenant, schema.subject, schema.version ?? undefined);
    const takenAt = this.#parts.clock.monotonic();
    this.#snapshots.set(keyOf(tenant, schema), { inForce, takenAt, isTaking: false });
    return inForce;
  }

  #judge(
    { tenant, name, schema }: TopicSpec,
    inForce: SchemaInForce | undefined,
    messages: readonly NewMessage[],
  ): Refusals | undefined {
    let refused = 0;
    const refusals = messages.map((message) => {
      const refusal = judgement(schema!.subject, inForce, message);
      if (refusal) refused += 1;
      return refusal;
    });
    if (refused === 0) return undefined;
    const { enforcement } = schema!;
    const labels = { tenant, topic: name, enforcement };
    this.#parts.metrics.counter("messages_schema_violations_total").labels(labels).inc(refused);
    return enforcement === "strict" ? refusals : undefined;
  }
}

const keyOf = (tenant: string, { subject, version }: TopicSchema) =>
  `${tenant}\n${subject}\n${version ?? ""}`;

function judgement(
  subject: string,
  inForce: SchemaInForce | undefined,
  { contentType, payload }: NewMessage,
): HotSwapError | undefined {
  if (!inForce)
    return new HotSwapError("schema_not_found", `The topic's schema ${subject} is not in force any more.`);
  const schema = `${subject} version ${inForce.version}`;
  if (!isJsonType(contentType)) {
    return violated(schema, [{ pointer: "/payload", message: "must be JSON: the topic has a schema" }]);
  }
  try {
    const fields = inForce.validator.violations(JSON.parse(payload.toString()), "/payload");
    return fields && violated(schema, fields);
  } catch (error) {
    if (error instanceof HotSwapError) return error;
    throw error;
  }
}

function violated(schema: string, fields: FieldError[]): HotSwapError {
  const [first] = fields;
  const detail = `${first?.pointer} ${first?.message}; the schema is ${schema}.`;
  return new HotSwapError("schema_violated", detail, { fields });
}
