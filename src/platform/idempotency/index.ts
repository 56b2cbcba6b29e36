/** Idempotency-Key: the work of a request runs once per key, a repeat gets the first answer. */
export { fingerprint, Idempotency, type IdempotencyOptions, parseKey } from "./idempotency.ts";

/** The folder of the room's migrations. */
export const migrations = new URL("./migrations/", import.meta.url);
