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
import type { SecretStore } from "../stores/secrets/port.ts";

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
const secretName = "configuration/flag-tickets";
const keyBytes = 32;

export class FlagTickets {
  readonly #secrets: Pick<SecretStore, "get" | "set">;
  readonly #clock: Clock;
  #key: Promise<Buffer> | undefined;

  constructor(secrets: Pick<SecretStore, "get" | "set">, clock: Clock) {
    this.#secrets = secrets;
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
      this.#key = undefined; // the store may be away for a moment
      throw error;
    });
    return createHmac("sha256", await this.#key)
      .update(text)
      .digest("base64url");
  }

  /** Made at first use. */
  async #openKey(): Promise<Buffer> {
    const kept = await this.#secrets.get(secretName);
    if (kept === undefined) await this.#secrets.set(secretName, randomBytes(keyBytes).toString("base64url"));
    // What is stored counts, should another node have been faster.
    return Buffer.from(kept ?? (await this.#secrets.get(secretName)) ?? "", "base64url");
  }
}
