/** A topic in its three shapes: what people give and see, the row in SQL, and what delivery must know of it. */
import type { Durability } from "../stores/log/port.ts";
import type { TopicSpec } from "./delivery/spec.ts";
import type { TopicType } from "./tables.ts";
import type { TopicColumns, TopicRow } from "./topics.sql.ts";

export interface TopicValues {
  name: string;
  type: TopicType;
  partitions: number;
  durability: Durability;
  dedupWindowSeconds: number;
  messageTtlSeconds: number | null;
  description: string;
}

export type NewTopic = Pick<TopicValues, "name"> & Partial<TopicValues>;

export function withDefaults(input: NewTopic): TopicValues {
  return {
    type: "queue",
    partitions: 1,
    durability: "fsync",
    dedupWindowSeconds: 300,
    messageTtlSeconds: null,
    description: "",
    ...input,
  };
}

export function toColumns(values: TopicValues): TopicColumns {
  const { dedupWindowSeconds, messageTtlSeconds, ...same } = values;
  return { ...same, dedup_window_seconds: dedupWindowSeconds, message_ttl_seconds: messageTtlSeconds };
}

export function toValues(row: TopicRow): TopicValues {
  const { name, type, partitions, durability, description } = row;
  return {
    name,
    type,
    partitions,
    durability,
    dedupWindowSeconds: row.dedup_window_seconds,
    messageTtlSeconds: row.message_ttl_seconds,
    description,
  };
}

export function toSpec(row: TopicRow): TopicSpec {
  const { tenant_id: tenant, name, number, partitions, durability, version } = row;
  return {
    tenant,
    name,
    number: Number(number),
    partitions,
    durability,
    dedupWindowMs: row.dedup_window_seconds * 1000,
    messageTtlMs: row.message_ttl_seconds === null ? undefined : row.message_ttl_seconds * 1000,
    version,
    deadLettersOf: row.dead_letters_of ?? undefined,
  };
}
