/**
 * Issuers whose tokens routes accept, with their public keys: found by OpenID Connect discovery or at a JWKS address,
 * read again every few minutes, and kept while the issuer cannot be reached. The data plane asks nobody.
 *
 * A policy that names no issuer means those that HotSwap itself trusts, which are handed in.
 */
import { createHash } from "node:crypto";
import type { Clock, Timer } from "../core/clock.ts";
import { canonicalJson } from "../core/json.ts";
import type { TokenIssuer } from "./proxy/snapshot.ts";
import type { RouteSpec } from "./routes.schema.ts";

type JwtSpec = NonNullable<NonNullable<RouteSpec["auth"]>["jwt"]>;
type Jwk = Readonly<Record<string, unknown>>;

export interface OwnIssuer {
  issuer: string;
  audience: string;
  tenantClaim: string;
  defaultTenant?: string;
  keys?: readonly Jwk[];
}

export interface IssuersOptions {
  clock: Clock;
  /** Those that HotSwap trusts: its own, with keys, and the one of the settings, whose keys are fetched. */
  own: readonly OwnIssuer[];
  onChange(): void;
  onError(error: unknown): void;
  fetch?: typeof fetch;
}

interface Named {
  issuer: string;
  jwksUrl?: string;
  audience?: string;
  tenantClaim?: string;
  defaultTenant?: string;
}

interface Watched extends Named {
  keys: readonly Jwk[];
  first: Promise<void>;
  timer: Timer | undefined;
  askedAt: number;
  /** Why its keys could not be read when they were asked for last. */
  problem: string | undefined;
}

const refreshMs = 300_000;
const retryMs = 5_000;
/** Whoever makes up keys must not make the issuer busy. */
const soonestMs = 10_000;
const timeoutMs = 5_000;
const documentBytesMax = 1 << 20;
const algorithms = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];

export class Issuers {
  readonly #options: IssuersOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #own: string[];
  #stopped = false;

  constructor(options: IssuersOptions) {
    this.#options = options;
    this.#own = options.own.map(({ keys, ...named }) => this.#watch(named, keys));
  }

  /** Ids for the snapshot; begins to fetch what is new. */
  idsOf({ issuer, jwksUrl }: JwtSpec): readonly string[] {
    if (issuer === undefined) return this.#own;
    return [this.#watch(namedIn(issuer, jwksUrl))];
  }

  list(): TokenIssuer[] {
    return [...this.#watched].map(([id, { jwksUrl, first, timer, askedAt, problem, ...issuer }]) => ({
      id,
      algorithms,
      ...issuer,
    }));
  }

  /** Why routes that rely on this issuer refuse tokens, or will once its keys change. */
  problemOf(jwt: JwtSpec): string | undefined {
    if (jwt.issuer === undefined) return undefined;
    return this.#watched.get(idOf(namedIn(jwt.issuer, jwt.jwksUrl)))?.problem;
  }

  /** Asks for the keys again before their time, as a token has come that none of them has signed. */
  lookSoon(id: string): void {
    const watched = this.#watched.get(id);
    // Those of HotSwap's own issuer are not fetched.
    if (!watched?.timer || this.#options.clock.monotonic() < watched.askedAt + soonestMs) return;
    watched.timer.cancel();
    watched.timer = undefined; // until it has answered, nobody asks again
    void this.#refresh(watched);
  }

  /** Resolves when every issuer has been asked once. */
  async settled(): Promise<void> {
    await Promise.all([...this.#watched.values()].map(({ first }) => first));
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#watched.values()) timer?.cancel();
  }

  #watch(named: Named, keys?: readonly Jwk[]): string {
    const id = idOf(named);
    if (this.#watched.has(id)) return id;
    const watched: Watched = {
      ...{ ...named, keys: keys ?? [], first: Promise.resolve() },
      ...{ timer: undefined, askedAt: Number.NEGATIVE_INFINITY, problem: undefined },
    };
    this.#watched.set(id, watched);
    if (keys === undefined) watched.first = this.#refresh(watched);
    this.#options.onChange();
    return id;
  }

  async #refresh(watched: Watched): Promise<void> {
    let waitMs = refreshMs;
    watched.askedAt = this.#options.clock.monotonic();
    try {
      const keys = await this.#fetchKeys(watched);
      watched.problem = undefined;
      if (canonicalJson(keys) !== canonicalJson(watched.keys)) {
        watched.keys = keys;
        if (!this.#stopped) this.#options.onChange();
      }
    } catch (error) {
      waitMs = retryMs;
      const isNews = watched.problem === undefined;
      watched.problem = `its keys cannot be read: ${reasonOf(error)}`;
      // Told once, not with each attempt.
      const named = new Error(`issuer ${watched.issuer}: ${watched.problem}`, { cause: error });
      if (isNews && !this.#stopped) this.#options.onError(named);
    }
    if (!this.#stopped) watched.timer = this.#options.clock.after(waitMs, () => void this.#refresh(watched));
  }

  async #fetchKeys({ issuer, jwksUrl }: Watched): Promise<Jwk[]> {
    let url = jwksUrl;
    if (url === undefined) {
      const document = await this.#json(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
      if (document.issuer !== issuer)
        throw new Error(`the discovery document of ${issuer} is of another issuer`);
      if (typeof document.jwks_uri !== "string")
        throw new Error(`the discovery document of ${issuer} has no jwks_uri`);
      url = document.jwks_uri;
    }
    const { keys } = await this.#json(url);
    if (!Array.isArray(keys)) throw new Error(`${url} is not a set of keys`);
    // A secret has no place in it, and a key for encryption signs nothing.
    return keys
      .filter((key: Jwk) => key.kty !== "oct" && key.d === undefined && key.use !== "enc")
      .slice(0, 100);
  }

  async #json(url: string): Promise<Record<string, unknown>> {
    const ask = this.#options.fetch ?? fetch;
    const response = await ask(url, { signal: AbortSignal.timeout(timeoutMs), redirect: "error" });
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    let size = 0;
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body ?? []) {
      size += (chunk as Uint8Array).length;
      if (size > documentBytesMax) throw new Error(`${url} is larger than ${documentBytesMax} bytes`);
      chunks.push(chunk as Uint8Array);
    }
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    if (typeof value !== "object" || value === null) throw new Error(`${url} is not a JSON object`);
    return value as Record<string, unknown>;
  }
}

const namedIn = (issuer: string, jwksUrl: string | undefined): Named => ({
  issuer,
  ...(jwksUrl !== undefined && { jwksUrl }),
});

const idOf = (named: Named): string =>
  createHash("sha256").update(canonicalJson(named)).digest("hex").slice(0, 16);

/** `fetch failed` says nothing; its cause does. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? cause.message : message;
}
