/**
 * Trust in an OpenID Connect issuer, such as Keycloak: its keys are found by discovery (OpenID Connect
 * Discovery 1.0 §4) and kept. They are read again when they are old, and when a token names a key that is not
 * among them, but the latter not more often than every `cooldownMs`, whatever strangers send. While the
 * issuer cannot be reached, keys that are known go on counting for `staleMs`.
 */
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import type { Clock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import type { ClaimMapping } from "./claims.ts";
import type { TrustedIssuer } from "./trusted-issuer.ts";

export interface OidcOptions extends Partial<ClaimMapping> {
  /** The issuer's URL, exactly as in `iss`. */
  issuer: string;
  audience: string;
  clock: Clock;
  /** Default: the asymmetric algorithms of RFC 7518 and RFC 8037. */
  algorithms?: readonly string[];
  fetch?: typeof fetch;
}

const asymmetric = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];
const maxAgeMs = 600_000;
const staleMs = 3_600_000;
const cooldownMs = 30_000;
const retryMs = 1_000;
const timeoutMs = 5_000;
const documentBytesMax = 1024 * 1024;

export function oidcIssuer(options: OidcOptions): TrustedIssuer {
  const keys = new RemoteKeys(options.issuer, options.clock, options.fetch ?? fetch);
  return {
    name: options.issuer,
    audience: options.audience,
    algorithms: options.algorithms ?? asymmetric,
    development: false,
    mapping: {
      rolesClaim: options.rolesClaim ?? "roles",
      roleMap: options.roleMap,
      tenantClaim: options.tenantClaim ?? "tenant",
      defaultTenant: options.defaultTenant,
      attributesClaim: options.attributesClaim ?? "attributes",
    },
    key: (header, token) => keys.find(header, token),
  };
}

class RemoteKeys {
  readonly #issuer: string;
  readonly #clock: Clock;
  readonly #fetch: typeof fetch;
  #keys: { find: JWTVerifyGetKey; loadedAtMs: number } | undefined;
  #loading: Promise<void> | undefined;
  #failedAtMs = Number.NEGATIVE_INFINITY;

  constructor(issuer: string, clock: Clock, fetchImplementation: typeof fetch) {
    this.#issuer = issuer;
    this.#clock = clock;
    this.#fetch = fetchImplementation;
  }

  async find(...[header, token]: Parameters<JWTVerifyGetKey>): Promise<Awaited<ReturnType<JWTVerifyGetKey>>> {
    if (this.#ageMs() >= maxAgeMs) {
      await this.#load().catch((error) => {
        if (this.#ageMs() >= staleMs) throw error;
      });
    }
    try {
      return await this.#keys!.find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || this.#ageMs() < cooldownMs) throw error;
      await this.#load();
      return await this.#keys!.find(header, token);
    }
  }

  #ageMs(): number {
    return this.#keys ? this.#clock.monotonic() - this.#keys.loadedAtMs : Number.POSITIVE_INFINITY;
  }

  /** One at a time; after a failure, not again for `retryMs`. */
  #load(): Promise<void> {
    this.#loading ??= this.#read().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #read(): Promise<void> {
    const waitMs = this.#failedAtMs + retryMs - this.#clock.monotonic();
    if (waitMs > 0) throw unavailable(this.#issuer, undefined, waitMs);
    try {
      const discovery = await this.#json(
        `${this.#issuer.replace(/\/$/, "")}/.well-known/openid-configuration`,
      );
      const { issuer, jwks_uri: uri } = discovery as { issuer?: unknown; jwks_uri?: unknown };
      if (issuer !== this.#issuer) throw new Error("the discovery document is of another issuer");
      if (typeof uri !== "string") throw new Error("the discovery document has no jwks_uri");
      if (this.#issuer.startsWith("https:") && !uri.startsWith("https:"))
        throw new Error("jwks_uri is not https");
      const find = createLocalJWKSet((await this.#json(uri)) as JSONWebKeySet);
      this.#keys = { find, loadedAtMs: this.#clock.monotonic() };
    } catch (error) {
      this.#failedAtMs = this.#clock.monotonic();
      throw unavailable(this.#issuer, error, retryMs);
    }
  }

  async #json(url: string): Promise<unknown> {
    const response = await this.#fetch(url, {
      headers: { accept: "application/json" },
      redirect: "error",
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (!response.ok || !response.body) throw new Error(`${url} answered ${response.status}`);
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
      text += decoder.decode(chunk, { stream: true });
      if (text.length > documentBytesMax) throw new Error(`${url} answered with too much`);
    }
    return JSON.parse(text);
  }
}

function unavailable(issuer: string, cause: unknown, retryAfterMs: number): HotSwapError {
  return new HotSwapError("issuer_unavailable", `The keys of ${issuer} cannot be read.`, {
    cause,
    retryAfterMs,
  });
}
