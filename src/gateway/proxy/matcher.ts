/**
 * Finds the route of a request. Per host (exact, wildcard, any) a map of exact paths and a tree of segments, so that a
 * look-up costs the same with ten routes and fifty thousand, and adding or removing one touches only its own place.
 * A change is made between two requests, so no request sees half of it.
 *
 * Which of several matching routes wins is in order.ts; the order of the candidates in one place is fixed when
 * they are put there, and places are visited from the most specific to the least.
 */
import { compareInPlace, isName, isRest, segmentsOf } from "./order.ts";
import type { Condition, Match } from "./snapshot.route.ts";

/** What a request shows to the matcher. `path` is without the query, `host` lower case without a port. */
export interface Subject {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  header(name: string): string | undefined;
  query(name: string): string | undefined;
}

export interface Routed {
  readonly id: string;
  readonly priority: number;
  readonly match: Match;
  /** A browser that asks (CORS) whether it may send a request is answered by the route of that request. */
  readonly answersPreflights?: boolean;
}

class Node<Route> {
  readonly children = new Map<string, Node<Route>>();
  wildcard: Node<Route> | undefined;
  /** Routes whose prefix, or template with a rest, ends here. */
  readonly prefixes: Route[] = [];
  /** Routes whose template ends here. */
  readonly ends: Route[] = [];
  readonly rests: Route[] = [];
}

class HostTable<Route> {
  readonly exact = new Map<string, Route[]>();
  readonly root = new Node<Route>();
  routes = 0;
  /** Never less than the highest among its routes. */
  priority = Number.NEGATIVE_INFINITY;
}

export class Matcher<Route extends Routed> {
  readonly #hosts = new Map<string, HostTable<Route>>();
  readonly #wildcards = new Map<string, HostTable<Route>>();
  readonly #any = new HostTable<Route>();
  readonly #byId = new Map<string, Route>();

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): Route | undefined {
    return this.#byId.get(id);
  }

  all(): IterableIterator<Route> {
    return this.#byId.values();
  }

  /** Adds the route, in the place of one with the same id. */
  put(route: Route): void {
    this.remove(route.id);
    this.#byId.set(route.id, route);
    const table = this.#table(route.match.host, true)!;
    table.routes++;
    table.priority = Math.max(table.priority, route.priority);
    const list = placeOf(table, route.match, true)!;
    list.push(route);
    list.sort(compareInPlace);
  }

  remove(id: string): void {
    const route = this.#byId.get(id);
    if (!route) return;
    this.#byId.delete(id);
    const { host } = route.match;
    const table = this.#table(host, false)!;
    const list = placeOf(table, route.match, false)!;
    list.splice(list.indexOf(route), 1);
    prune(table, route.match);
    if (--table.routes === 0 && host)
      (host.startsWith("*.") ? this.#wildcards : this.#hosts).delete(keyOf(host));
  }

  find(subject: Subject): Route | undefined {
    let best: Route | undefined;
    const exact = this.#hosts.get(subject.host);
    if (exact) best = findIn(exact, subject, best);
    if (this.#wildcards.size > 0) {
      for (let dot = subject.host.indexOf("."); dot > 0; dot = subject.host.indexOf(".", dot + 1)) {
        const table = this.#wildcards.get(subject.host.slice(dot));
        if (table) best = findIn(table, subject, best);
      }
    }
    return findIn(this.#any, subject, best);
  }

  #table(host: string | undefined, create: boolean): HostTable<Route> | undefined {
    if (!host) return this.#any;
    const tables = host.startsWith("*.") ? this.#wildcards : this.#hosts;
    const table = tables.get(keyOf(host));
    if (table || !create) return table;
    const added = new HostTable<Route>();
    tables.set(keyOf(host), added);
    return added;
  }
}

const keyOf = (host: string) => (host.startsWith("*.") ? host.slice(1) : host);

/** The list that a route belongs to. */
function placeOf<Route>(table: HostTable<Route>, { path }: Match, create: boolean): Route[] | undefined {
  if (!path) return table.root.prefixes;
  if ("exact" in path) {
    let list = table.exact.get(path.exact);
    if (!list && create) {
      list = [];
      table.exact.set(path.exact, list);
    }
    return list;
  }
  const isTemplate = "template" in path;
  let node: Node<Route> | undefined = table.root;
  for (const segment of segmentsOf(isTemplate ? path.template : path.prefix)) {
    if (isTemplate && isRest(segment)) return node?.rests;
    node = step(node, segment, isTemplate, create);
    if (!node) return undefined;
  }
  return isTemplate ? node.ends : node.prefixes;
}

function step<Route>(node: Node<Route>, segment: string, isTemplate: boolean, create: boolean) {
  if (isTemplate && isName(segment)) {
    if (!node.wildcard && create) node.wildcard = new Node();
    return node.wildcard;
  }
  const child = node.children.get(segment);
  if (child || !create) return child;
  const added = new Node<Route>();
  node.children.set(segment, added);
  return added;
}

/** Takes away what a removed route leaves empty. */
function prune<Route>(table: HostTable<Route>, { path }: Match): void {
  if (!path) return;
  if ("exact" in path) {
    if (table.exact.get(path.exact)?.length === 0) table.exact.delete(path.exact);
    return;
  }
  const isTemplate = "template" in path;
  const trail: [Node<Route>, string][] = [];
  let node: Node<Route> | undefined = table.root;
  for (const segment of segmentsOf(isTemplate ? path.template : path.prefix)) {
    if (isTemplate && isRest(segment)) break;
    trail.push([node, segment]);
    node = step(node, segment, isTemplate, false)!;
  }
  for (const [parent, segment] of trail.reverse()) {
    const child = step(parent, segment, isTemplate, false)!;
    const isUsed = child.children.size + child.prefixes.length + child.ends.length + child.rests.length > 0;
    if (isUsed || child.wildcard) return;
    if (isTemplate && isName(segment)) parent.wildcard = undefined;
    else parent.children.delete(segment);
  }
}

function findIn<Route extends Routed>(table: HostTable<Route>, subject: Subject, found: Route | undefined) {
  if (table.routes === 0 || (found && found.priority >= table.priority)) return found;
  // Without exact paths, the hash of the whole path would be made for nothing.
  let best = table.exact.size > 0 ? better(table.exact.get(subject.path), subject, found) : found;
  if (best && best.priority >= table.priority) return best;
  best = walk(table.root, subject, 1, best);
  return best;
}

/** Deeper first, named segments before free ones; `from` is where the next segment begins. */
function walk<Route extends Routed>(
  node: Node<Route>,
  subject: Subject,
  from: number,
  found: Route | undefined,
): Route | undefined {
  const { path } = subject;
  let best = found;
  if (from > path.length || path.length === 1) {
    if (node.ends.length > 0) best = better(node.ends, subject, best);
  } else if (node.children.size > 0 || node.wildcard) {
    const slash = path.indexOf("/", from);
    const end = slash < 0 ? path.length : slash;
    const child = node.children.get(path.slice(from, end));
    if (child) best = walk(child, subject, end + 1, best);
    if (node.wildcard && end > from) best = walk(node.wildcard, subject, end + 1, best);
  }
  if (node.rests.length > 0 && from <= path.length) best = better(node.rests, subject, best);
  return node.prefixes.length > 0 ? better(node.prefixes, subject, best) : best;
}

/** The first of the list that fits, when it has a higher priority than what was found in a more specific place. */
function better<Route extends Routed>(
  list: readonly Route[] | undefined,
  subject: Subject,
  best: Route | undefined,
) {
  if (!list) return best;
  for (let i = 0; i < list.length; i++) {
    const route = list[i]!;
    if (best && route.priority <= best.priority) return best;
    if (fits(route, subject)) return route;
  }
  return best;
}

function fits({ match, answersPreflights }: Routed, subject: Subject): boolean {
  const { methods, headers, query } = match;
  if (methods && !takes(methods, subject.method)) {
    const asked = answersPreflights ? preflightOf(subject) : undefined;
    if (asked === undefined || !takes(methods, asked)) return false;
  }
  if (headers && !headers.every((condition) => holds(condition, subject.header(condition.name))))
    return false;
  return !query || query.every((condition) => holds(condition, subject.query(condition.name)));
}

const takes = (methods: readonly string[], method: string): boolean =>
  methods.includes(method) || (method === "HEAD" && methods.includes("GET"));

/** The method that a browser wants to use, when this is the request by which it asks (Fetch, CORS preflight). */
export function preflightOf(subject: Pick<Subject, "method" | "header">): string | undefined {
  if (subject.method !== "OPTIONS" || subject.header("origin") === undefined) return undefined;
  return subject.header("access-control-request-method");
}

function holds(condition: Condition, value: string | undefined): boolean {
  if (value === undefined) return condition.present === false;
  if (condition.present === false) return false;
  if (condition.equals !== undefined && value !== condition.equals) return false;
  if (condition.prefix !== undefined && !value.startsWith(condition.prefix)) return false;
  return !condition.oneOf || condition.oneOf.includes(value);
}

/** What the names of a template stand for in a path that it matched. */
export function templateValues(template: string, path: string): Record<string, string> {
  const segments = path.split("/");
  const values: Record<string, string> = {};
  for (const [index, part] of template.split("/").entries()) {
    if (isRest(part)) values[part.slice(1, -2)] = segments.slice(index).join("/");
    else if (isName(part)) values[part.slice(1, -1)] = segments[index] ?? "";
  }
  return values;
}

/** The first value of a query parameter in a target's query (with or without `?`), decoded. */
export function queryValue(query: string, name: string): string | undefined {
  return new URLSearchParams(query).get(name) ?? undefined;
}
