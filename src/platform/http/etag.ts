/** Optimistic concurrency by ETag and If-Match (RFC 9110 §13): a version number is the validator. */
import type { IncomingMessage } from "node:http";
import { HotSwapError } from "../../core/errors.ts";

export const etagOf = (version: number): string => `"${version}"`;

/** Throws unless If-Match names the current version or is `*`. Without the field: `if_match_required`. */
export function requireMatch(headers: IncomingMessage["headers"], version: number): void {
  const field = headers["if-match"];
  if (field === undefined) {
    throw new HotSwapError(
      "if_match_required",
      `Send If-Match: ${etagOf(version)} after reading the resource.`,
    );
  }
  const candidates = field.split(",").map((tag) => tag.trim());
  if (!candidates.includes("*") && !candidates.includes(etagOf(version))) {
    throw new HotSwapError("etag_mismatch", `The resource is at version ${etagOf(version)} now.`);
  }
}
