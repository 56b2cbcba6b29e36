/**
 * Replaying dead letters: each goes back to the subscription that failed, and to no other; then the queue is told that
 * it is dealt with. A parked one is tried again in its old place, so that its key goes on in order; others come
 * through the subscription's lane for replays. To discard is the same without the delivery.
 *
 * A replay is a row in SQL that says what was selected and how far it is. It goes on after a restart: what it has
 * done is no longer in the queue. Both steps are synced, one batch at a time, and a run begins by looking at what was
 * replayed last, so a crash between them repeats nothing.
 */
import { type Clock, sleep } from "../core/clock.ts";
import { HotSwapError, hasCode } from "../core/errors.ts";
import { type Actor, change } from "../platform/http/change.ts";
import type { Tx } from "../stores/sql/port.ts";
import type { DeadLetters, OpenQueue } from "./dead-letters.ts";
import type { LiveSubscription } from "./delivery/subscription.ts";
import { parseMessageId } from "./ids.ts";
import { type Origin, originOf } from "./message.ts";
import * as rows from "./replays.sql.ts";
import { type DeadLetter, refuseEmpty, type Selection } from "./selection.ts";
import type { MessagingTables } from "./tables.ts";
import type { MessagingParts } from "./topics.ts";

type MessagingTx = Tx<MessagingTables>;
type Action = rows.ReplayRow["action"];

/** Dead letters that are under way together. */
const batchMax = 100;
const sampleMax = 20;
const leftBehind = ["shutting_down", "topic_moved", "log_fenced"] as const;

export interface NewReplayRequest extends Selection {
  action?: Action;
  ratePerSecond?: number;
}

export class Replays {
  readonly #parts: MessagingParts;
  readonly #deadLetters: DeadLetters;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #running = new Map<string, { cancel: AbortController; end: Promise<void> }>();

  constructor(parts: MessagingParts, deadLetters: DeadLetters, onError: (error: unknown) => void) {
    this.#parts = parts;
    this.#deadLetters = deadLetters;
    this.#clock = parts.clock;
    this.#onError = onError;
  }

  /**
   * Goes on with what was running when the server ended. With several nodes the one that serves the topic takes a
   * replay up when somebody looks at it.
   */
  async start(): Promise<void> {
    if (this.#parts.log.shared) return;
    for (const row of await this.#parts.sql.system((tx: MessagingTx) => rows.selectRunning(tx)))
      this.#launch(row);
  }

  async stop(): Promise<void> {
    const running = [...this.#running.values()];
    for (const { cancel } of running) cancel.abort();
    await Promise.all(running.map(({ end }) => end));
  }

  /** Begins a replay. With `dryRun` it says what would go, and the row is rolled back. */
  async create(actor: Actor, topic: string, request: NewReplayRequest) {
    const { principal, requestId } = actor;
    const { sql, audit, makeId } = this.#parts;
    const { tenant } = principal;
    const { action = "replay", ratePerSecond = null, ...selection } = request;
    refuseEmpty(selection, "");
    const queue = await this.#deadLetters.queueOf(tenant, topic);
    const until = queue?.log.end ?? 0;
    const sample: string[] = [];
    let matched = 0;
    for await (const letter of queue ? this.#deadLetters.select(queue, selection, 0, until) : []) {
      matched += 1;
      if (sample.length < sampleMax) sample.push(letter.messageId);
    }
    const values = { id: makeId(), topic, action, selection, until, rate: ratePerSecond, matched };
    const work = async (tx: MessagingTx) => {
      const now = new Date(this.#clock.now());
      const row = await rows.insertReplay(tx, tenant, { ...values, created_by: principal.subject }, now);
      if (!row) throw new HotSwapError("replay_running", `A replay of ${topic} is running already.`);
      const resource = `topics/${topic}/dlq/replays/${row.id}`;
      const detail = { action, selection, matched };
      await audit.record(tx, { principal, action: "deadletters.replay", resource, requestId, detail });
      return row;
    };
    const row = await change(sql, actor, work, (begun) => this.#launch(begun));
    return { row, sample };
  }

  async get(tenant: string, topic: string, id: string): Promise<rows.ReplayRow> {
    const row = await this.#parts.sql.tenant(tenant, async (tx: MessagingTx) =>
      found(await rows.selectReplay(tx, tenant, id), topic),
    );
    this.#launch(row);
    return row;
  }

  list(tenant: string, topic: string, page: { after: string | undefined; limit: number }) {
    return this.#parts.sql.tenant(tenant, (tx: MessagingTx) => rows.selectReplays(tx, tenant, topic, page));
  }

  /** What it has done stays done. Cancelling one that has ended changes nothing. */
  async cancel(actor: Actor, topic: string, id: string): Promise<rows.ReplayRow> {
    const { principal, requestId } = actor;
    const { tenant } = principal;
    const work = async (tx: MessagingTx) => {
      const row = found(await rows.selectReplay(tx, tenant, id), topic);
      const now = new Date(this.#clock.now());
      const cancelled = await rows.updateReplay(tx, tenant, id, { status: "cancelled" }, now);
      const resource = `topics/${topic}/dlq/replays/${id}`;
      const action = "deadletters.cancel";
      await this.#parts.audit.record(tx, { principal, action, resource, requestId });
      return cancelled ?? row;
    };
    return change(this.#parts.sql, actor, work, () => this.#running.get(id)?.cancel.abort());
  }

  /** Replays one dead letter, now. Throws `message_not_found`, `replay_refused`. */
  async replayOne(actor: Actor, id: string): Promise<{ messageId: string; subscription: string }> {
    const { principal, requestId } = actor;
    const { queue, letter } = await this.#deadLetters.find(principal.tenant, id);
    const { messageId, subscription } = letter.origin;
    const resource = `messages/${id}`;
    const work = (tx: MessagingTx) =>
      this.#parts.audit.record(tx, { principal, action: "message.replay", resource, requestId });
    await change(this.#parts.sql, actor, work, async () => {
      const done = await this.#process(queue, [letter], "replay", false);
      if (done > 0) return;
      const detail = `The subscription ${subscription} is gone, or a consumer of the dead-letter queue holds the message.`;
      throw new HotSwapError("replay_refused", detail);
    });
    return { messageId, subscription };
  }

  #launch(row: rows.ReplayRow): void {
    if (row.status !== "running" || this.#running.has(row.id)) return;
    const cancel = new AbortController();
    const end = this.#run(row, cancel.signal)
      .catch((error) => this.#end(row, error, cancel.signal))
      .finally(() => this.#running.delete(row.id));
    this.#running.set(row.id, { cancel, end });
  }

  async #run(row: rows.ReplayRow, signal: AbortSignal): Promise<void> {
    const { tenant_id: tenant, topic, selection, action, rate } = row;
    const queue = await this.#deadLetters.queueOf(tenant, topic);
    let { processed, failed } = row;
    let isFirst = true;
    let batch: DeadLetter[] = [];
    const flush = async () => {
      if (batch.length === 0) return;
      const done = await this.#process(queue!, batch, action, isFirst);
      processed += done;
      failed += batch.length - done;
      await this.#note(row, { processed, failed });
      // Paced by whole batches: a slow rate has small ones.
      if (rate !== null) await sleep(this.#clock, (batch.length * 1000) / rate, signal);
      isFirst = false;
      batch = [];
    };
    const size = rate === null ? batchMax : Math.max(1, Math.min(batchMax, Math.floor(rate / 10)));
    for await (const letter of queue
      ? this.#deadLetters.select(queue, selection, 0, Number(row.until))
      : []) {
      if (signal.aborted) return;
      batch.push(letter);
      if (batch.length >= size) await flush();
    }
    await flush();
    await this.#note(row, { status: "done", processed, failed });
  }

  /** A server that stops, or serves the topic no more, leaves it running in SQL: whoever serves it next goes on. */
  async #end(row: rows.ReplayRow, error: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted || leftBehind.some((code) => hasCode(error, code))) return;
    this.#onError(error);
    const text = error instanceof HotSwapError ? error.message : "It failed inside; the log holds the cause.";
    await this.#note(row, { status: "failed", error: text }).catch(this.#onError);
  }

  async #note(row: rows.ReplayRow, values: Parameters<typeof rows.updateReplay>[3]): Promise<void> {
    const { tenant_id: tenant, id } = row;
    const now = new Date(this.#clock.now());
    await this.#parts.sql.tenant(tenant, (tx: MessagingTx) => rows.updateReplay(tx, tenant, id, values, now));
  }

  /** Resolves to how many are dealt with; the others stay where they are. */
  async #process(
    queue: OpenQueue,
    letters: DeadLetter[],
    action: Action,
    mayBeThere: boolean,
  ): Promise<number> {
    const claimed = new Set(
      queue.live.claim(
        0,
        letters.map(({ offset }) => offset),
      ),
    );
    const own = letters.filter(({ offset }) => claimed.has(offset));
    const sent: DeadLetter[] = [];
    try {
      for (const [name, group] of Map.groupBy(own, ({ origin }) => origin.subscription)) {
        const target = await this.#target(queue, name);
        if (target && action === "replay") await this.#send(target, group, mayBeThere);
        else if (action === "discard") for (const letter of group) await release(target, letter);
        else continue;
        sent.push(...group);
      }
    } finally {
      const done = new Set(sent);
      const kept = own.filter((letter) => !done.has(letter));
      await queue.live.endClaims(
        0,
        kept.map(({ offset }) => offset),
        false,
      );
      if (sent.length > 0)
        await queue.live.endClaims(
          0,
          sent.map(({ offset }) => offset),
          true,
        );
    }
    return sent.length;
  }

  async #target(queue: OpenQueue, name: string): Promise<LiveSubscription | undefined> {
    const { tenant, deadLettersOf } = queue.topic.spec;
    return this.#parts.registry.find(tenant, deadLettersOf ?? "")?.subscription(name);
  }

  async #send(target: LiveSubscription, letters: DeadLetter[], mayBeThere: boolean): Promise<void> {
    // A run that was cut short may have sent its last batch without telling the queue.
    const last = mayBeThere ? await target.replayed(4 * batchMax) : [];
    const there = new Set(last.map((body) => (JSON.parse(originOf(body)!) as Origin).deadLetterId));
    const bodies: Buffer[] = [];
    for (const letter of letters) {
      const { deadLetterId } = letter.origin;
      if (there.has(deadLetterId) || (await revive(target, letter))) continue;
      bodies.push(letter.body);
    }
    if (bodies.length > 0) await target.replay(bodies);
  }
}

/** Where the message of a dead letter is, or was, in its subscription; undefined for a later one of the same name. */
function placeIn(target: LiveSubscription, { origin }: DeadLetter) {
  const { topic: subscription, partition, offset } = parseMessageId(origin.deadLetterId);
  return subscription === target.number ? { partition, offset } : undefined;
}

/** A parked message is tried again in its place; one that is open there was revived by a run that was cut short. */
async function revive(target: LiveSubscription, letter: DeadLetter): Promise<boolean> {
  const place = placeIn(target, letter);
  if (!place) return false;
  if (await target.revive(place.partition, place.offset)) return true;
  return !target.isDone(place.partition, place.offset);
}

async function release(target: LiveSubscription | undefined, letter: DeadLetter): Promise<void> {
  const place = target && placeIn(target, letter);
  if (place) await target.discard(place.partition, place.offset);
}

function found(row: rows.ReplayRow | undefined, topic: string): rows.ReplayRow {
  if (row?.topic === topic) return row;
  throw new HotSwapError("replay_not_found", `There is no replay with this id of ${topic}.`);
}
