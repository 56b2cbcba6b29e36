/** Who a request is counted for, and the check of one request, ready for the HTTP server. */
import { createHash } from "node:crypto";
import { isIPv6 } from "node:net";
import type { GcraResult } from "../../stores/kv/index.ts";
import type { RateLimiter } from "./limits.ts";
import { type LimitPolicy, rateLimitHeaders } from "./policy.ts";

const plainKeyMax = 256;

/** A key per principal: the subject within its tenant, whatever characters a token brings. */
export function subjectKey(tenant: string, subject: string): string {
  const key = `${tenant.length}:${tenant}/${subject}`.toWellFormed();
  return key.length <= plainKeyMax ? key : createHash("sha256").update(key).digest("base64url");
}

/**
 * A key per client address. An IPv6 client has at least a /64 to choose from, so that counts as one; an IPv4
 * address written as IPv6 counts as what it is.
 */
export function addressKey(address: string | undefined): string {
  if (!address || !isIPv6(address)) return address ?? "unknown";
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped) return mapped;
  const [head = "", tail] = (address.split("%")[0] ?? "").toLowerCase().split("::");
  const groups = head ? head.split(":") : [];
  const after = tail ? tail.split(":") : [];
  // An IPv4 ending is two groups in one, but that is beyond the first four unless "::" stands for none of
  // them.
  const zeros = tail === undefined ? 0 : 8 - groups.length - after.length - (tail.includes(".") ? 1 : 0);
  const all = [...groups, ...Array.from({ length: zeros }, () => "0"), ...after];
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}

export interface RequestOutcome {
  result: GcraResult;
  /** RateLimit, RateLimit-Policy and, when refused, Retry-After. */
  headers: Record<string, string>;
}

/** Counts a request for its principal, or for its address when it has none. */
export function requestLimit(limiter: RateLimiter, policy: LimitPolicy) {
  const outcome = (result: GcraResult): RequestOutcome => ({
    result,
    headers: rateLimitHeaders(policy, result),
  });
  return (
    principal: { tenant: string; subject: string },
    request: { socket: { remoteAddress?: string | undefined } },
  ): RequestOutcome | Promise<RequestOutcome> => {
    const key = principal.tenant
      ? subjectKey(principal.tenant, principal.subject)
      : addressKey(request.socket.remoteAddress);
    const result = limiter.check(policy, key);
    return result instanceof Promise ? result.then(outcome) : outcome(result);
  };
}
