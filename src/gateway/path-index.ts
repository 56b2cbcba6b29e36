/**
 * Routes, of one host or of a set, as a tree of the literal segments that their paths begin with, since two paths whose
 * beginnings part have no request in common: what is asked about one path costs what its own neighbours cost, however
 * many routes there are.
 */
import { beginningOf, pathPattern } from "./overlap.ts";
import type { RouteSpec } from "./routes.schema.ts";

interface Placed {
  readonly id: string;
  readonly spec: Pick<RouteSpec, "match">;
}

interface Node<Held> {
  routes: Held[];
  /** Most have none. */
  below: Map<string, Node<Held>> | undefined;
}

const newNode = <Held>(): Node<Held> => ({ routes: [], below: undefined });
const pathOf = ({ spec }: Placed) => beginningOf(pathPattern(spec.match.path));

export class PathIndex<Held extends Placed> {
  readonly #root = newNode<Held>();

  get isEmpty(): boolean {
    return isEmpty(this.#root);
  }

  put(held: Held): void {
    let node = this.#root;
    for (const segment of pathOf(held)) {
      node.below ??= new Map();
      const next = node.below.get(segment) ?? newNode<Held>();
      node.below.set(segment, next);
      node = next;
    }
    node.routes.push(held);
  }

  remove(held: Held): void {
    removeFrom(this.#root, held.id, pathOf(held));
  }

  /** Those whose paths begin with a part of this beginning, or all of it: by how many segments that is. */
  *along(beginning: readonly string[]): Generator<{ routes: readonly Held[]; depth: number }> {
    let node: Node<Held> | undefined = this.#root;
    for (let depth = 0; node; depth++) {
      yield { routes: node.routes, depth };
      if (depth === beginning.length) return;
      node = node.below?.get(beginning[depth]!);
    }
  }

  /** Those that may have a request in common with a path that begins so. */
  *meeting(beginning: readonly string[]): Generator<Held> {
    let node: Node<Held> | undefined = this.#root;
    for (const segment of beginning) {
      yield* node.routes;
      node = node.below?.get(segment);
      if (!node) return;
    }
    yield* all(node);
  }
}

const isEmpty = ({ routes, below }: Node<unknown>) => routes.length === 0 && !below?.size;

function removeFrom<Held extends Placed>(
  node: Node<Held>,
  id: string,
  [segment, ...rest]: readonly string[],
): void {
  if (segment === undefined) {
    node.routes = node.routes.filter((held) => held.id !== id);
    return;
  }
  const next = node.below?.get(segment);
  if (!next) return;
  removeFrom(next, id, rest);
  if (isEmpty(next)) node.below!.delete(segment);
}

function* all<Held>(node: Node<Held>): Generator<Held> {
  yield* node.routes;
  for (const next of node.below?.values() ?? []) yield* all(next);
}
