/** What the tests of messaging say over and over. */
import assert from "node:assert/strict";
import type { ErrorCode } from "../../src/core/catalogue.ts";
import type { Problem } from "../../src/platform/http/problem.ts";
import type { Answer } from "../contract.ts";
import type { Caller } from "../server.ts";

export interface Received {
  messageId: string;
  topic: string;
  partition: number;
  offset: number;
  key: string | null;
  headers: Record<string, string>;
  idempotencyKey?: string;
  scheduledFor?: string;
  payload: unknown;
  publishedAt: string;
  attempt: number;
  receipt: string;
  leaseExpiresAt: string;
}

export function assertRefused(answer: Answer, status: number, code: ErrorCode): Problem {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.json.code, code);
  return answer.json;
}

/** Publishes the payloads as one batch; resolves to the receipts. */
export async function publish(caller: Caller, topic: string, all: readonly unknown[]) {
  const messages = all.map((payload) => ({ payload }));
  return (await caller.ok(caller.post("/messages/publish", { topic, messages }), 201)).messages;
}

export async function consume(
  caller: Caller,
  topic: string,
  query: { subscription?: string; limit?: number; wait?: number } = {},
): Promise<Received[]> {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) search.set(name, String(value));
  return (await caller.ok(caller.get(`/messages/consume/${topic}?${search}`))).messages;
}

/** Takes `count` messages in as many calls as it needs; fails when they do not come. */
export async function take(
  caller: Caller,
  topic: string,
  count: number,
  query: { subscription?: string; wait?: number } = {},
): Promise<Received[]> {
  const taken: Received[] = [];
  while (taken.length < count) {
    const more = await consume(caller, topic, { wait: 10, ...query, limit: count - taken.length });
    assert.ok(more.length > 0, `${taken.length} of ${count} messages came`);
    taken.push(...more);
  }
  return taken;
}

export const payloads = (messages: readonly Received[]) => messages.map(({ payload }) => payload);

export const receipts = (messages: readonly Received[]) => messages.map(({ receipt }) => receipt);

/** All items of a list, page by page. */
export async function walk(caller: Caller, path: string, limit: number): Promise<Answer["json"][]> {
  const items: Answer["json"][] = [];
  const joint = path.includes("?") ? "&" : "?";
  for (let cursor = ""; ; ) {
    const page = await caller.ok(caller.get(`${path}${joint}limit=${limit}${cursor}`));
    assert.ok(page.items.length <= limit);
    items.push(...page.items);
    if (page.next === null) return items;
    cursor = `&cursor=${page.next}`;
  }
}
