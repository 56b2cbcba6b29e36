/** Of every endpoint: input, identity, approvals, capacity, settings and the start. */
import type { CatalogueEntry } from "./entry.ts";

export const platform = {
  // Input
  validation_failed: {
    kind: "invalid",
    title: "The request does not fit its schema",
    help: "Each entry of `errors` names one place by JSON Pointer and says what is expected there. Unknown fields are refused, not ignored.",
  },
  json_malformed: {
    kind: "invalid",
    title: "The body is not valid JSON",
    help: "Send one JSON document in UTF-8. The detail says where reading stopped.",
  },
  encoding_invalid: {
    kind: "invalid",
    title: "The text is not valid UTF-8",
    help: 'Encode the body as UTF-8. Binary payloads go in as base64 with `payloadEncoding: "base64"` where the endpoint offers it.',
  },
  too_deep: {
    kind: "invalid",
    title: "The document is nested too deeply",
    help: "Flatten the document; the limit is in the detail and in the reference of settings.",
  },
  body_too_large: {
    kind: "too_large",
    title: "The body is larger than allowed",
    help: "Send less at once: split a batch, or stream it as application/x-ndjson.",
  },
  header_too_large: {
    kind: "header_too_large",
    title: "The request's headers are larger than allowed",
    help: "Send fewer or shorter headers.",
  },
  media_type_unsupported: {
    kind: "unsupported_media_type",
    title: "The content type is not supported here",
    help: "Use one of the content types that the API reference lists for this endpoint.",
  },
  cursor_invalid: {
    kind: "invalid",
    title: "The page cursor cannot be used",
    help: "Use `next` of the previous page unchanged, with the same filters; start again without a cursor otherwise.",
  },
  request_timeout: {
    kind: "timeout",
    title: "The request did not arrive in time",
    help: "Send the whole request within the server's request time-out.",
  },

  http_malformed: {
    kind: "invalid",
    title: "The request is not valid HTTP",
    help: "The connection was closed. Use an HTTP/1.1 client that follows RFC 9112.",
  },

  // Routing and content
  route_not_found: {
    kind: "not_found",
    title: "There is no such endpoint",
    help: "See /docs for all endpoints, or run `hotswap routes`.",
  },
  method_not_allowed: {
    kind: "method_not_allowed",
    title: "The endpoint does not have this method",
    help: "The `Allow` header lists the methods that it has.",
  },
  upgrade_required: {
    kind: "upgrade_required",
    title: "This endpoint speaks WebSocket",
    help: "Connect with a WebSocket client that offers the subprotocol which the reference of the endpoint names.",
  },
  origin_refused: {
    kind: "forbidden",
    title: "A page of this origin may not connect",
    help: "Add the origin to the setting `http.corsOrigins`, or serve the page from this server.",
  },
  not_found: {
    kind: "not_found",
    title: "There is no such resource",
    help: "Check the identifier and the tenant of your token.",
  },

  // Identity
  token_missing: {
    kind: "unauthenticated",
    title: "The request carries no token",
    help: "Send `Authorization: Bearer <token>`. `hotswap token` makes one on the embedded issuer.",
  },
  token_invalid: {
    kind: "unauthenticated",
    title: "The token is not valid",
    help: "The token is malformed, forged, or from another issuer or audience. Get a new one.",
  },
  token_expired: {
    kind: "unauthenticated",
    title: "The token has expired",
    help: "Get a new token. If it should still be valid, compare the clocks of issuer and server.",
  },
  issuer_unavailable: {
    kind: "unavailable",
    title: "The issuer of the token cannot be reached",
    help: "Repeat the request later. Its keys are read by discovery; the log holds what went wrong with it.",
  },
  permission_denied: {
    kind: "forbidden",
    title: "The token does not allow this",
    help: "The detail names the permission that is missing; `hotswap routes` shows which roles have it.",
  },

  // Concurrency and repetition
  already_exists: {
    kind: "conflict",
    title: "A resource of this name exists already",
    help: "Choose another name, or update the one that exists.",
  },
  etag_mismatch: {
    kind: "precondition_failed",
    title: "The resource has changed since you read it",
    help: "Read it again, apply your change to what you see, and send the new ETag in If-Match.",
  },
  if_match_required: {
    kind: "precondition_required",
    title: "This change needs If-Match",
    help: "Read the resource and send its ETag in If-Match, or `*` to overwrite whatever is there.",
  },
  idempotency_key_reused: {
    kind: "unprocessable",
    title: "The idempotency key was used for another request",
    help: "Use a new key for a new request; repeat the very same request to get its first answer again.",
  },
  idempotency_in_progress: {
    kind: "conflict",
    title: "The first request with this idempotency key is still running",
    help: "Wait for Retry-After and repeat the request.",
  },

  // Approvals
  approval_required: {
    kind: "conflict",
    title: "This change waits for an approval",
    help: "Somebody else with the approver role must approve the request that the detail names.",
  },
  approval_self: {
    kind: "forbidden",
    title: "Nobody approves their own change",
    help: "Ask another person with the approver role.",
  },
  approval_void: {
    kind: "conflict",
    title: "The approval no longer counts",
    help: "What was to be approved has been edited, decided or has expired. Ask for a new approval.",
  },

  // Capacity
  rate_limited: {
    kind: "limited",
    title: "Too many requests",
    help: "Wait for Retry-After. The RateLimit headers say how much is left and when more comes.",
  },
  overloaded: {
    kind: "unavailable",
    title: "The server has as much work as it accepts",
    help: "Nothing of this request was accepted. Wait for Retry-After and repeat it.",
  },
  shutting_down: {
    kind: "unavailable",
    title: "The server is stopping",
    help: "Repeat the request; another node, or this one after its restart, will take it.",
  },
  store_unavailable: {
    kind: "unavailable",
    title: "A store that this request needs cannot be reached",
    help: "Repeat the request later. `hotswap doctor` and /ready say which store it is.",
  },
  lock_not_acquired: {
    kind: "conflict",
    title: "The lock is held by somebody else",
    help: "Wait for Retry-After and try again.",
  },
  lock_lost: {
    kind: "conflict",
    title: "The lock is no longer yours",
    help: "Its time ran out or another owner took over; what you were doing must be started again.",
  },
  internal: {
    kind: "internal",
    title: "Something failed inside HotSwap",
    help: "The log holds the cause under the request id of this answer. Please report it.",
  },

  // Settings and start
  setting_invalid: {
    kind: "invalid",
    title: "A setting has a value that cannot be used",
    help: "The detail names the setting, where its value came from, and what is allowed.",
  },
  setting_missing: {
    kind: "invalid",
    title: "A setting that is needed is missing",
    help: "Set it in the file, the environment or by flag; the detail says how.",
  },
  data_folder_in_use: {
    kind: "conflict",
    title: "Another HotSwap uses this data folder",
    help: "Stop the other process, or choose another folder with --data.",
  },
  data_folder_incompatible: {
    kind: "conflict",
    title: "The data folder cannot be used by this HotSwap",
    help: "The detail says whether its version or its owner is another. Choose another folder with --data, or start the HotSwap and the user that made it.",
  },
  port_in_use: {
    kind: "conflict",
    title: "The port is taken",
    help: "Stop the program that listens there, or choose another port with --port (0 = any free port).",
  },
  server_not_found: {
    kind: "unavailable",
    title: "No server was found",
    help: "Start one with `hotswap dev`, or say where it is with --url or HOTSWAP_URL.",
  },
  file_unusable: {
    kind: "invalid",
    title: "A file cannot be read or written",
    help: "Check its path and who may use it.",
  },
  migration_failed: {
    kind: "internal",
    title: "The database could not be brought to this version",
    help: "The detail names the migration. Nothing of it was applied; mend the cause and start again.",
  },
} as const satisfies Record<string, CatalogueEntry>;
