/**
 * Who uses a schema version. The registry cannot know: topics, configuration profiles and plugins name schemas,
 * and stand above it. Each tells what it uses through this.
 */
import type { Context } from "../platform/http/route.ts";

export interface SchemaUse {
  kind: "topic" | "subscription" | "consumer" | "config" | "schema";
  name: string;
  /** The topic of a subscription, or the `topic/subscription` of a consumer. */
  of: string | null;
  /** The version that is named, or null for the latest in force. */
  version: number | null;
}

/** The request on whose behalf other nodes are asked: with its token, which each of them verifies. */
export type Caller = Pick<Context, "headers" | "request" | "response" | "requestId">;

export interface Usage {
  /** Of other nodes as far as they list them; `total` counts all. */
  uses: SchemaUse[];
  total: number;
  /** Names of nodes that did not say in time. */
  missing: string[];
}

export interface SchemaUser {
  /** What uses any version of the subject. */
  usesOf(tenant: string, subject: string): Promise<SchemaUse[]> | SchemaUse[];
  /** What uses the version of this id and is known to other nodes alone; nothing when the caller is one of them. */
  usesElsewhere?(caller: Caller, id: string): Promise<Usage>;
  /** Called after a version of the subject came into force or went out of it. */
  changed(tenant: string, subject: string): void;
  /** Texts of the newest payloads of a topic, for trying a schema on them; undefined when there is no such topic. */
  payloads?(tenant: string, topic: string, limit: number): Promise<string[] | undefined>;
}
