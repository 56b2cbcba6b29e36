/**
 * The OpenAPI 3.1 document, derived from the routes. It is committed as openapi.json and a test holds the two
 * together, so that every change of the API shows up in review.
 */
import type { TSchema } from "typebox";
import { catalogue, type ErrorCode } from "../../core/catalogue.ts";
import { permissions } from "../access/permissions.ts";
import { problemType, statusOfKind } from "./problem.ts";
import type { Route } from "./route.ts";

type Node = Record<string, unknown>;

/** For a schema with a problem inside it. */
export const problemReference = { $ref: "#/components/schemas/Problem" };

/** Every code that the route may answer with. */
function errorsOf(route: Route): ErrorCode[] {
  return [...new Set([...(route.errors ?? []), ...commonErrors(route)])];
}

/** Codes that any route may answer, by what the route has. */
function commonErrors(route: Route): ErrorCode[] {
  const codes: ErrorCode[] = ["internal", "overloaded", "shutting_down", "store_unavailable"];
  if (route.permission !== "public") {
    codes.push("token_missing", "token_invalid", "token_expired", "permission_denied", "rate_limited");
  }
  if (route.params || route.query || route.body) codes.push("validation_failed");
  if (route.body) codes.push("json_malformed", "encoding_invalid", "too_deep", "body_too_large");
  if (route.body) codes.push("request_timeout");
  if (route.method !== "GET") codes.push("media_type_unsupported");
  if (route.idempotent) codes.push("idempotency_key_reused", "idempotency_in_progress");
  if (route.upgrade) codes.push("upgrade_required", "origin_refused", "http_malformed");
  return codes;
}

export function openApiDocument(routes: readonly Route[], version: string): Node {
  const paths: Record<string, Node> = {};
  const sorted = routes.toSorted((a, b) => order(a).localeCompare(order(b)));
  for (const route of sorted) {
    paths[route.path] ??= {};
    paths[route.path]![route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: "3.1.0",
    jsonSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
    info: {
      title: "HotSwap",
      version,
      summary: "Change a running system step by step, and take it back by itself when it hurts.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [{ bearer: [] }],
    tags: [...new Set(sorted.map(tagOf))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: { bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" } },
      schemas: { Problem: problemSchema },
    },
  };
}

const order = (route: Route) => `${route.path} ${route.method}`;
const tagOf = (route: Route) => route.id.split(".", 1)[0]!;

function operation(route: Route): Node {
  return {
    operationId: route.id,
    tags: [tagOf(route)],
    summary: route.summary,
    ...(route.description && { description: route.description }),
    ...(route.permission === "public"
      ? { security: [] }
      : { "x-permission": route.permission, "x-roles": ["admin", ...permissions[route.permission]] }),
    parameters: parametersOf(route),
    ...(route.body && { requestBody: { required: true, content: bodyContent(route) } }),
    responses: {
      [successStatus(route)]: success(route),
      ...(route.conditional && { 304: { description: "It is as If-None-Match names it." } }),
      ...problems(errorsOf(route)),
    },
  };
}

function successStatus(route: Route): number {
  if (route.upgrade) return 101;
  return route.status ?? (route.response || route.responseType ? 200 : 204);
}

function success(route: Route): Node {
  if (route.upgrade)
    return { description: `The connection speaks \`${route.upgrade.protocol}\` from now on.` };
  if (!route.response && !route.responseType) return { description: "Done." };
  const type = route.responseType ?? "application/json";
  return {
    description: "Success.",
    content: {
      [type]: { schema: plain(route.response ?? { type: "string" }) },
      ...contentOf(route.responseContent),
    },
  };
}

function bodyContent(route: Route): Node {
  if (typeof route.body === "object") return { "application/json": { schema: plain(route.body) } };
  return contentOf(route.bodyContent);
}

function contentOf(schemas: Record<string, TSchema> = {}): Node {
  const content = Object.entries(schemas);
  return Object.fromEntries(content.map(([type, schema]) => [type, { schema: plain(schema) }]));
}

function parametersOf(route: Route): Node[] {
  const parameters = [...members(route.params, "path"), ...members(route.query, "query")];
  if (route.idempotent) {
    const schema = { type: "string", pattern: "^[ -~]{1,255}$" };
    const description = "Repeating the request with the same key gives the first answer again.";
    parameters.push({ name: "Idempotency-Key", in: "header", required: false, description, schema });
  }
  if (route.conditional) {
    const schema = { type: "string", minLength: 1 };
    const description = "The ETag of what the caller has.";
    parameters.push({ name: "If-None-Match", in: "header", required: false, description, schema });
  }
  if (route.errors?.includes("if_match_required")) {
    const schema = { type: "string", minLength: 1 };
    const description = "The ETag that was read, or `*`.";
    parameters.push({ name: "If-Match", in: "header", required: true, description, schema });
  }
  return parameters;
}

function members(schema: TSchema | undefined, place: "path" | "query"): Node[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = plain(schema) as {
    properties?: Record<string, Node>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === "path" || (required.includes(name) && property.default === undefined),
    ...(property.description !== undefined && { description: property.description }),
    schema: property,
  }));
}

/** One entry per status, naming the codes that come with it, for people and for programs. */
function problems(codes: ErrorCode[]): Node {
  const byStatus = Map.groupBy(codes, (code) => statusOfKind[catalogue[code].kind]);
  const sorted = [...byStatus].sort(([a], [b]) => a - b);
  return Object.fromEntries(
    sorted.map(([status, group]) => [
      String(status),
      {
        description: group.map((code) => `\`${code}\`: ${catalogue[code].title}.`).join("\n"),
        "x-codes": group,
        content: { [problemType]: { schema: problemReference } },
      },
    ]),
  );
}

/** TypeBox marks its schemas with symbols and hidden members; the document holds plain JSON only. */
function plain(schema: unknown): Node {
  return JSON.parse(JSON.stringify(schema)) as Node;
}

const problemSchema: Node = {
  description: "RFC 9457 problem details. `code` is stable; `detail` is for people.",
  type: "object",
  required: ["type", "title", "status", "code", "detail", "help", "requestId"],
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    code: { type: "string", enum: Object.keys(catalogue) },
    detail: { type: "string" },
    help: { type: "string" },
    requestId: { type: "string" },
    errors: {
      type: "array",
      items: {
        type: "object",
        required: ["pointer", "message"],
        properties: { pointer: { type: "string" }, message: { type: "string" } },
      },
    },
    retryAfterMs: { type: "integer" },
    data: { type: "object" },
    error_code: { type: "integer", description: "On routes of the Confluent registry: its own code." },
    message: { type: "string", description: "On routes of the Confluent registry: as `detail`." },
    key: { type: "string", description: "On routes of OFREP: the flag." },
    errorCode: { type: "string", description: "On routes of OFREP: its own code." },
    errorDetails: { type: "string", description: "On routes of OFREP: as `detail`." },
  },
};
