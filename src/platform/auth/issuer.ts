/**
 * The embedded issuer: signs HotSwap's own tokens with an Ed25519 key of the secret store. Development and
 * production have different names (`iss`) and different keys, so that nothing made while developing,
 * neither a token nor a stolen key, is worth anything to a server started with `hotswap start`.
 */
import type { JSONWebKeySet } from "jose";
import { createLocalJWKSet } from "jose/jwks/local"; // whoever makes a token loads no more than that takes
import { SignJWT } from "jose/jwt/sign";
import type { Clock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import type { SecretStore } from "../../stores/secrets/port.ts";
import { roles as knownRoles, type Role } from "../access/permissions.ts";
import { embeddedMapping, isAttributes, isSubject, isTenant } from "./claims.ts";
import { type KeyRing, openKeyRing } from "./key-ring.ts";
import { developmentIssuer, type TrustedIssuer } from "./trusted-issuer.ts";

export type Mode = "development" | "production";

const developmentMark = "development-";

export interface IssuerOptions {
  secrets: SecretStore;
  clock: Clock;
  mode: Mode;
  /** `iss` of production tokens; default "hotswap". */
  name?: string;
  /** `aud`; default "hotswap". */
  audience?: string;
}

export interface TokenRequest {
  subject: string;
  tenant: string;
  roles: readonly Role[];
  /**
   * Restrictions: `environment`, `label.<name>`; the value is one name or several with commas between them.
   */
  attributes?: Readonly<Record<string, string>>;
  /** 1 second to 366 days. */
  ttlSeconds: number;
}

const ttlSecondsMax = 366 * 24 * 3600;

export class Issuer {
  readonly name: string;
  readonly audience: string;
  readonly development: boolean;
  readonly #keys: KeyRing;
  readonly #clock: Clock;

  /** Opens the key of this mode, making it at first use. */
  static async open(options: IssuerOptions): Promise<Issuer> {
    const { mode, secrets, name } = options;
    if (mode === "development") {
      const keys = await openKeyRing(secrets, "auth/issuer-development", developmentMark);
      return new Issuer(keys, developmentIssuer, options);
    }
    if (name === developmentIssuer) {
      throw new HotSwapError(
        "setting_invalid",
        `The issuer may not be named ${developmentIssuer} in production.`,
      );
    }
    const keys = await openKeyRing(secrets, "auth/issuer");
    if (keys.publicKeys.some((key) => key.kid?.startsWith(developmentMark))) {
      throw new HotSwapError(
        "setting_invalid",
        "The secret auth/issuer holds a development key. Delete it to have a new one made.",
      );
    }
    return new Issuer(keys, name ?? "hotswap", options);
  }

  private constructor(keys: KeyRing, name: string, options: IssuerOptions) {
    this.#keys = keys;
    this.#clock = options.clock;
    this.name = name;
    this.audience = options.audience ?? "hotswap";
    this.development = options.mode === "development";
  }

  /** Public halves, as served at /.well-known/jwks.json. */
  get jwks(): JSONWebKeySet {
    return { keys: [...this.#keys.publicKeys] };
  }

  /** A signed token. Rejects with `validation_failed` what the verifier would not take. */
  async mint(request: TokenRequest): Promise<string> {
    checkRequest(request);
    const now = Math.floor(this.#clock.now() / 1000);
    const { subject, tenant, roles, attributes, ttlSeconds } = request;
    return new SignJWT({ tenant, roles: [...roles], ...(attributes && { attributes }) })
      .setProtectedHeader({ alg: "EdDSA", kid: this.#keys.keyId, typ: "JWT" })
      .setIssuer(this.name)
      .setAudience(this.audience)
      .setSubject(subject)
      .setIssuedAt(now)
      .setExpirationTime(now + ttlSeconds)
      .sign(this.#keys.privateKey);
  }

  /** What a Verifier needs to accept this issuer's tokens. */
  trusted(): TrustedIssuer {
    return {
      name: this.name,
      audience: this.audience,
      algorithms: ["EdDSA"],
      development: this.development,
      mapping: embeddedMapping,
      key: createLocalJWKSet(this.jwks),
    };
  }
}

function checkRequest({ subject, tenant, roles, attributes, ttlSeconds }: TokenRequest): void {
  const checks: [boolean, string, string][] = [
    [isSubject(subject), "/subject", "must be 1 to 256 characters and not begin with system:"],
    [isTenant(tenant), "/tenant", "must be 1 to 63 letters, digits, dots, dashes or underscores"],
    [roles.every((role) => knownRoles.includes(role)), "/roles", `must be of ${knownRoles.join(", ")}`],
    [
      isAttributes(attributes ?? {}),
      "/attributes",
      "may hold `environment` and `label.<name>` only, as text",
    ],
    [
      Number.isInteger(ttlSeconds) && ttlSeconds >= 1 && ttlSeconds <= ttlSecondsMax,
      "/ttlSeconds",
      `must be 1 to ${ttlSecondsMax} seconds`,
    ],
  ];
  const fields = checks.filter(([fits]) => !fits).map(([, pointer, message]) => ({ pointer, message }));
  if (fields.length > 0) {
    throw new HotSwapError("validation_failed", `${fields[0]!.pointer} ${fields[0]!.message}.`, { fields });
  }
}
