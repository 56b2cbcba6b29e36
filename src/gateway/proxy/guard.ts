/**
 * The policies of a route, asked before a backend is chosen: addresses, CORS, API key, token, rate limits, in this
 * order, so that what is cheap refuses first and a limit counts callers and not addresses where they are known.
 */
import type { BlockList } from "node:net";
import { addressList, isListed } from "./addresses.ts";
import type { Answer } from "./answer.ts";
import { isFieldValue, isToken } from "./http1/grammar.ts";
import type { RateLimits, Taken } from "./limits.ts";
import { preflightOf } from "./matcher.ts";
import type { ResponseFlag } from "./records.ts";
import type { ApiKeyPolicy, Cors, JwtPolicy, RateLimit, Route } from "./snapshot.route.ts";
import type { Identity, Tokens } from "./tokens.ts";

export interface Caller {
  readonly client: string;
  readonly method: string;
  header(name: string): string | undefined;
}

export interface GuardContext {
  readonly limits: RateLimits;
  readonly tokens: Tokens;
  now(): number;
}

/** Goes on, with lines to add on either way and names (lower case) that are not passed on. */
export interface Admission {
  readonly subject: string | undefined;
  readonly requestNames: readonly string[];
  readonly requestLines: string;
  readonly responseNames: readonly string[];
  readonly responseLines: string;
}

/** Answered here: a refusal, or a preflight (without `answer`; its lines are all there is to say). */
export interface Refused {
  readonly flag: ResponseFlag;
  readonly answer?: Answer;
  readonly lines: string;
}

export type Verdict = Admission | Refused;

export const isRefused = (verdict: Verdict): verdict is Refused => "flag" in verdict;

const CORS_NAMES = [
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "access-control-expose-headers",
];

export class Guard {
  readonly #route: Route;
  readonly #allow: BlockList | undefined;
  readonly #deny: BlockList | undefined;
  readonly #cors: Cors | undefined;
  readonly #jwt: JwtPolicy | undefined;
  readonly #apiKey: ApiKeyPolicy | undefined;
  readonly #limits: readonly RateLimit[];
  /** Fields of the request, lower case, that end here. */
  readonly requestNames: readonly string[];

  /** Undefined when the route has no policy to ask. Throws a TypeError for what cannot be used. */
  static of(route: Route): Guard | undefined {
    const { ip, cors, jwt, apiKey, rateLimits } = route.policies ?? {};
    return ip || cors || jwt || apiKey || rateLimits?.length ? new Guard(route) : undefined;
  }

  private constructor(route: Route) {
    const { ip, cors, jwt, apiKey, rateLimits = [] } = route.policies!;
    this.#route = route;
    this.#allow = ip?.allow && addressList(ip.allow);
    this.#deny = ip?.deny && addressList(ip.deny);
    this.#cors = cors;
    this.#jwt = jwt;
    this.#apiKey = apiKey;
    this.#limits = rateLimits;
    if (cors?.credentials && cors.origins.includes("*")) {
      throw new TypeError("CORS for every origin cannot allow credentials");
    }
    for (const { name, burst, perSecond } of rateLimits) {
      if (!isToken(name) || !(burst >= 1) || !(perSecond > 0)) throw new TypeError(`rate limit "${name}"`);
    }
    const claimHeaders = Object.values(jwt?.claimHeaders ?? {});
    if (!claimHeaders.every(isToken)) throw new TypeError("a claim's header is no name");
    this.requestNames = [
      ...(apiKey ? [apiKey.header?.toLowerCase() ?? "x-api-key"] : []),
      ...claimHeaders.map((name) => name.toLowerCase()),
    ];
  }

  check(caller: Caller, context: GuardContext): Verdict | Promise<Verdict> {
    if (!this.#isOpenTo(caller.client))
      return refusal("UA", { status: 403, code: "gateway_address_refused" });
    const cors = this.#cors ? corsLines(this.#cors, caller) : "";
    if (this.#cors && preflightOf(caller) !== undefined) {
      return { flag: "LR", lines: cors + preflightLines(this.#cors, this.#route.match.methods) };
    }
    let subject: string | undefined;
    if (this.#apiKey) {
      const key = context.tokens.apiKey(caller.header(this.#apiKey.header?.toLowerCase() ?? "x-api-key"));
      const { groups } = this.#apiKey;
      const isFit = key && (!groups || groups.some((group) => key.groups?.includes(group)));
      if (!isFit) return refusal("UA", { status: 401, code: "gateway_key_invalid" }, cors);
      subject = key.subject;
    }
    if (!this.#jwt) return this.#limit(caller, context, subject, "", cors);
    const identity = context.tokens.identify(caller.header("authorization"));
    const go = (known: Awaited<typeof identity>) => this.#authorise(caller, context, known, cors);
    return identity instanceof Promise ? identity.then(go) : go(identity);
  }

  #isOpenTo(client: string): boolean {
    if (this.#deny && isListed(this.#deny, client)) return false;
    return !this.#allow || isListed(this.#allow, client);
  }

  #authorise(caller: Caller, context: GuardContext, identity: Identity | string, cors: string): Verdict {
    const policy = this.#jwt!;
    if (typeof identity === "string") {
      const error = identity === "token_missing" ? undefined : "invalid_token";
      return refusal("UA", { status: 401, code: identity as "token_missing" }, cors + challenge(error));
    }
    const { tenant } = this.#route;
    const isOurs = policy.issuers.some(
      (id) => identity.issuers.includes(id) && (identity.tenants.get(id) ?? tenant) === tenant,
    );
    if (!isOurs || (policy.audience !== undefined && !identity.audience.includes(policy.audience))) {
      const detail = "The token is from an issuer, or for an audience, that the route does not accept.";
      return refusal("UA", { status: 401, code: "token_invalid", detail }, cors + challenge("invalid_token"));
    }
    const hasScopes = policy.scopes?.every((scope) => identity.scopes.includes(scope)) ?? true;
    const roles = [...identity.roles, ...identity.scopes.map((scope) => policy.scopeRoles?.[scope])];
    const hasRole = policy.anyRole?.some((role) => roles.includes(role)) ?? true;
    if (!hasScopes || !hasRole) {
      const lines = cors + challenge("insufficient_scope");
      return refusal("UA", { status: 403, code: "gateway_scope_missing" }, lines);
    }
    return this.#limit(caller, context, identity.subject, claimLines(policy, identity), cors);
  }

  #limit(
    caller: Caller,
    context: GuardContext,
    subject: string | undefined,
    requestLines: string,
    cors: string,
  ): Verdict {
    const { id, tenant } = this.#route;
    let lines = cors;
    for (const limit of this.#limits) {
      const who = limit.per === "client" ? (subject ?? caller.client) : limit.per === "tenant" ? tenant : "";
      const scope = limit.per === "tenant" ? "" : id;
      const key = `${limit.name}\n${scope}\n${limit.per}\n${who}`;
      const taken = context.limits.take(key, limit.burst, limit.perSecond, context.now());
      lines += limitLines(limit, taken);
      if (!taken.allowed) {
        const retryAfterSeconds = Math.max(1, Math.ceil(taken.retryAfterMs / 1000 - 1e-3));
        return refusal("RL", { status: 429, code: "gateway_rate_limited", retryAfterSeconds }, lines);
      }
    }
    return {
      subject,
      requestNames: this.requestNames,
      requestLines,
      responseNames: this.#cors ? CORS_NAMES : [],
      responseLines: lines,
    };
  }
}

const refusal = (flag: ResponseFlag, answer: Answer, lines = ""): Refused => ({ flag, answer, lines });

/** What a client is told that sent no good token (RFC 6750, section 3). */
const challenge = (error: "invalid_token" | "insufficient_scope" | undefined): string =>
  `WWW-Authenticate: Bearer realm="gateway"${error ? `, error="${error}"` : ""}\r\n`;

// draft-ietf-httpapi-ratelimit-headers-10
function limitLines({ name, burst, perSecond }: RateLimit, taken: Taken): string {
  const window = Math.max(1, Math.ceil(burst / perSecond - 1e-6));
  const reset = Math.ceil((taken.allowed ? taken.resetMs : taken.retryAfterMs) / 1000 - 1e-3);
  return `RateLimit-Policy: "${name}";q=${burst};w=${window}\r\nRateLimit: "${name}";r=${taken.remaining};t=${reset}\r\n`;
}

function claimLines(policy: JwtPolicy, identity: Identity): string {
  let lines = "";
  for (const [claim, header] of Object.entries(policy.claimHeaders ?? {})) {
    const value = identity.claims[claim];
    const text =
      typeof value === "string" || typeof value === "number" ? String(value) : JSON.stringify(value);
    if (value !== undefined && isFieldValue(text)) lines += `${header}: ${text}\r\n`;
  }
  return lines;
}

function corsLines(cors: Cors, caller: Caller): string {
  const origin = caller.header("origin");
  const isAny = cors.origins.includes("*");
  const vary = isAny ? "" : "Vary: Origin\r\n";
  if (origin === undefined || !(isAny || cors.origins.includes(origin)) || !isFieldValue(origin)) return vary;
  const credentials = cors.credentials ? "Access-Control-Allow-Credentials: true\r\n" : "";
  const exposed = cors.exposed?.length ? `Access-Control-Expose-Headers: ${cors.exposed.join(", ")}\r\n` : "";
  return `Access-Control-Allow-Origin: ${isAny ? "*" : origin}\r\n${credentials}${exposed}${vary}`;
}

function preflightLines(cors: Cors, matched: readonly string[] | undefined): string {
  const methods = cors.methods ?? matched ?? ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
  const headers = cors.headers?.length ? `Access-Control-Allow-Headers: ${cors.headers.join(", ")}\r\n` : "";
  return `Access-Control-Allow-Methods: ${methods.join(", ")}\r\n${headers}Access-Control-Max-Age: ${cors.maxAgeSeconds ?? 600}\r\n`;
}
