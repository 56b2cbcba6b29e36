/** A topic in its three shapes: what people give and see, the row in SQL, and what delivery must know of it. */
import type { Durability } from "../stores/log/port.ts";
import { type Balancing, lanesPerPartition, type Strategy } from "./delivery/routing.ts";
import type { TopicSchema, TopicSpec } from "./delivery/spec.ts";
import type { TopicType } from "./tables.ts";
import type { TopicColumns, TopicRow } from "./topics.sql.ts";

export interface TopicValues {
  name: string;
  type: TopicType;
  partitions: number;
  durability: Durability;
  dedupWindowSeconds: number;
  messageTtlSeconds: number | null;
  retentionSeconds: number | null;
  retentionBytes: number | null;
  retain: "unacknowledged" | "limits";
  schema: TopicSchema | null;
  strategy: Strategy;
  balancing: Balancing;
  description: string;
}

/** As people give it: the latest version in force, and strict, unless they say otherwise. */
export type GivenSchema = Pick<TopicSchema, "subject"> & Partial<TopicSchema>;

export type NewTopic = Pick<TopicValues, "name"> &
  Partial<Omit<TopicValues, "schema">> & { schema?: GivenSchema | null };

export function withDefaults(input: NewTopic): TopicValues {
  return {
    type: "queue",
    strategy: usualStrategy(input.type),
    balancing: "round-robin",
    partitions: 1,
    durability: "fsync",
    dedupWindowSeconds: 300,
    messageTtlSeconds: null,
    // A queue is for work: what is done may go. Of a pubsub topic others may want to read it yet.
    retentionSeconds: input.type === "pubsub" ? null : 0,
    retentionBytes: null,
    retain: "unacknowledged",
    description: "",
    ...input,
    schema: wholeSchema(input.schema),
  };
}

export function wholeSchema(given: GivenSchema | null | undefined): TopicSchema | null {
  return given ? { version: null, enforcement: "strict", ...given } : null;
}

const usualStrategy = (type: TopicType = "queue"): Strategy =>
  type === "queue" ? "load-balanced" : "fan-out";

export function toColumns(values: TopicValues): TopicColumns {
  const { dedupWindowSeconds, messageTtlSeconds, retentionSeconds, retentionBytes, schema, ...same } = values;
  return {
    ...same,
    dedup_window_seconds: dedupWindowSeconds,
    message_ttl_seconds: messageTtlSeconds,
    retention_seconds: retentionSeconds,
    retention_bytes: retentionBytes,
    schema_subject: schema?.subject ?? null,
    schema_version: schema?.version ?? null,
    schema_enforcement: schema?.enforcement ?? "strict",
  };
}

export function toValues(row: TopicRow): TopicValues {
  const { name, type, partitions, durability, strategy, balancing, description } = row;
  return {
    name,
    type,
    partitions,
    durability,
    dedupWindowSeconds: row.dedup_window_seconds,
    messageTtlSeconds: row.message_ttl_seconds,
    retentionSeconds: row.retention_seconds,
    retentionBytes: bytesOf(row),
    retain: row.retain,
    schema: schemaOf(row),
    strategy,
    balancing,
    description,
  };
}

export function toSpec(row: TopicRow): TopicSpec {
  const { tenant_id: tenant, name, number, durability, strategy, balancing, version } = row;
  return {
    tenant,
    name,
    number: Number(number),
    partitions: row.partitions * lanesPerPartition(strategy),
    routing: { strategy, balancing },
    durability,
    dedupWindowMs: row.dedup_window_seconds * 1000,
    retentionMs: row.retention_seconds === null ? undefined : row.retention_seconds * 1000,
    retentionBytes: bytesOf(row) ?? undefined,
    retain: row.retain,
    messageTtlMs: row.message_ttl_seconds === null ? undefined : row.message_ttl_seconds * 1000,
    version,
    schema: schemaOf(row) ?? undefined,
    deadLettersOf: row.dead_letters_of ?? undefined,
  };
}

const bytesOf = ({ retention_bytes: bytes }: TopicRow): number | null =>
  bytes === null ? null : Number(bytes);

function schemaOf({
  schema_subject: subject,
  schema_version,
  schema_enforcement,
}: TopicRow): TopicSchema | null {
  return subject === null ? null : { subject, version: schema_version, enforcement: schema_enforcement };
}
