/**
 * From an Authorization header to a Principal. Tokens of the issuers that are trusted by setting count,
 * and no others; which of them a token claims to be from decides key, audience and algorithms, never the
 * token itself.
 *
 * A token that has been verified is kept in a bounded cache under its own text, so that the next request
 * with it costs a look-up and two comparisons. Expiry is honoured at every use; a key that the issuer
 * withdraws stops counting after `cacheMaxAgeMs` at the latest.
 */
import { decodeJwt, errors, jwtVerify } from "jose";
import { LRUCache } from "lru-cache";
import type { Clock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import { toPrincipal } from "./claims.ts";
import type { Principal } from "./principal.ts";
import { developmentIssuer, type TrustedIssuer } from "./trusted-issuer.ts";

export interface VerifierOptions {
  issuers: readonly TrustedIssuer[];
  clock: Clock;
  /** How far clocks may be apart; default 5 seconds. */
  clockToleranceSeconds?: number;
  /** Verified tokens kept; default 10,000, and never more than 16 MB of text. */
  cacheEntries?: number;
  /** A cached token is verified anew after this; default 5 minutes. */
  cacheMaxAgeMs?: number;
}

interface Verified {
  /** The whole header: the cache's key is only a part of it. */
  readonly authorization: string;
  readonly principal: Principal;
  readonly development: boolean;
  /** Wall time from which the token is expired, tolerance included. */
  readonly endsAtMs: number;
  /** Monotonic time from which the signature must be checked again. */
  readonly recheckAtMs: number;
}

const tokenBytesMax = 8192;
const cacheBytesMax = 16 * 1024 * 1024;
const bearer = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i;
/** For clients that know user and password only: the token is the password, the user is anything. */
const basic = /^Basic +([\w+/-]+={0,2})$/i;

export class Verifier {
  readonly #issuers: ReadonlyMap<string, TrustedIssuer>;
  readonly #clock: Clock;
  readonly #toleranceSeconds: number;
  readonly #cacheMaxAgeMs: number;
  readonly #cache: LRUCache<string, Verified>;

  constructor(options: VerifierOptions) {
    this.#issuers = new Map(options.issuers.map((issuer) => [issuer.name, issuer]));
    this.#clock = options.clock;
    this.#toleranceSeconds = options.clockToleranceSeconds ?? 5;
    this.#cacheMaxAgeMs = options.cacheMaxAgeMs ?? 300_000;
    this.#cache = new LRUCache({
      max: options.cacheEntries ?? 10_000,
      maxSize: cacheBytesMax,
      sizeCalculation: ({ authorization }) => authorization.length,
    });
  }

  /**
   * Throws or rejects with `token_missing`, `token_invalid`, `token_expired` or `issuer_unavailable`.
   * Synchronous when the token has been seen before. `remoteAddress` is the peer of the connection; without
   * one, the caller is taken to be elsewhere.
   */
  verify(
    authorization: string | undefined,
    remoteAddress: string | undefined,
  ): Principal | Promise<Principal> {
    if (!authorization) throw new HotSwapError("token_missing");
    const known = this.#cache.get(keyOf(authorization));
    if (known?.authorization === authorization && this.#clock.monotonic() < known.recheckAtMs) {
      return this.#admit(known, remoteAddress);
    }
    return this.#check(authorization).then((verified) => {
      this.#cache.set(keyOf(authorization), verified);
      return this.#admit(verified, remoteAddress);
    });
  }

  #admit(verified: Verified, remoteAddress: string | undefined): Principal {
    if (this.#clock.now() >= verified.endsAtMs) throw new HotSwapError("token_expired");
    if (verified.development && !isLoopback(remoteAddress)) {
      throw new HotSwapError("token_invalid", "Development tokens are accepted from the same machine only.");
    }
    return verified.principal;
  }

  async #check(authorization: string): Promise<Verified> {
    const token = authorization.length <= tokenBytesMax && tokenOf(authorization);
    if (!token) throw new HotSwapError("token_invalid", "Authorization must be `Bearer <token>` with a JWT.");
    const recheckAtMs = this.#clock.monotonic() + this.#cacheMaxAgeMs;
    try {
      const issuer = this.#issuerOf(token);
      const { payload } = await jwtVerify(token, issuer.key, {
        issuer: issuer.name,
        audience: issuer.audience,
        algorithms: [...issuer.algorithms],
        clockTolerance: this.#toleranceSeconds,
        currentDate: new Date(this.#clock.now()),
        requiredClaims: ["exp", "sub"],
      });
      const principal = toPrincipal(payload, issuer.mapping);
      const endsAtMs = (principal.expiresAt + this.#toleranceSeconds) * 1000;
      return { authorization, principal, development: issuer.development, endsAtMs, recheckAtMs };
    } catch (error) {
      throw asTokenError(error);
    }
  }

  #issuerOf(token: string): TrustedIssuer {
    const { iss } = decodeJwt(token);
    const issuer = this.#issuers.get(iss ?? "");
    if (issuer) return issuer;
    if (iss === developmentIssuer) {
      throw new HotSwapError("token_invalid", "Development tokens are refused by a production server.");
    }
    throw new HotSwapError("token_invalid", "The token is from an issuer that is not trusted here.");
  }
}

function tokenOf(authorization: string): string | undefined {
  const encoded = basic.exec(authorization)?.[1];
  if (encoded === undefined) return bearer.exec(authorization)?.[1];
  const pair = Buffer.from(encoded, "base64").toString();
  return bearer.exec(`Bearer ${pair.slice(pair.indexOf(":") + 1)}`)?.[1];
}

/**
 * The end of the signature: as good as unique, and a quarter of the time to hash compared with the whole. Who
 * sends another token with the same end misses the cache, because the whole is compared then.
 */
function keyOf(authorization: string): string {
  return authorization.slice(-32);
}

/** 127.0.0.0/8, ::1, and the former as the latter's family writes it. */
export function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false;
  return address === "::1" || /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i.test(address);
}

function asTokenError(error: unknown): unknown {
  if (error instanceof errors.JWTExpired)
    return new HotSwapError("token_expired", undefined, { cause: error });
  if (error instanceof errors.JWTClaimValidationFailed) {
    const detail = `The token's \`${error.claim}\` is not what this server accepts.`;
    return new HotSwapError("token_invalid", detail, { cause: error });
  }
  if (error instanceof errors.JOSEError)
    return new HotSwapError("token_invalid", undefined, { cause: error });
  return error;
}
