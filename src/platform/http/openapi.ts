/**
 * The OpenAPI 3.1 document, derived from the routes. It is committed as openapi.json and a test holds the two
 * together, so that every change of the API shows up in review.
 */
import type { TSchema } from "typebox";
import { catalogue, type ErrorCode } from "../../core/catalogue.ts";
import { permissions } from "../access/permissions.ts";
import { Components, type Parameter } from "./components.ts";
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

/** As it is committed and served: one space deep, as most of such a document is depth. */
export function openApiText(routes: readonly Route[], version: string): string {
  return `${JSON.stringify(openApiDocument(routes, version), null, 1)}\n`;
}

export function openApiDocument(routes: readonly Route[], version: string): Node {
  const paths: Record<string, Node> = {};
  const components = new Components({ Problem: problemSchema });
  const sorted = routes.toSorted((a, b) => order(a).localeCompare(order(b)));
  const parameters = components.parameters(sorted.map((route) => parametersOf(route, components)));
  for (const [index, route] of sorted.entries()) {
    paths[route.path] ??= {};
    paths[route.path]![route.method.toLowerCase()] = operation(route, parameters[index]!, components);
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
    "x-permissions": Object.fromEntries(
      Object.entries(permissions).map(([permission, roles]) => [permission, ["admin", ...roles]]),
    ),
    paths,
    components: {
      securitySchemes: { bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" } },
      ...components.document,
    },
  };
}

const order = (route: Route) => `${route.path} ${route.method}`;
const tagOf = (route: Route) => route.id.split(".", 1)[0]!;

function operation(route: Route, parameters: Node[], components: Components): Node {
  return {
    operationId: route.id,
    tags: [tagOf(route)],
    summary: route.summary,
    ...(route.description && { description: route.description }),
    ...(route.permission === "public" ? { security: [] } : { "x-permission": route.permission }),
    parameters,
    ...(route.body && { requestBody: { required: true, content: bodyContent(route, components) } }),
    responses: {
      [successStatus(route)]: success(route, components),
      ...(route.conditional && { 304: { description: "It is as If-None-Match names it." } }),
      ...problems(errorsOf(route), components),
    },
  };
}

function successStatus(route: Route): number {
  if (route.upgrade) return 101;
  return route.status ?? (route.response || route.responseType ? 200 : 204);
}

function success(route: Route, components: Components): Node {
  if (route.upgrade)
    return { description: `The connection speaks \`${route.upgrade.protocol}\` from now on.` };
  if (!route.response && !route.responseType) return { description: "Done." };
  const type = route.responseType ?? "application/json";
  return {
    description: "Success.",
    content: {
      ...contentOf({ [type]: route.response ?? { type: "string" } }, components),
      ...contentOf(route.responseContent, components),
    },
  };
}

function bodyContent(route: Route, components: Components): Node {
  const json = typeof route.body === "object" && { "application/json": route.body };
  return contentOf(json || route.bodyContent, components);
}

function contentOf(schemas: Record<string, TSchema> = {}, components: Components): Node {
  const content = Object.entries(schemas);
  return Object.fromEntries(
    content.map(([type, schema]) => [type, { schema: components.schema(plain(schema)) }]),
  );
}

function parametersOf(route: Route, components: Components): Parameter[] {
  const parameters = [
    ...members(route.params, "path", components),
    ...members(route.query, "query", components),
  ];
  const header = (name: string, required: boolean, description: string, pattern?: string) => {
    const schema = { type: "string", ...(pattern ? { pattern } : { minLength: 1 }) };
    parameters.push({ name, in: "header", required, description, schema });
  };
  if (route.idempotent) {
    const meaning = "Repeating the request with the same key gives the first answer again.";
    header("Idempotency-Key", false, meaning, "^[ -~]{1,255}$");
  }
  if (route.conditional) header("If-None-Match", false, "The ETag of what the caller has.");
  if (route.errors?.includes("if_match_required"))
    header("If-Match", true, "The ETag that was read, or `*`.");
  return parameters;
}

function members(schema: TSchema | undefined, place: "path" | "query", components: Components): Parameter[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = plain(schema) as {
    properties?: Record<string, Node>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === "path" || (required.includes(name) && property.default === undefined),
    // What has a title is described where it is shared.
    ...(property.description !== undefined &&
      property.title === undefined && { description: property.description }),
    schema: components.schema(property),
  }));
}

/** One entry per status, naming the codes that come with it, for people and for programs. */
function problems(codes: ErrorCode[], components: Components): Node {
  const byStatus = Map.groupBy(codes, (code) => statusOfKind[catalogue[code].kind]);
  const sorted = [...byStatus].sort(([a], [b]) => a - b);
  return Object.fromEntries(
    sorted.map(([status, group]) => [
      String(status),
      components.response(group.toSorted().join("."), problem(group.toSorted())),
    ]),
  );
}

const problem = (codes: ErrorCode[]): Node => ({
  description: codes.map((code) => `\`${code}\`: ${catalogue[code].title}.`).join("\n"),
  "x-codes": codes,
  content: { [problemType]: { schema: problemReference } },
});

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
