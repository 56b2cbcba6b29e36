/**
 * Acks, nacks and extensions from the outside: receipts are text, may belong to several subscriptions, and
 * each gets its own outcome. What the subscription answers is turned into counts and catalogue codes here.
 */

import type { ErrorCode } from "../core/catalogue.ts";
import { HotSwapError } from "../core/errors.ts";
import type { Settlement } from "./delivery/cursor.ts";
import { replayPartition } from "./delivery/lanes.ts";
import type { Registry } from "./delivery/registry.ts";
import type { LiveSubscription } from "./delivery/subscription.ts";
import { invalidReceipt, parseMessageId, parseReceipt, type Receipt } from "./ids.ts";
import { invalid } from "./invalid.ts";
import { refuseMore } from "./publish.ts";

export interface Settled {
  settled: number;
  alreadySettled: number;
  failed: { receipt: string; code: ErrorCode; detail: string }[];
}

export interface Nack {
  receipt: string;
  delayMs?: number;
  reason?: string;
  deadLetter?: boolean;
  release?: boolean;
}

interface Claim<Item> {
  text: string;
  receipt: Receipt;
  item: Item;
}

export class Settlements {
  readonly #registry: Registry;

  readonly #batchMax: number;

  constructor(registry: Registry, batchMax: number) {
    this.#registry = registry;
    this.#batchMax = batchMax;
  }

  async ack(tenant: string, receipts: readonly string[]): Promise<Settled> {
    refuseMore(receipts.length, this.#batchMax, "/receipts");
    return this.#each(tenant, receipts, String, (live, claims) =>
      live.ack(claims.map(({ receipt }) => receipt)),
    );
  }

  async nack(tenant: string, items: readonly Nack[]): Promise<Settled> {
    refuseMore(items.length, this.#batchMax, "/items");
    for (const [i, item] of items.entries()) refuseContradiction(item, `/items/${i}`);
    return this.#each(
      tenant,
      items,
      ({ receipt }) => receipt,
      (live, claims) => live.nack(claims.map(({ receipt, item }) => ({ ...item, receipt }))),
    );
  }

  async extend(tenant: string, receipts: readonly string[], seconds: number): Promise<Settled> {
    refuseMore(receipts.length, this.#batchMax, "/receipts");
    return this.#each(tenant, receipts, String, async (live, claims) =>
      live.extend(
        claims.map(({ receipt }) => receipt),
        seconds * 1000,
      ),
    );
  }

  /** As `ack` of one receipt, which must be of this message; what would be listed as failed is thrown. */
  async ackOne(tenant: string, messageId: string, receipt: string): Promise<Settled> {
    this.#requireSameMessage(tenant, messageId, receipt);
    return throwFailed(await this.ack(tenant, [receipt]));
  }

  async nackOne(tenant: string, messageId: string, nack: Nack): Promise<Settled> {
    refuseContradiction(nack, "");
    this.#requireSameMessage(tenant, messageId, nack.receipt);
    return throwFailed(await this.nack(tenant, [nack]));
  }

  #requireSameMessage(tenant: string, messageId: string, text: string): void {
    const id = parseMessageId(messageId);
    const receipt = parseReceipt(text);
    const owner = this.#registry.bySubscription(tenant, receipt.subscription);
    // A replayed message keeps its id, and lies elsewhere.
    const same =
      receipt.partition === replayPartition ||
      (receipt.partition === id.partition && receipt.offset === id.offset);
    if (!same || owner?.topic.spec.number !== id.topic)
      throw invalidReceipt("The receipt is one of another message.");
  }

  async #each<Item>(
    tenant: string,
    items: readonly Item[],
    textOf: (item: Item) => string,
    settle: (live: LiveSubscription, claims: Claim<Item>[]) => Promise<Settlement[]>,
  ): Promise<Settled> {
    const result: Settled = { settled: 0, alreadySettled: 0, failed: [] };
    const groups = new Map<number, Claim<Item>[]>();
    for (const item of items) {
      const text = textOf(item);
      try {
        const receipt = parseReceipt(text);
        const group = groups.get(receipt.subscription);
        if (group) group.push({ text, receipt, item });
        else groups.set(receipt.subscription, [{ text, receipt, item }]);
      } catch (error) {
        addFailure(result, text, error);
      }
    }
    for (const [subscription, claims] of groups) {
      const owner = this.#registry.bySubscription(tenant, subscription);
      const live = await owner?.topic.subscription(owner.name);
      const outcomes = live ? await settle(live, claims) : claims.map((): Settlement => "never");
      claims.forEach(({ text }, index) => {
        count(result, text, outcomes[index]!);
      });
    }
    return result;
  }
}

function count(result: Settled, receipt: string, outcome: Settlement): void {
  if (outcome === "ok") result.settled += 1;
  else if (outcome === "done") result.alreadySettled += 1;
  else if (outcome === "stale") addFailure(result, receipt, new HotSwapError("lease_lost"));
  else addFailure(result, receipt, invalidReceipt("No message was delivered under this receipt."));
}

function addFailure(result: Settled, receipt: string, error: unknown): void {
  if (!(error instanceof HotSwapError)) throw error;
  result.failed.push({ receipt, code: error.code, detail: error.message });
}

function throwFailed(result: Settled): Settled {
  const [failure] = result.failed;
  if (failure) throw new HotSwapError(failure.code, failure.detail);
  return result;
}

/** The topic whose subscription the receipt is of; undefined when nobody knows: its own outcome will say so. */
export function topicOfReceipt(registry: Registry, tenant: string, text: string): string | undefined {
  try {
    return registry.bySubscription(tenant, parseReceipt(text).subscription)?.topic.spec.name;
  } catch {
    return undefined;
  }
}

/** What is released was not tried: it can neither wait nor be given up, and would silently do neither. */
function refuseContradiction({ delayMs, deadLetter, release }: Nack, at: string): void {
  if (!release) return;
  if (deadLetter) throw invalid(`${at}/release`, "cannot stand beside deadLetter");
  if (delayMs !== undefined) throw invalid(`${at}/release`, "cannot stand beside delayMs");
}

/** The bodies of a settlement of several receipts, by topic; undefined for anything else. */
export function partsByTopic(
  body: unknown,
  topicOf: (receipt: string) => string | undefined,
): Map<string | undefined, object> | undefined {
  const given = (body ?? {}) as { receipts?: unknown; items?: unknown };
  const field = Array.isArray(given.receipts) ? "receipts" : "items";
  const entries = given[field];
  if (!Array.isArray(entries)) return undefined;
  const parts = new Map<string | undefined, unknown[]>();
  for (const entry of entries) {
    const topic = topicOf(typeof entry === "string" ? entry : String(entry?.receipt));
    const part = parts.get(topic);
    if (part) part.push(entry);
    else parts.set(topic, [entry]);
  }
  return new Map([...parts].map(([topic, some]) => [topic, { ...given, [field]: some }]));
}

/** What became of several parts. */
export function sumOf(all: readonly Settled[]): Settled {
  return {
    settled: all.reduce((sum, { settled }) => sum + settled, 0),
    alreadySettled: all.reduce((sum, { alreadySettled }) => sum + alreadySettled, 0),
    failed: all.flatMap(({ failed }) => failed),
  };
}

/** A part that could not be carried out at all. */
export function allFailed(body: unknown, { code, message: detail }: HotSwapError): Settled {
  const failed = receiptsOf(body).map((receipt) => ({ receipt, code, detail }));
  return { settled: 0, alreadySettled: 0, failed };
}

function receiptsOf(body: unknown): string[] {
  const { receipts, items } = body as { receipts?: string[]; items?: { receipt: string }[] };
  return receipts ?? items?.map(({ receipt }) => receipt) ?? [];
}
