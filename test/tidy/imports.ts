/**
 * Who may import whom. Ranks go up from core to cli; an import goes down, or stays in its room. Within stores
 * and platform each folder is a room: stores' never import each other, platform's only downwards in their
 * order. Besides: no cycles of files, types included, and no file that nothing imports.
 */
import { posix } from "node:path";
import { isScript, isTestCode, lineAt, type Source, type Violation } from "./source.ts";

const RANKS: readonly (readonly string[])[] = [
  ["core"],
  ["stores"],
  ["platform"],
  ["schemas", "deployment"],
  ["messaging", "gateway", "configuration", "plugins", "streams"],
  ["bss"],
  ["cli"],
];

/** A room of platform imports only rooms before it. Routes stand above all of them, next to the server. */
const PLATFORM = [
  "settings",
  "telemetry",
  "auth",
  "access",
  "limits",
  "lock",
  "http",
  "idempotency",
  "audit",
  "approvals",
  "health",
];

/** Tables of names that every room of platform may use, wherever they lie. */
const TABLES = ["src/platform/access/permissions.ts"];

/** Above the server: what it may import from outside src/, and which rooms may. */
const CLIENT_USERS = ["bss", "cli"];

/** Pure code of the client that both sides must agree on, and that any system may use. */
const SHARED = "client/src/flags/";

/** Started by name, by a person or a tool, and so imported by nothing. */
const ENTRIES = [
  /^src\/cli\/main\.ts$/,
  /^(scripts|bin|examples|test\/sim)\//,
  /^bench\/([^/]+|[^/]+\/(run|disturbance|lookup|scale))\.ts$/,
  /^client\/src\/(index|node|openfeature)\.ts$/,
  /\/vite\.config\.ts$/,
  /\.d\.ts$/,
];

export interface Import {
  readonly from: string;
  readonly to: string;
  readonly line: number;
}

const SPECIFIER = /(?:\bfrom|\bimport|\bimport\(|\bnew URL\()\s*(["'])( *)\1/g;

/** The relative imports of a file, static, dynamic and `new URL("./worker.ts", …)`, as paths in the tree. */
export function importsOf({ path, text, code }: Source): Import[] {
  return [...code.matchAll(SPECIFIER)].flatMap((match) => {
    const end = match.index + match[0].length - 1;
    const specifier = text.slice(end - match[2]!.length, end);
    if (!specifier.startsWith(".")) return [];
    return { from: path, to: posix.join(posix.dirname(path), specifier), line: lineAt(text, match.index) };
  });
}

export function imports(sources: readonly Source[]): Import[] {
  const paths = new Set(sources.filter(isScript).map(({ path }) => path));
  return sources
    .filter(isScript)
    .flatMap(importsOf)
    .filter(({ to }) => paths.has(to));
}

const rankOf = (room: string) => RANKS.findIndex((rooms) => rooms.includes(room));

export function directions(all: readonly Import[]): Violation[] {
  return all.flatMap(({ from, to, line }) => {
    const what = from.startsWith("src/") ? wrongDirection(from, to) : undefined;
    return what ? [{ path: from, line, what: `imports ${to}: ${what}` }] : [];
  });
}

function wrongDirection(from: string, to: string): string | undefined {
  const [, room, inner] = from.split("/") as [string, string, string];
  const [area, toRoom, toInner] = to.split("/") as [string, string, string];
  if (rankOf(room) < 0) return `${room} has no rank`;
  if (to.startsWith(SHARED)) return undefined;
  if (area === "client" && CLIENT_USERS.includes(room)) return undefined;
  if (area !== "src") return isTestCode(from) && area === "test" ? undefined : `src never imports ${area}`;
  if (rankOf(toRoom) > rankOf(room)) return `${room} is below ${toRoom}`;
  if (room !== toRoom)
    return rankOf(toRoom) === rankOf(room) ? `${room} and ${toRoom} stand side by side` : undefined;
  if (room === "stores" && isFolder(to) && isFolder(from) && inner !== toInner)
    return "stores stand side by side";
  if (room === "platform" && !isFace(from) && !TABLES.includes(to)) return wrongInPlatform(inner, toInner);
  return undefined;
}

// src/stores/sql/port.ts lies in a room of stores; src/stores/files.ts is shared by all of them.
const isFolder = (path: string) => path.split("/").length > 3;
const isFace = (path: string) => /\.routes\.ts$|\/index\.ts$/.test(path) || isTestCode(path);

function wrongInPlatform(inner: string, toInner: string): string | undefined {
  if (!PLATFORM.includes(inner)) return `platform/${inner} has no place in the order of platform's rooms`;
  if (PLATFORM.indexOf(toInner) <= PLATFORM.indexOf(inner)) return undefined;
  return `platform/${inner} comes before platform/${toInner}`;
}

/** Every cycle once, starting at its first file by name. */
export function cycles(all: readonly Import[]): Violation[] {
  const targets = new Map<string, string[]>();
  for (const { from, to } of all) targets.set(from, [...(targets.get(from) ?? []), to]);
  const done = new Set<string>();
  const found = new Map<string, Violation>();
  const visit = (path: string, trail: readonly string[]) => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      const cycle = trail.slice(start);
      const what = `import cycle: ${[...cycle, path].join(" → ")}`;
      found.set([...cycle].sort().join(), { path, what });
    } else if (!done.has(path)) {
      for (const to of targets.get(path) ?? []) visit(to, [...trail, path]);
      done.add(path);
    }
  };
  for (const path of [...targets.keys()].sort()) visit(path, []);
  return [...found.values()];
}

export function deadFiles(sources: readonly Source[], all: readonly Import[]): Violation[] {
  const imported = new Set(all.map(({ to }) => to));
  for (const { path, text } of sources) {
    if (!path.endsWith(".html")) continue;
    for (const [, file] of text.matchAll(/<script[^>]* src="\/?([^"]+)"/g))
      imported.add(posix.join(posix.dirname(path), file!));
  }
  return sources
    .filter(({ path }) => /\.tsx?$/.test(path) && !path.endsWith(".test.ts"))
    .filter(({ path }) => !imported.has(path) && !ENTRIES.some((entry) => entry.test(path)))
    .map(({ path }) => ({ path, what: "nothing imports this file" }));
}
