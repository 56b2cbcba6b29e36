/** /api/v1/instances: services' instances register, say what they run, and hear what they should run. */
import { Type } from "typebox";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { decodeCursor, encodeCursor, pageOf, pageQuery } from "../platform/http/page.ts";
import { handled, Reply, type Route, route, upgradeRequired } from "../platform/http/route.ts";
import { configName, versionNumber } from "./configs.schema.ts";
import { frameBytesMax, instanceProtocol } from "./instance-frames.ts";
import * as schema from "./instances.schema.ts";
import type { Instances } from "./instances.ts";
import type { Streams } from "./streams.ts";

const byId = Type.Object({ id: schema.instanceId });

export function instanceRoutes(instances: Instances, streams: Streams): Route[] {
  return [
    ...ownRoutes(instances),
    ...deliveryRoutes(instances, streams),
    route({
      id: "configuration.instances.list",
      method: "GET",
      path: "/api/v1/instances",
      summary: "List instances, with what each runs",
      permission: "instances.read",
      checksResource: true,
      audit: { none: "reads only" },
      query: Type.Object({ ...pageQuery, ...schema.listQuery }, { additionalProperties: false }),
      response: pageOf(schema.instance),
      errors: ["cursor_invalid"],
      handler: async ({ principal, query: { limit, cursor, ...filter } }) => {
        const after = decodeCursor(cursor, 1)?.map(String)[0];
        const { items, next } = await instances.list(principal, filter as Filter, { after, limit });
        return { items, next: next === undefined ? null : encodeCursor([next]) };
      },
    }),
    route({
      id: "configuration.instances.get",
      method: "GET",
      path: "/api/v1/instances/{id}",
      summary: "Get an instance, with what it runs",
      permission: "instances.read",
      checksResource: true,
      audit: { none: "reads only" },
      params: byId,
      response: schema.instance,
      errors: ["instance_not_found"],
      handler: ({ principal, params }) => instances.get(principal, params.id),
    }),
  ];
}

type Filter = Parameters<Instances["list"]>[1];

function ownRoutes(instances: Instances): Route[] {
  return [
    route({
      id: "configuration.instances.register",
      method: "POST",
      path: "/api/v1/instances",
      summary: "Register an instance of a service",
      description:
        "Or bring the one of this id up to date. The answer names the versions that it should have; it then opens its " +
        "stream, and sends a heartbeat whenever it applied or rejected a version and every `heartbeatSeconds`.",
      permission: "instances.write",
      checksResource: true,
      audit: { none: "an instance says that it is there; the list of instances is the record" },
      body: schema.newInstance,
      status: 201,
      response: schema.registered,
      errors: ["instances_full"],
      idempotent: true,
      handler: ({ principal, body }) => instances.register(principal, body),
    }),
    route({
      id: "configuration.instances.heartbeat",
      method: "POST",
      path: "/api/v1/instances/{id}/heartbeat",
      summary: "Say that an instance lives, what it runs, and what it counted",
      description:
        "The answer names the versions that it should have. What it counted belongs to the version that it ran since " +
        "the last heartbeat; a heartbeat that reports another one is not counted. 404: register again.",
      permission: "instances.write",
      checksResource: true,
      audit: { none: "what instances run is kept with them" },
      params: byId,
      body: schema.heartbeat,
      response: schema.answer,
      errors: ["instance_not_found"],
      handler: ({ principal, params, body }) => instances.heartbeat(principal, params.id, body),
    }),
    route({
      id: "configuration.instances.deregister",
      method: "DELETE",
      path: "/api/v1/instances/{id}",
      summary: "Take an instance away",
      description:
        "An instance that stops in order says so; it does not count as one that ended under a version.",
      permission: "instances.write",
      checksResource: true,
      audit: { action: "instance.deregister" },
      query: dryRunQuery,
      params: byId,
      errors: ["instance_not_found"],
      handler: (context) => instances.deregister(actorOf(context), context.params.id),
    }),
  ];
}

function socketRoute(instances: Instances, streams: Streams): Route {
  return route({
    id: "configuration.instances.socket",
    method: "GET",
    path: "/api/v1/instances/{id}/socket",
    summary: "Hear what an instance should run, and say what it runs, over one WebSocket",
    description:
      `Upgrade to WebSocket with the subprotocol \`${instanceProtocol}\`. The server tells what the stream of ` +
      "events tells, `since` standing for Last-Event-ID; the instance sends its heartbeats, and is answered as over " +
      "HTTP, for a fraction of what a request costs. It is the instance's one stream. All frames: " +
      "docs/reference/instance-socket.md.",
    permission: "instances.write",
    checksResource: true,
    audit: { none: "what instances run is kept with them" },
    params: byId,
    query: Type.Object(
      {
        since: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: Number.MAX_SAFE_INTEGER,
            description: "The revision that was heard last; 0 is none.",
          }),
        ),
      },
      { additionalProperties: false },
    ),
    errors: ["instance_not_found", "overloaded"],
    upgrade: {
      protocol: instanceProtocol,
      frameBytes: frameBytesMax,
      async open({ principal, params, query, ...asking }) {
        const { id } = params as { id: string };
        const { since = 0 } = query as { since?: number };
        streams.admit();
        const known = await instances.known(principal, id);
        return (socket, wire) =>
          streams.openSocket(known, { ...asking, principal, params, query, socket, wire }, since, (beat) =>
            instances.heartbeat(principal, id, beat),
          );
      },
    },
    handler: upgradeRequired,
  });
}

function deliveryRoutes(instances: Instances, streams: Streams): Route[] {
  return [
    route({
      id: "configuration.instances.stream",
      method: "GET",
      path: "/api/v1/instances/{id}/stream",
      summary: "Hear what an instance should run, as server-sent events",
      description:
        "Events `config` carry {config, version, hash, revision, format} and, of a small document, its `value`; a " +
        "larger one is fetched. A null version means none any more. Events `trial` carry {id, config, version, hash}, " +
        "the version null for a draft, and are answered with a heartbeat. An event's id is a revision: with Last-Event-ID only what changed since is " +
        "sent. An instance has one stream; a second ends the first.",
      permission: "instances.write",
      checksResource: true,
      audit: { none: "reads only" },
      params: byId,
      responseType: "text/event-stream",
      errors: ["instance_not_found"],
      handler: async ({ principal, params, headers, response, requestId }) => {
        streams.admit();
        const known = await instances.known(principal, params.id);
        const last = Number(headers["last-event-id"]);
        const since = Number.isSafeInteger(last) && last > 0 ? last : 0;
        streams.openEvents(known, response, { since, expiresAt: principal.expiresAt, requestId });
        return handled;
      },
    }),
    socketRoute(instances, streams),
    route({
      id: "configuration.instances.document",
      method: "GET",
      path: "/api/v1/instances/{id}/configs/{config}",
      summary: "Get the document that an instance should run",
      description:
        "Secrets are in their places. `trial` asks for what that trial is of, `version` for a version that one names. " +
        "If-None-Match is honoured.",
      permission: "instances.write",
      checksResource: true,
      audit: { none: "reads only" },
      params: Type.Object({ id: schema.instanceId, config: configName }),
      query: Type.Object(
        {
          version: Type.Optional(versionNumber),
          trial: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
        },
        { additionalProperties: false },
      ),
      response: schema.delivered,
      conditional: true,
      errors: ["instance_not_found", "instance_config_not_found", "secret_not_found"],
      handler: async ({ principal, params, query, headers }) => {
        const found = await instances.document(principal, params.id, params.config, query);
        const { wanted, version, content } = found;
        const { etag, hash, json } = content;
        const { config, revision, format } = wanted;
        const known = headers["if-none-match"]?.split(",").map((tag) => tag.trim());
        if (known?.includes(etag)) return new Reply(undefined, { status: 304, headers: { etag } });
        const head = JSON.stringify({ config, version, hash, revision, format });
        const body = `${head.slice(0, -1)},"value":${json}}`;
        const type = "application/json; charset=utf-8";
        return new Reply(body, { headers: { etag, "content-type": type, "cache-control": "no-store" } });
      },
    }),
  ];
}
