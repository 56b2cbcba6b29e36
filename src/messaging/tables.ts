/** The tables of messaging as Kysely sees them; migrations/ is the truth. */
import type { ColumnType, Generated } from "kysely";
import type { Durability } from "../stores/log/port.ts";
import type { SubscriptionPolicy } from "./delivery/policy.ts";
import type { Balancing, Strategy } from "./delivery/routing.ts";
import type { PushFormat } from "./push/content.ts";
import type { Pace } from "./push/pace.ts";
import type { Selection } from "./selection.ts";

export type TopicType = "queue" | "pubsub";

export interface TopicsTable {
  tenant_id: string;
  name: string;
  /** bigint: text on the wire, far below 2^53 in practice. */
  number: ColumnType<string, never, never>;
  type: TopicType;
  partitions: number;
  durability: Durability;
  description: Generated<string>;
  dedup_window_seconds: Generated<number>;
  message_ttl_seconds: Generated<number | null>;
  retention_seconds: Generated<number | null>;
  /** bigint: text on the wire. */
  retention_bytes: ColumnType<string | null, number | null | undefined, number | null>;
  retain: Generated<"unacknowledged" | "limits">;
  schema_subject: Generated<string | null>;
  schema_version: Generated<number | null>;
  schema_enforcement: Generated<"strict" | "warn">;
  dead_letters_of: Generated<string | null>;
  strategy: Strategy;
  balancing: Generated<Balancing>;
  version: Generated<number>;
  created_at: Date;
  updated_at: Date;
}

export interface SubscriptionsTable {
  tenant_id: string;
  id: string;
  number: ColumnType<string, never, never>;
  topic: string;
  name: string;
  ack_deadline_seconds: number;
  start_offsets: ColumnType<number[], string, never>;
  /** What differs from the usual policy; may be empty. */
  policy: ColumnType<Partial<SubscriptionPolicy>, string, string>;
  version: Generated<number>;
  created_at: Date;
  updated_at: Date;
}

export interface ReplaysTable {
  tenant_id: string;
  id: string;
  topic: string;
  action: "replay" | "discard";
  selection: ColumnType<Selection, string, never>;
  until: ColumnType<string, number, never>;
  rate: number | null;
  status: "running" | "done" | "cancelled" | "failed";
  matched: number;
  processed: Generated<number>;
  failed: Generated<number>;
  error: Generated<string | null>;
  created_by: string;
  created_at: Date;
  updated_at: Date;
}

export interface PushTable {
  tenant_id: string;
  subscription_id: string;
  url: string;
  format: PushFormat;
  batch: number;
  concurrency: number;
  timeout_seconds: number;
  pace: ColumnType<Pace, string, string>;
  created_at: ColumnType<Date, Date, never>;
  updated_at: Date;
}

export interface MessagingTables {
  messaging_replays: ReplaysTable;
  messaging_push: PushTable;
  messaging_topics: TopicsTable;
  messaging_subscriptions: SubscriptionsTable;
  messaging_log: { single: Generated<boolean>; log_id: string };
  messaging_garbage: { tenant_id: string; partition: string; deleted_at: Date };
}
