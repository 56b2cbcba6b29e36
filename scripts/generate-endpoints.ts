/**
 * Where the code of each endpoint is: the table between the marks of ARCHITECTURE.md, found by looking for the
 * ids of the routes in the files that define them.
 */
import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import type { Route } from "../src/platform/http/route.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const [opening, closing] = ["<!-- endpoints -->", "<!-- /endpoints -->"];

/** `/api/v1/topics/{name}` → `topics`; outside of the API the first part of the path. */
export function nounOf(path: string): string {
  return path.replace(/^\/api\/v1\//, "/").split("/")[1]!;
}

/**
 * Route id → the files that define a route of this id; more or fewer than one is a mistake. A resource may be there a
 * second time, narrowed for a system: `gateway.deployments.list` is `deployments.list`.
 */
export function filesOf(routes: readonly Route[]): Map<string, string[]> {
  const files = globSync("src/**/*.routes.ts", { cwd: root }).sort();
  const texts = files.map((file) => ({ file, text: readFileSync(`${root}/${file}`, "utf8") }));
  const definedIn = (id: string) => texts.filter(({ text }) => text.includes(`id: "${id}"`));
  const isRoute = (id: string) => routes.some((route) => route.id === id);
  const whole = (id: string) => id.replace(/^\w+\.(?=\w+\.)/, "");
  const origin = (id: string) => (id !== whole(id) && isRoute(whole(id)) ? whole(id) : id);
  return new Map(routes.map(({ id }) => [id, definedIn(origin(id)).map(({ file }) => file)]));
}

/** Noun → the files that have its endpoints, the file of its own name first. */
export function filesOfNouns(routes: readonly Route[]): Map<string, string[]> {
  const files = filesOf(routes);
  const groups = Map.groupBy(routes, ({ path }) => nounOf(path));
  const entries = [...groups].map(([noun, members]): [string, string[]] => {
    const found = new Set(members.flatMap(({ id }) => files.get(id)!));
    const isOwn = (file: string) => Number(basename(file) === `${noun}.routes.ts`);
    return [noun, [...found].sort((a, b) => isOwn(b) - isOwn(a) || a.localeCompare(b))];
  });
  return new Map(entries.sort(([a], [b]) => a.localeCompare(b)));
}

/** The page with its table brought up to date; throws when it has no place for one. */
export function withEndpoints(page: string, routes: readonly Route[]): string {
  const [start, end] = [page.indexOf(opening), page.indexOf(closing)];
  if (start < 0 || end < start) throw new Error(`ARCHITECTURE.md needs the marks ${opening} and ${closing}`);
  const nouns = [...filesOfNouns(routes)];
  const isApi = (noun: string) => routes.some(({ path }) => path.split("/")[3] === noun);
  const rows = nouns.map(([noun, files]) => {
    const links = files.map((file) => `[${file.replace(/^src\//, "")}](${file})`);
    return `| \`/${isApi(noun) ? `api/v1/${noun}` : noun}\` | ${links.join(", ")} |`;
  });
  const table = ["| Endpoints | Code |", "| --- | --- |", ...rows].join("\n");
  return `${page.slice(0, start)}${opening}\n${table}\n${page.slice(end)}`;
}
