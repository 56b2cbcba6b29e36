/**
 * Who a request comes from, by a JWT or an API key. Verdicts on tokens are kept under the tokens themselves, so that
 * a signature is checked once and not with each request; expiry is looked at each time. Keys of issuers come with the
 * snapshot, and a change of them forgets all verdicts.
 */
import { createHash } from "node:crypto";
import {
  createLocalJWKSet,
  decodeJwt,
  errors,
  type JWTPayload,
  type JWTVerifyOptions,
  type JWTVerifyResult,
  jwtVerify,
} from "jose";
import { LRUCache } from "lru-cache";
import type { ApiKey, TokenIssuer } from "./snapshot.ts";

export interface Identity {
  /** Ids of all issuers of the snapshot by whose keys and audience the token is good. */
  readonly issuers: readonly string[];
  /** Issuer's id to the tenant that the token is of, for issuers that know tenants. */
  readonly tenants: ReadonlyMap<string, string>;
  readonly subject: string;
  readonly audience: readonly string[];
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  readonly claims: JWTPayload;
  /** Wall time in milliseconds. */
  readonly expiresAt: number;
}

export type TokenProblem = "token_missing" | "token_invalid" | "token_expired";
/** Refused for now: none of the keys that are known of its issuer has signed, or its time is yet to come. */
type Passing = "key_unknown" | "not_yet";

const TOKEN = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i;
const TOKEN_BYTES_MAX = 8192;
const LEEWAY_SECONDS = 5;

interface Issuer {
  readonly settings: TokenIssuer;
  readonly keys: ReturnType<typeof createLocalJWKSet>;
}

export class Tokens {
  readonly #wallNow: () => number;
  readonly #onUnknownKey: (issuer: string) => void;
  #byName = new Map<string, Issuer[]>();
  #cache = new LRUCache<string, { readonly whole: string; readonly verdict: Identity | TokenProblem }>({
    max: 10_000,
  });
  #keys = new Map<string, ApiKey>();
  #hashes = new LRUCache<string, string>({ max: 10_000 });

  /** `onUnknownKey` hears of tokens that none of an issuer's keys has signed. */
  constructor(wallNow: () => number, onUnknownKey: (issuer: string) => void = () => {}) {
    this.#wallNow = wallNow;
    this.#onUnknownKey = onUnknownKey;
  }

  /** Returns what cannot be used, by the id of its issuer. */
  setIssuers(issuers: readonly TokenIssuer[]): { id: string; message: string }[] {
    const problems: { id: string; message: string }[] = [];
    this.#byName = new Map();
    this.#cache.clear();
    for (const settings of issuers) {
      try {
        const keys = createLocalJWKSet({ keys: settings.keys as never });
        // Of one name there may be several: what a tenant says of an issuer is not what others rely on.
        const same = this.#byName.get(settings.issuer) ?? [];
        this.#byName.set(settings.issuer, [...same, { settings, keys }]);
      } catch (error) {
        problems.push({ id: settings.id, message: String(error) });
      }
    }
    return problems;
  }

  setApiKeys(keys: readonly ApiKey[]): void {
    this.#keys = new Map(keys.map((key) => [key.hash, key]));
  }

  /** Synchronous when the token has been seen before. */
  identify(authorization: string | undefined): Identity | TokenProblem | Promise<Identity | TokenProblem> {
    if (!authorization) return "token_missing";
    const known = this.#cache.get(authorization.slice(-64));
    if (known?.whole !== authorization) return this.#verify(authorization);
    const { verdict } = known;
    return typeof verdict === "object" && this.#wallNow() >= verdict.expiresAt ? "token_expired" : verdict;
  }

  async #verify(authorization: string): Promise<Identity | TokenProblem> {
    const cache = this.#cache;
    const verdict = await this.#check(authorization);
    // Not kept: it may be good soon. Only who has a signed token can make us check its signature again and again.
    if (verdict === "key_unknown" || verdict === "not_yet") return "token_invalid";
    // Bad ones too: a flood of one forged token costs one check.
    cache.set(authorization.slice(-64), { whole: authorization, verdict });
    return verdict;
  }

  async #check(authorization: string): Promise<Identity | TokenProblem | Passing> {
    const token = authorization.length <= TOKEN_BYTES_MAX && TOKEN.exec(authorization)?.[1];
    if (!token) return "token_invalid";
    let issuers: readonly Issuer[];
    try {
      issuers = this.#byName.get(decodeJwt(token).iss ?? "") ?? [];
    } catch {
      return "token_invalid";
    }
    const verdicts = await Promise.all(issuers.map((issuer) => this.#checkBy(token, issuer)));
    const good = issuers.filter((_, index) => typeof verdicts[index] === "object");
    const payload = verdicts.find((verdict) => typeof verdict === "object");
    if (payload) return identityOf(good, payload);
    const problems = ["token_expired", "not_yet", "key_unknown"] as const;
    return problems.find((problem) => verdicts.includes(problem)) ?? "token_invalid";
  }

  async #checkBy(token: string, { settings, keys }: Issuer): Promise<JWTPayload | TokenProblem | Passing> {
    try {
      const { payload } = await verifyByAny(token, keys, {
        issuer: settings.issuer,
        ...(settings.audience !== undefined && { audience: settings.audience }),
        algorithms: [...settings.algorithms],
        clockTolerance: LEEWAY_SECONDS,
        currentDate: new Date(this.#wallNow()),
        requiredClaims: ["exp"],
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) {
        this.#onUnknownKey(settings.id);
        return "key_unknown";
      }
      if (error instanceof errors.JWTClaimValidationFailed && error.claim === "nbf") return "not_yet";
      return error instanceof errors.JWTExpired ? "token_expired" : "token_invalid";
    }
  }

  apiKey(key: string | undefined): ApiKey | undefined {
    if (!key || key.length > 512) return undefined;
    let hash = this.#hashes.get(key);
    if (!hash) {
      hash = createHash("sha256").update(key, "latin1").digest("hex");
      this.#hashes.set(key, hash);
    }
    return this.#keys.get(hash);
  }
}

/** An issuer need not name its keys; then every one that fits is tried. */
async function verifyByAny(
  token: string,
  keys: Issuer["keys"],
  options: JWTVerifyOptions,
): Promise<JWTVerifyResult> {
  try {
    return await jwtVerify(token, keys, options);
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return await jwtVerify(token, key, options);
      } catch (problem) {
        if (!(problem instanceof errors.JWSSignatureVerificationFailed)) throw problem;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

function identityOf(issuers: readonly Issuer[], claims: JWTPayload): Identity {
  const realm = claims.realm_access as { roles?: unknown } | undefined;
  const tenants = issuers.flatMap(({ settings: { id, tenantClaim, defaultTenant = "" } }) => {
    if (tenantClaim === undefined) return [];
    const tenant = claimAt(claims, tenantClaim);
    return [[id, typeof tenant === "string" ? tenant : defaultTenant] as const];
  });
  return {
    issuers: issuers.map(({ settings }) => settings.id),
    tenants: new Map(tenants),
    subject: claims.sub ?? "",
    audience: words(claims.aud),
    scopes: [...words(claims.scope), ...words(claims.scp)],
    roles: [...words(claims.roles), ...words(claims.groups), ...words(realm?.roles)],
    claims,
    expiresAt: (claims.exp! + LEEWAY_SECONDS) * 1000,
  };
}

/** The whole name first, because issuers also use URLs, dots included, as names of claims. */
function claimAt(claims: JWTPayload, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

function words(value: unknown): string[] {
  if (typeof value === "string") return value.split(" ").filter((word) => word !== "");
  return Array.isArray(value) ? value.filter((word) => typeof word === "string") : [];
}
