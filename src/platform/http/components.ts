/**
 * Takes what an OpenAPI document says in several places to `components` and refers to it there: every schema that
 * has a title, under its title; every answer that is a problem, under its codes; and of the parameters of one name the
 * one that most operations have. The rule looks at the document alone, so a room shares a schema by giving it a title,
 * and knows nothing of components.
 *
 * Two schemas that differ may not have one title: which of them a reference means could not be told.
 */
import { isDeepStrictEqual } from "node:util";

type Node = Record<string, unknown>;

export interface Parameter extends Node {
  name: string;
  in: "path" | "query" | "header";
}

/** Members that hold values, not schemas: a `title` inside of them names nothing. */
const values = new Set(["const", "default", "enum", "example", "examples"]);

export class Components {
  readonly #schemas: Record<string, Node>;
  readonly #responses: Record<string, Node> = {};
  readonly #parameters: Record<string, Node> = {};

  constructor(schemas: Record<string, Node>) {
    this.#schemas = { ...schemas };
  }

  /** The schema with references instead of whatever in it has a title. Throws at a title with two meanings. */
  schema(given: unknown): unknown {
    if (Array.isArray(given)) return given.map((item) => this.schema(item));
    if (typeof given !== "object" || given === null) return given;
    const members = Object.entries(given).map(([name, member]) => [
      name,
      values.has(name) ? member : this.schema(member),
    ]);
    const schema = Object.fromEntries(members) as Node;
    return typeof schema.title === "string" ? this.#share("schemas", schema.title, schema) : schema;
  }

  /** A reference to this answer; `name` stands for it alone. */
  response(name: string, response: Node): Node {
    return this.#share("responses", name, response);
  }

  /** In the order of their names, so that a new route moves nothing. */
  get document(): Node {
    return {
      schemas: sorted(this.#schemas),
      responses: sorted(this.#responses),
      parameters: sorted(this.#parameters),
    };
  }

  /** The lists with references instead of what most of them have. */
  parameters(lists: readonly (readonly Parameter[])[]): Node[][] {
    const variants = Map.groupBy(lists.flat(), (parameter) => `${parameter.in}.${parameter.name}`);
    for (const [name, all] of variants) {
      const [most] = [...Map.groupBy(all, (one) => JSON.stringify(one)).values()].sort(
        (a, b) => b.length - a.length,
      );
      if (most && most.length > 1) this.#parameters[name] = most[0]!;
    }
    const shared = (parameter: Parameter): Node => {
      const name = `${parameter.in}.${parameter.name}`;
      const isShared = isDeepStrictEqual(this.#parameters[name], parameter);
      return isShared ? { $ref: `#/components/parameters/${name}` } : parameter;
    };
    return lists.map((list) => list.map(shared));
  }

  #share(kind: "schemas" | "responses", name: string, node: Node): Node {
    const known = kind === "schemas" ? this.#schemas : this.#responses;
    known[name] ??= node;
    if (!isDeepStrictEqual(known[name], node)) throw new Error(`Two ${kind} that differ are called ${name}`);
    return { $ref: `#/components/${kind}/${name}` };
  }
}

function sorted(nodes: Record<string, Node>): Record<string, Node> {
  return Object.fromEntries(Object.entries(nodes).sort(([a], [b]) => (a < b ? -1 : 1)));
}
