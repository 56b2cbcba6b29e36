/**
 * Cross-origin access (Fetch standard, CORS protocol) for the origins that the settings name, and nobody else.
 * No credentials mode: tokens travel in a header that a page sets itself, so there is no cookie to protect.
 */
import type { FastifyInstance } from "fastify";

const exposed = "ETag, Idempotency-Replayed, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id";
const accepted =
  "Authorization, Content-Type, Idempotency-Key, If-Match, X-API-Key, X-Request-Id, traceparent, tracestate";

/** Registers nothing when no origin is allowed. */
export function allowOrigins(app: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return;
  const allowed = new Set(origins);
  app.addHook("onRequest", (request, reply, done) => {
    const { origin } = request.headers;
    const { raw } = reply; // the answer is written there
    raw.setHeader("vary", "Origin"); // also without the field: a cache must not mix the two answers
    if (origin === undefined || !allowed.has(origin)) return done();
    raw.setHeader("access-control-allow-origin", origin);
    raw.setHeader("access-control-expose-headers", exposed);
    if (request.method !== "OPTIONS" || !request.headers["access-control-request-method"]) return done();
    reply
      .header("access-control-allow-methods", "GET, POST, PUT, PATCH, DELETE")
      .header("access-control-allow-headers", accepted)
      .header("access-control-max-age", "600")
      .code(204)
      .send();
  });
}
