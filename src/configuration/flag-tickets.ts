/**
 * Tickets for the event streams of flags. An EventSource cannot send a header field, and a token never goes into an
 * address: a ticket stands for its holder there, is good for one configuration's changes and nothing else, and ends
 * with the token for which it was given. The same token gets the same ticket, so that a provider keeps its connection.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import type { Principal } from "../platform/auth/principal.ts";
import type { Sql, Tx } from "../stores/sql/port.ts";

/** Who may hear of what. */
export interface Ticket {
  readonly tenant: string;
  readonly subject: string;
  readonly config: string;
  /** In epoch seconds. */
  readonly expiresAt: number;
}

/** Where streams of flags are. */
export const flagEventsPath = "/ofrep/v1/events";
/** It may evaluate flags, which is what the ticket was given for. */
const holdersRole = "consumer";
const keyBytes = 32;

type KeyTx = Tx<{ config_flag_ticket_key: { is_only: boolean; key: string } }>;

export class FlagTickets {
  readonly #sql: Pick<Sql, "system">;
  readonly #clock: Clock;
  #key: Promise<Buffer> | undefined;

  constructor(sql: Pick<Sql, "system">, clock: Clock) {
    this.#sql = sql;
    this.#clock = clock;
  }

  async issue({ tenant, subject, expiresAt }: Principal, config: string): Promise<string> {
    const facts = Buffer.from(JSON.stringify([tenant, subject, config, expiresAt])).toString("base64url");
    return `${facts}.${await this.#sign(facts)}`;
  }

  /** Throws `token_invalid`. */
  async read(text: string): Promise<Ticket> {
    const [facts = "", signature = ""] = text.split(".", 2);
    const expected = Buffer.from(await this.#sign(facts));
    const given = Buffer.from(signature);
    const isOurs = given.length === expected.length && timingSafeEqual(given, expected);
    if (!isOurs) throw new HotSwapError("token_invalid", "The ticket is not one of this server.");
    const [tenant, subject, config, expiresAt] = JSON.parse(Buffer.from(facts, "base64url").toString());
    return { tenant, subject, config, expiresAt };
  }

  /** Who comes to this address with a ticket and without a token; undefined: nobody does. */
  holderAt({ url = "", headers }: IncomingMessage): Promise<Principal> | undefined {
    const isMeant = headers.authorization === undefined && url.startsWith(`${flagEventsPath}?`);
    const text = isMeant && new URLSearchParams(url.slice(flagEventsPath.length)).get("ticket");
    return text ? this.#holderOf(text) : undefined;
  }

  async #holderOf(text: string): Promise<Principal> {
    const { tenant, subject, expiresAt } = await this.read(text);
    if (this.#clock.now() >= expiresAt * 1_000) throw new HotSwapError("token_expired");
    return { tenant, subject, roles: [holdersRole], attributes: {}, expiresAt };
  }

  async #sign(text: string): Promise<string> {
    this.#key ??= this.#openKey().catch((error) => {
      this.#key = undefined; // SQL may be away for a moment
      throw error;
    });
    return createHmac("sha256", await this.#key)
      .update(text)
      .digest("base64url");
  }

  /** Made at first use; of nodes that make one at once the first counts for all. */
  async #openKey(): Promise<Buffer> {
    const key = randomBytes(keyBytes).toString("base64url");
    const kept = await this.#sql.system(async (tx: KeyTx) => {
      const table = "config_flag_ticket_key";
      await tx
        .insertInto(table)
        .values({ is_only: true, key })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      // A statement of its own sees what another has committed while the insert waited for it.
      return tx.selectFrom(table).select("key").executeTakeFirstOrThrow();
    });
    return Buffer.from(kept.key, "base64url");
  }
}
