/** Of the gateway: what the proxy answers itself, and its routes. */
import type { CatalogueEntry } from "./entry.ts";

export const gateway = {
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
    help: "Its connection was closed and is not used again. The access log and `hotswap gateway explain` say which rule it broke.",
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
} as const satisfies Record<string, CatalogueEntry>;
