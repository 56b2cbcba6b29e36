/**
 * Every error that a caller can meet: stable code, kind, title, and what to do about it.
 * docs/reference/errors.md is generated from this table and a test holds the two together. A code is
 * never renamed or reused; texts may improve.
 */

/** What went wrong in the abstract; the HTTP edge and the CLI's exit codes are derived from it. */
export type ErrorKind =
  | "invalid" // the input is wrong and will stay wrong
  | "unauthenticated"
  | "forbidden"
  | "not_found"
  | "method_not_allowed"
  | "not_acceptable"
  | "timeout" // the caller was too slow
  | "conflict" // the state does not allow it
  | "gone"
  | "precondition_failed"
  | "too_large"
  | "header_too_large"
  | "unsupported_media_type"
  | "unprocessable"
  | "precondition_required"
  | "upgrade_required"
  | "limited" // over a rate or quota; try later
  | "internal"
  | "unavailable" // a part that is needed is down; try later
  | "insufficient_storage"
  | "bad_gateway" // a backend behind the gateway failed
  | "gateway_timeout"; // a backend behind the gateway was too slow

export interface CatalogueEntry {
  kind: ErrorKind;
  title: string;
  /** One or two sentences: what the reader should do. */
  help: string;
}

const entries = {
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

  // Gateway: answers of the proxy itself
  gateway_no_route: {
    kind: "not_found",
    title: "No route of the gateway matches the request",
    help: "Compare host, path, method and conditions with those of the routes.",
  },
  gateway_no_backend: {
    kind: "unavailable",
    title: "The route has no backend that takes requests",
    help: "Each backend is draining, has weight 0, or none is named. Look at the route's targets.",
  },
  gateway_breaker_open: {
    kind: "unavailable",
    title: "The backend failed repeatedly and is left alone for a while",
    help: "Repeat the request after the time in `Retry-After`; then one request tries whether the backend is well again.",
  },
  gateway_overloaded: {
    kind: "unavailable",
    title: "The backend has as many connections as it may have",
    help: "Repeat the request later, or raise the backend's `connectionsMax`.",
  },
  gateway_backend_unreachable: {
    kind: "bad_gateway",
    title: "No connection to the backend could be made",
    help: "Nothing of the request reached it. See whether it listens at the address that the backend's URL names.",
  },
  gateway_backend_closed: {
    kind: "bad_gateway",
    title: "The backend closed the connection before its answer was there",
    help: "The request may have had its effect. The log of the backend says why it closed.",
  },
  gateway_backend_broken: {
    kind: "bad_gateway",
    title: "The backend's answer is not valid HTTP",
    help: "Its connection was closed and is not used again. The access log holds which rule it broke.",
  },
  gateway_backend_timeout: {
    kind: "gateway_timeout",
    title: "The backend did not answer in time",
    help: "The request may have had its effect. The route's time-outs say how long the gateway waits.",
  },
  gateway_address_refused: {
    kind: "forbidden",
    title: "The route is not open to this address",
    help: "The route allows or denies addresses; behind another proxy, its address must be among the trusted hops.",
  },
  gateway_rate_limited: {
    kind: "limited",
    title: "Too many requests on this route",
    help: "Repeat the request after the time in `Retry-After`. `RateLimit-Policy` says what is allowed.",
  },
  gateway_scope_missing: {
    kind: "forbidden",
    title: "The token lacks a scope or role that the route needs",
    help: "Ask for a token with the scopes and roles of the route.",
  },
  gateway_key_invalid: {
    kind: "unauthenticated",
    title: "The request has no API key that the route accepts",
    help: "Send the key in the route's header, `x-api-key` if it names no other.",
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

  // Message log
  log_corrupt: {
    kind: "internal",
    title: "A stored record is damaged",
    help: "The detail names partition, segment file and offset. Restore the segment from a copy; records before and after it are intact.",
  },
  log_offset_out_of_range: {
    kind: "gone",
    title: "The offset is no longer stored, or not yet written",
    help: "The detail names the range that is stored.",
  },
  log_write_failed: {
    kind: "unavailable",
    title: "The message log could not be written",
    help: "Nothing of this request was accepted. Look at the disk of the server, then repeat the request.",
  },
  log_outcome_unknown: {
    kind: "unavailable",
    title: "It is not certain whether the records were stored",
    help: "The disk failed while it wrote. Look whether they are there, or repeat the request and expect doubles, once the disk works again.",
  },
  log_fenced: {
    kind: "unavailable",
    title: "Another node has taken over",
    help: "Nothing of this request was accepted here. Repeat it; it goes to the node that serves the topic now.",
  },
  log_records_lost: {
    kind: "unavailable",
    title: "The store of the message log has lost records",
    help: "It no longer has what it had acknowledged: it was restored, failed over, or does not keep what it promised. The topic goes on from what is left; see `appendfsync` of Redis and the page on Redis.",
  },
  durability_unavailable: {
    kind: "unprocessable",
    title: "The message log does not keep this durability",
    help: "Give the topic a weaker durability, or a store that keeps it: for Redis `appendonly yes` and `appendfsync always`.",
  },
  disk_full: {
    kind: "insufficient_storage",
    title: "A disk of the server is full",
    help: "Nothing of this request was accepted. Free space or shorten the retention of messages, then repeat it.",
  },

  // Blobs and secrets
  blob_corrupt: {
    kind: "internal",
    title: "A stored object is damaged",
    help: "Its content does not fit its hash any more. Upload it again, or restore the file from a copy.",
  },
  secrets_unreadable: {
    kind: "internal",
    title: "The stored secrets cannot be read",
    help: "The detail says whether the master key is missing or wrong, or the file is damaged. Provide the key that the file was written with, or restore the file and its key from a copy.",
  },

  log_foreign: {
    kind: "conflict",
    title: "The database belongs to another message log",
    help: "Give this server the data folder that the database was used with, or a database of its own. Two servers with a log each must not share a database.",
  },

  // Messaging
  topic_not_found: {
    kind: "not_found",
    title: "There is no such topic",
    help: "Create it with POST /api/v1/topics or `hotswap topic create`.",
  },
  topic_moved: {
    kind: "unavailable",
    title: "Another node serves the topic",
    help: "Repeat the request: it is passed on as soon as a node serves the topic, after a crash within five seconds. If it stays, look at `hotswap node list`.",
  },
  node_not_found: {
    kind: "not_found",
    title: "There is no such node",
    help: "List the nodes with `hotswap node list`. One that has gone is forgotten after an hour.",
  },
  topic_exists: {
    kind: "conflict",
    title: "A topic of this name exists already",
    help: "Use it, update it with PUT, or choose another name.",
  },
  topic_change_refused: {
    kind: "conflict",
    title: "The topic cannot be changed this way",
    help: "The detail says which part is fixed; create a new topic for another value.",
  },
  subscription_not_found: {
    kind: "not_found",
    title: "There is no such subscription",
    help: "Create it with POST /api/v1/subscriptions; a queue topic has one named `default`.",
  },
  subscription_exists: {
    kind: "conflict",
    title: "The topic has a subscription of this name already",
    help: "Use it, or choose another name.",
  },
  subscription_fixed: {
    kind: "conflict",
    title: "A queue topic has exactly one subscription",
    help: "Consume from `default`, or create a topic of type pubsub to have several.",
  },
  schedule_full: {
    kind: "unavailable",
    title: "As many messages wait for their time as the topic may have",
    help: "Nothing of this message was accepted. Cancel some, publish without a delay, or raise messaging.scheduledMax.",
  },
  dedup_full: {
    kind: "unavailable",
    title: "The topic cannot remember more idempotency keys",
    help: "Nothing of this message was accepted. Wait for Retry-After, shorten the topic's dedupWindowSeconds, or raise messaging.dedupKeysMax.",
  },
  message_not_found: {
    kind: "not_found",
    title: "There is no such message",
    help: "The id is wrong, or retention has removed the message.",
  },
  message_too_large: {
    kind: "too_large",
    title: "The message is larger than allowed",
    help: "Store the content elsewhere and publish a reference, or raise the limit in the settings.",
  },
  replay_not_found: {
    kind: "not_found",
    title: "There is no such replay",
    help: "GET /api/v1/topics/{name}/dlq/replays lists the replays of a topic.",
  },
  replay_running: {
    kind: "conflict",
    title: "A replay of this topic is running already",
    help: "Wait for its end, or cancel it.",
  },
  replay_refused: {
    kind: "conflict",
    title: "The dead letter cannot be replayed now",
    help: "It stays in the dead-letter queue. Create the subscription again, or settle what holds the message.",
  },
  receipt_invalid: {
    kind: "invalid",
    title: "The receipt is not one of this message",
    help: "Use the receipt that came with the message, unchanged.",
  },
  push_not_found: {
    kind: "not_found",
    title: "The subscription has no webhook",
    help: "Set one with PUT /api/v1/subscriptions/{id}/push.",
  },
  push_target_refused: {
    kind: "invalid",
    title: "A webhook may not go to this address",
    help: "Use an https address of the public internet, or let the operator allow private ones with `messaging.pushPrivateTargets`.",
  },
  frame_invalid: {
    kind: "invalid",
    title: "A frame of the stream cannot be read",
    help: "The connection was closed; nothing of the frame was accepted. The reference of the stream describes every frame.",
  },
  credit_exceeded: {
    kind: "limited",
    title: "More was sent than the server had granted",
    help: "Wait for receipts: each gives back the credit of the messages that it answers. The connection was closed; what was not answered may be sent again.",
  },
  stream_idle: {
    kind: "timeout",
    title: "The stream was silent for too long",
    help: "Answer the server's pings, or send a ping yourself, within the idle limit that the first frame names.",
  },
  lease_lost: {
    kind: "conflict",
    title: "The lease on the message has ended",
    help: "Its deadline passed or it was given back; the message is, or will be, with another consumer. Do not count your work as done.",
  },

  // Gateway
  gateway_route_not_found: {
    kind: "not_found",
    title: "There is no such route of the gateway",
    help: "List them with GET /api/v1/gateway/routes; the id is that of the answer that created it.",
  },
  gateway_route_exists: {
    kind: "conflict",
    title: "A route of this name exists already",
    help: "Change it with PUT, or choose another name.",
  },
  gateway_host_taken: {
    kind: "conflict",
    title: "The host belongs to another tenant",
    help: "A host belongs to the tenant whose route named it first, with all names below a wildcard; routes without a host to the first tenant that has one. Name a host of your own.",
  },
  gateway_route_deploying: {
    kind: "conflict",
    title: "A deployment is changing the route",
    help: "The detail names it. Wait for its end, promote it or roll it back; then change the route.",
  },
  gateway_route_changed: {
    kind: "conflict",
    title: "The route is not what the deployment was asked for",
    help: "It was changed, or many other versions were made, in between. Ask for the deployment again.",
  },
  gateway_routes_full: {
    kind: "conflict",
    title: "The tenant has as many routes as it may",
    help: "Delete what is not needed, or raise `gateway.routesMax`.",
  },
  gateway_set_invalid: {
    kind: "invalid",
    title: "The route set has mistakes",
    help: "Each entry of `errors` names one place of the document. Nothing of it was taken; what was served before is served still.",
  },
  gateway_revision_not_found: {
    kind: "not_found",
    title: "There is no such revision of the route set",
    help: "The detail says which can be read. Older ones are not kept.",
  },
  gateway_backend_not_found: {
    kind: "not_found",
    title: "There is no such backend",
    help: "List them with GET /api/v1/gateway/backends. A backend exists as long as a route that is switched on uses it.",
  },
  gateway_instance_not_found: {
    kind: "not_found",
    title: "There is no such instance of the service",
    help: "It was taken away or its time ended without a heartbeat. Register it again.",
  },
  gateway_instances_full: {
    kind: "conflict",
    title: "The tenant has as many service instances as it may",
    help: "Deregister what is not needed, or raise `gateway.instancesMax`.",
  },
  gateway_key_not_found: {
    kind: "not_found",
    title: "There is no such API key",
    help: "List them with GET /api/v1/gateway/keys; one that was withdrawn or has expired is not listed.",
  },
  gateway_key_exists: {
    kind: "conflict",
    title: "An API key of this name exists already",
    help: "Choose another name, or withdraw the key that has it.",
  },
  gateway_keys_full: {
    kind: "conflict",
    title: "The tenant has as many API keys as it may",
    help: "Withdraw what is not needed, or raise `gateway.keysMax`.",
  },
  gateway_request_not_found: {
    kind: "not_found",
    title: "The request is not among the last ones",
    help: "This node keeps the last requests in memory, each under its X-Request-Id. Ask the node that served it, soon after.",
  },
  gateway_off: {
    kind: "unavailable",
    title: "The gateway is switched off",
    help: "Start the server without `gateway.enabled: false`.",
  },

  // Deployments
  deployment_not_found: {
    kind: "not_found",
    title: "There is no such deployment",
    help: "List them with `hotswap deployment list`; those that ended long ago are not kept.",
  },
  deployment_kind_unknown: {
    kind: "unprocessable",
    title: "Nothing here deploys things of this kind",
    help: "Use a kind that the server has; a part that is switched off, such as the gateway, deploys nothing.",
  },
  deployment_state_refused: {
    kind: "conflict",
    title: "The deployment is not in a state that allows this",
    help: "Read it again. What is on its way back or has ended is not paused, resumed or promoted; deploy anew.",
  },
  deployments_full: {
    kind: "conflict",
    title: "The tenant has as many deployments under way, or freezes, as it may",
    help: "Wait for some to end, roll back what is not needed, or raise `deployment.activeMax` or `deployment.freezesMax`.",
  },
  deployment_fenced: {
    kind: "conflict",
    title: "Somebody else has gone on with the deployment",
    help: "A newer state was applied in between; nothing of the old one was done. Read the deployment again.",
  },

  // Schemas
  schema_invalid: {
    kind: "unprocessable",
    title: "The schema cannot be used",
    help: "Each entry of `errors` points into the schema. It must be JSON Schema of draft 2020-12 or 7, complete in itself, with patterns that are regular.",
  },
  schema_too_costly: {
    kind: "unprocessable",
    title: "The schema, or a document under it, takes too long to work with",
    help: "Make the schema simpler: fewer alternatives inside of one another, smaller repetitions in patterns.",
  },
  schema_not_found: {
    kind: "not_found",
    title: "There is no such schema",
    help: "List them with `hotswap schema list`; register one with `hotswap schema register`.",
  },
  schema_incompatible: {
    kind: "conflict",
    title: "The schema is not compatible with an earlier version",
    help: "The verdict in `data` has a document that breaks it. Change the schema, or register it here as a draft and submit it for an approval.",
  },
  schema_state_refused: {
    kind: "conflict",
    title: "The schema is not in a state that allows this",
    help: "A version goes from draft to in_review, approved, deprecated and retired, and never back.",
  },
  schema_in_use: {
    kind: "conflict",
    title: "The schema version is in use",
    help: "`data` lists the topics, subscriptions and consumers that use it. Move them to another version first, or send `force`.",
  },
  schema_violated: {
    kind: "unprocessable",
    title: "The payload does not fit the schema of its topic",
    help: "Each entry of `errors` points into the message. Nothing of this request was accepted.",
  },

  // Configuration
  config_not_found: {
    kind: "not_found",
    title: "There is no such configuration",
    help: "List them with `hotswap config list`; create one with `hotswap config create`.",
  },
  config_exists: {
    kind: "conflict",
    title: "A configuration of this name exists",
    help: "A name counts for all services and environments of a tenant. Choose another one, such as `checkout-staging`.",
  },
  configs_full: {
    kind: "conflict",
    title: "There are too many configurations",
    help: "Delete some, or raise the setting that the detail names.",
  },
  config_invalid: {
    kind: "unprocessable",
    title: "The document cannot be read",
    help: "Each entry of `errors` has a JSON Pointer with line and column of the text; `data` has the places as numbers.",
  },
  config_too_large: {
    kind: "too_large",
    title: "The document is too large",
    help: "Split it into several configurations, or raise `configuration.textLimitBytes`.",
  },
  config_schema_violated: {
    kind: "unprocessable",
    title: "The document does not fit the schema of its configuration",
    help: "Each entry of `errors` has a JSON Pointer with line and column of the text. Nothing was kept.",
  },
  config_secret_unknown: {
    kind: "unprocessable",
    title: "The document refers to a secret that is not there",
    help: "Set it first, with `hotswap config secret set NAME`, or correct the name.",
  },
  config_version_not_found: {
    kind: "not_found",
    title: "The configuration has no such version",
    help: "List its versions with `hotswap config versions NAME`.",
  },
  config_versions_full: {
    kind: "conflict",
    title: "The configuration has too many versions",
    help: "Delete old ones, or raise the setting that the detail names.",
  },
  config_version_in_use: {
    kind: "conflict",
    title: "The version is in use",
    help: "A version that is in force or part of a deployment stays. Deploy another one first.",
  },
  config_conflict: {
    kind: "conflict",
    title: "Somebody else has made a version meanwhile",
    help: "Read the newest version, bring your change into it, and send it with that version as `parent`.",
  },
  config_promotion_refused: {
    kind: "conflict",
    title: "The document cannot be promoted there",
    help: "Both configurations must be of the same service and format, and not the same one.",
  },
  config_import_invalid: {
    kind: "unprocessable",
    title: "The set of configurations cannot be taken",
    help: "Each entry of `errors` points into the set; a document's own place is in the message. Nothing was kept.",
  },
  config_drift: {
    kind: "conflict",
    title: "Git and HotSwap say different things",
    help: "Nothing was written. Decide for each one named: change the file or the version, or run the sync again with `--prefer git` or `--prefer hotswap`.",
  },
  git_failed: {
    kind: "conflict",
    title: "Git did not do what was asked of it",
    help: "The detail has what git said. The folder must be in the work tree of a repository, with a name and an address to commit by.",
  },
  config_draft_not_found: {
    kind: "not_found",
    title: "You have no draft of this configuration",
    help: "Save one first with `PUT /api/v1/configs/{name}/draft`.",
  },
  config_version_current: {
    kind: "conflict",
    title: "The version is in force already",
    help: "There is nothing to deploy. Name another version.",
  },
  config_version_unreleased: {
    kind: "conflict",
    title: "The version has not been deployed where approval is needed",
    help: "Instances can only be pinned to versions that are, or have been, deployed there: a pin is no way around approval.",
  },
  config_pin_not_found: {
    kind: "not_found",
    title: "There is no such pin",
    help: "List the pins of the configuration; the labels must be exactly those of the pin.",
  },
  config_trial_nobody: {
    kind: "conflict",
    title: "No instance is there to be asked",
    help: "A trial asks live instances of the configuration's service and environment. See `hotswap instance list`.",
  },
  config_holds_no_flags: {
    kind: "invalid",
    title: "The configuration is no document of feature flags",
    help: "Flags are a configuration in flagd's format, with `flags` at its top. Name another one with the header X-HotSwap-Config.",
  },
  flag_not_found: {
    kind: "not_found",
    title: "There is no such feature flag",
    help: "The configuration has no flag of this key. Name another configuration with the header X-HotSwap-Config.",
  },
  flag_evaluation_failed: {
    kind: "invalid",
    title: "The feature flag cannot be evaluated",
    help: "The detail says what is wrong with its targeting rule. Callers take their own default.",
  },
  instance_not_found: {
    kind: "not_found",
    title: "There is no such instance",
    help: "It was taken away, or was silent for too long. Register it again.",
  },
  instance_config_not_found: {
    kind: "not_found",
    title: "The document is not meant for the instance",
    help: "An instance gets the versions that its heartbeat's answer names, and those of open trials.",
  },
  instances_full: {
    kind: "conflict",
    title: "The tenant has as many instances as it may",
    help: "Deregister what is not needed, or raise `configuration.instancesMax`.",
  },
  secret_not_found: {
    kind: "not_found",
    title: "There is no such secret",
    help: "List their names with `hotswap config secret list`; set one with `hotswap config secret set NAME`.",
  },
  secret_in_use: {
    kind: "conflict",
    title: "The secret is in use",
    help: "`data` lists the versions that refer to it. Deploy others first, or send `force`.",
  },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof entries;

export const catalogue: Readonly<Record<ErrorCode, CatalogueEntry>> = entries;
