/** The door of the rate limits. */
export { Limits, type LimitsEvent, type LimitsOptions, type RateLimiter } from "./limits.ts";
export { type LimitPolicy, limitPolicy, rateLimitHeaders } from "./policy.ts";
export { addressKey, type RequestOutcome, requestLimit, subjectKey } from "./request.ts";
