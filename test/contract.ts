/**
 * Holds every answer of the server against its own OpenAPI document: the status and content type are
 * documented, a problem's code is listed for the operation, and the body has the documented members and no
 * others. So each API-level test also tests what the document promises.
 */
import assert from "node:assert/strict";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { parse } from "yaml";
import { openApiDocument } from "../src/platform/http/openapi.ts";
import type { Problem } from "../src/platform/http/problem.ts";
import type { Route } from "../src/platform/http/route.ts";

// What comes out of a JSON document; this file is what gives it a shape.
// biome-ignore lint/suspicious/noExplicitAny: a document of any depth
type Node = any;

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** The body when its type is JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of many shapes
  json: any;
}

export interface Operation {
  id: string;
  method: string;
  path: string;
  parameters: { name: string; in: "path" | "query" | "header"; required: boolean; schema: Node }[];
  /** Schemas by content type. */
  bodies: Record<string, Node>;
  isPublic: boolean;
  roles: string[];
  /** By status, then by content type. */
  responses: Record<string, { codes: string[]; types: Record<string, Node> }>;
}

const ajv = new Ajv2020({ strict: false, allErrors: true });
// ajv-formats is CommonJS; under NodeNext its callable default is one level down.
formats.default(ajv);
const problemType = "application/problem+json";

interface Entry {
  method: string;
  pattern: RegExp;
  parameters: number;
  /** Read out of the document when it is asked for: most tests call a few of all operations. */
  read(): Operation;
}

export class Contract {
  readonly #entries: Entry[];
  readonly #validators = new Map<unknown, ValidateFunction>();

  private constructor(entries: Entry[]) {
    this.#entries = entries;
  }

  static of(document: Node): Contract {
    const entries = Object.entries<Node>(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => entryOf(path, method, () => document)),
    );
    return new Contract(entries);
  }

  /** What the document says of each route, written when the route is called first: all of it takes a while. */
  static ofRoutes(routes: readonly Route[]): Contract {
    return new Contract(
      routes.map((route) => entryOf(route.path, route.method, () => openApiDocument([route], "test"))),
    );
  }

  get operations(): Operation[] {
    return this.#entries.map((entry) => entry.read());
  }

  find(method: string, url: string): Operation | undefined {
    const path = url.split("?", 1)[0]!;
    return this.#entries
      .filter((entry) => entry.method === method && entry.pattern.test(path))
      .sort((a, b) => a.parameters - b.parameters)[0] // a literal path goes before one with parameters
      ?.read();
  }

  /** Throws when the document does not promise this answer to this operation. */
  check(operation: Operation, answer: Answer): void {
    const where = `${operation.id} answered ${answer.status}`;
    const response = operation.responses[answer.status];
    assert.ok(response, `${where}, which is not documented: ${answer.text.slice(0, 500)}`);
    const type = (answer.headers.get("content-type") ?? "").split(";", 1)[0]!;
    const documented = Object.keys(response.types);
    assert.ok(documented.includes(type) || (type === "" && documented.length === 0), `${where} as ${type}`);
    if (type === "") assert.equal(answer.text, "", where);
    if (type === problemType) {
      const { code } = answer.json as Problem;
      assert.ok(response.codes.includes(code), `${where} with ${code}; documented: ${response.codes}`);
    }
    for (const value of valuesOf(type, answer)) this.#validate(response.types[type], value, where);
  }

  #validate(schema: Node, value: unknown, where: string): void {
    const known = this.#validators.get(schema) ?? ajv.compile(schema);
    this.#validators.set(schema, known);
    if (!known(value)) {
      assert.fail(`${where} with a body that is not as documented: ${ajv.errorsText(known.errors)}`);
    }
  }
}

function entryOf(path: string, method: string, documentOf: () => Node): Entry {
  const pattern = path.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]*");
  let operation: Operation | undefined;
  return {
    method: method.toUpperCase(),
    pattern: new RegExp(`^${pattern}$`),
    parameters: path.split("{").length,
    read: () => {
      if (operation) return operation;
      const { paths, components, "x-permissions": permissions } = documentOf();
      const node = whole(paths[path][method.toLowerCase()], components);
      operation = operationOf(path, method, node, permissions);
      return operation;
    },
  };
}

/** With what its references lead to in their place. None of them leads to itself. */
function whole(node: Node, components: Node): Node {
  if (Array.isArray(node)) return node.map((item) => whole(item, components));
  if (typeof node !== "object" || node === null) return node;
  if (typeof node.$ref === "string") {
    const [kind, name] = node.$ref.replace("#/components/", "").split("/") as [string, string];
    assert.ok(components[kind]?.[name], `${node.$ref} leads nowhere`);
    return whole(components[kind][name], components);
  }
  return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, whole(value, components)]));
}

function operationOf(
  path: string,
  method: string,
  node: Node,
  permissions: Record<string, string[]>,
): Operation {
  const responses = Object.entries<Node>(node.responses).map(([status, response]) => {
    const types = Object.entries<Node>(response.content ?? {}).map(([type, { schema }]) => [
      type,
      closed(schema),
    ]);
    return [status, { codes: response["x-codes"] ?? [], types: Object.fromEntries(types) }];
  });
  const content = Object.entries<Node>(node.requestBody?.content ?? {});
  return {
    id: node.operationId,
    method: method.toUpperCase(),
    path,
    parameters: node.parameters,
    bodies: Object.fromEntries(content.map(([type, { schema }]) => [type, schema])),
    isPublic: node["x-permission"] === undefined,
    roles: permissions[node["x-permission"]] ?? [],
    responses: Object.fromEntries(responses),
  };
}

/** An answer may have no member that is not documented, though callers must bear new ones. */
function closed(schema: Node): Node {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== "object" || schema === null) return schema;
  const members = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]));
  return schema.properties && schema.additionalProperties === undefined
    ? { ...members, additionalProperties: false }
    : members;
}

function valuesOf(type: string, { json, text }: Answer): unknown[] {
  if (type.endsWith("json") && !type.includes("ndjson")) return [json];
  if (type.endsWith("yaml")) return [parse(text)];
  if (!type.includes("ndjson")) return type === "" ? [] : [text];
  return text
    .trimEnd()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}
