/**
 * Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): the work of a request runs once per key, a
 * repeat gets the first answer. Work that fails gives its key back, because it has changed nothing.
 *
 * The key is taken before the work, in a transaction of its own, with a deadline: when a server dies with
 * the work in hand, the key is free again after it. Work that had committed then but whose answer was not
 * kept yet runs once more at a repeat and meets its own traces (`already_exists`); that window is the time
 * from one commit to the next. So is work that takes longer than the deadline, which therefore must be
 * above the time of any request.
 */
import { createHash } from "node:crypto";
import type { Clock, Timer } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import type { MakeId } from "../../core/ids.ts";
import { canonicalJson } from "../../core/json.ts";
import type { Service } from "../../core/lifecycle.ts";
import type { Sql } from "../../stores/sql/port.ts";
import type { Principal } from "../auth/principal.ts";
import type { Reply } from "../http/route.ts";
import { fromStored, type StoredAnswer, toStored } from "./answer.ts";
import {
  findKey,
  giveBack,
  type IdempotencyTables,
  type KeyId,
  type KeyRow,
  keepAnswer,
  sweep,
  takeKey,
} from "./keys.sql.ts";

export interface IdempotencyOptions {
  sql: Sql;
  clock: Clock;
  makeId: MakeId;
  /** After this a key whose work has not ended is free again; default one minute. */
  deadlineMs?: number;
  /** How long an answer is kept; default one day. */
  keepMs?: number;
  /**
   * Told of failures that the caller is better off without: the work was done, but its answer could not be
   * kept.
   */
  onError?: (error: unknown) => void;
}

const sweepIntervalMs = 600_000;
const retryAfterMs = 1_000;

export class Idempotency implements Service {
  readonly name = "idempotency";
  readonly #options: Required<IdempotencyOptions>;
  #timer: Timer | undefined;
  #sweeping: Promise<unknown> = Promise.resolve();

  constructor(options: IdempotencyOptions) {
    this.#options = { deadlineMs: 60_000, keepMs: 86_400_000, onError: () => {}, ...options };
  }

  async start(): Promise<void> {
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#sweeping;
  }

  /**
   * Runs the work, or answers what it answered the first time. Throws what the work throws,
   * `validation_failed` for a bad key, `idempotency_key_reused` for another request,
   * `idempotency_in_progress` while it is running. `key` is the header as it came; `print` is the
   * `fingerprint` of all that makes the request.
   */
  async run(
    principal: Principal,
    routeId: string,
    key: string,
    print: string,
    work: () => Promise<Reply>,
  ): Promise<Reply> {
    const { tenant, subject } = principal;
    const id: KeyId = { tenant_id: tenant, subject, route: routeId, key: parseKey(key) };
    const run = this.#options.makeId();
    const answer = await this.#take(id, print, run);
    if (answer) return fromStored(answer);
    let reply: Reply;
    try {
      reply = await work();
    } catch (error) {
      await this.#finish(tenant, (tx) => giveBack(tx, id, run));
      throw error;
    }
    const stored = toStored(reply);
    await this.#finish(tenant, (tx) => keepAnswer(tx, id, run, stored));
    return reply;
  }

  /** Removes what is kept no longer; resolves to how many. */
  sweep(): Promise<number> {
    const now = new Date(this.#options.clock.now());
    return this.#options.sql.system<IdempotencyTables, number>((tx) => sweep(tx, now));
  }

  /** Takes the key for this run, or resolves to the answer that is there. */
  async #take(id: KeyId, print: string, run: string): Promise<StoredAnswer | undefined> {
    const { sql, clock, deadlineMs, keepMs } = this.#options;
    const now = clock.now();
    const times = {
      now: new Date(now),
      deadline: new Date(now + deadlineMs),
      expires_at: new Date(now + keepMs),
    };
    const row = await sql.tenant<IdempotencyTables, KeyRow | undefined>(id.tenant_id, async (tx) => {
      for (;;) {
        if (await takeKey(tx, id, print, run, times)) return undefined;
        const found = await findKey(tx, id);
        if (found) return found; // else it was given back in between
      }
    });
    if (!row) return undefined;
    if (row.fingerprint !== print) throw new HotSwapError("idempotency_key_reused");
    if (row.body_type === null)
      throw new HotSwapError("idempotency_in_progress", undefined, { retryAfterMs });
    return { ...row, body_type: row.body_type, headers: row.headers ?? "{}" };
  }

  async #finish(tenant: string, step: (tx: Parameters<typeof giveBack>[0]) => Promise<void>): Promise<void> {
    await this.#options.sql.tenant<IdempotencyTables, void>(tenant, step).catch(this.#options.onError);
  }

  #arm(): void {
    this.#timer = this.#options.clock.after(sweepIntervalMs, () => {
      this.#sweeping = this.sweep()
        .catch(this.#options.onError)
        .finally(() => {
          if (this.#timer) this.#arm();
        });
    });
  }
}

/** SHA-256 over what makes a request: path parameters, query and body. */
export function fingerprint(...parts: unknown[]): string {
  const text = canonicalJson(
    parts.map((part) => (Buffer.isBuffer(part) ? part.toString("base64") : (part ?? null))),
  );
  return createHash("sha256").update(text).digest("hex");
}

/** The draft wants a quoted string (RFC 9651 §3.3.3); most clients send it bare. Both name the same key. */
export function parseKey(header: string): string {
  const quoted = /^"((?:[ !#-[\]-~]|\\["\\])*)"$/.exec(header.trim());
  const key = quoted ? quoted[1]!.replaceAll(/\\(.)/g, "$1") : header.trim();
  if (/^[ -~]{1,255}$/.test(key)) return key;
  const field = { pointer: "header/Idempotency-Key", message: "must be 1 to 255 printable ASCII characters" };
  throw new HotSwapError("validation_failed", `Idempotency-Key ${field.message}.`, { fields: [field] });
}
