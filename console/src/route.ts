/**
 * Where the console is: the part of the address behind `#/`, cut at slashes, and the questions behind its `?`
 * (a search, a partition, an opened message), so that whatever is on the screen can be linked to. A hash needs
 * nothing of the server, works behind any path, and allows dots in names of topics.
 */
import { batch, signal } from "@preact/signals";
import { adoptToken } from "./session.ts";

type Query = Readonly<Record<string, string>>;

export const route = signal<readonly string[]>([]);
export const query = signal<Query>({});
read();

addEventListener("hashchange", () => {
  const before = route.value.join("/");
  read();
  if (route.value.join("/") !== before) scrollTo(0, 0);
});

function read(): void {
  adoptToken();
  const [path = "", search = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const parts = path.split("/").filter(Boolean).map(decode);
  batch(() => {
    if (parts.join("/") !== route.value.join("/")) route.value = parts;
    query.value = Object.fromEntries(new URLSearchParams(search));
  });
}

/** The address of a page, for links. */
export function href(...parts: string[]): string {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

/** The address of a page with its questions; empty ones are left out. */
export function hrefWith(questions: Query, ...parts: string[]): string {
  const given = Object.entries(questions).filter(([, value]) => value !== "");
  return href(...parts) + (given.length > 0 ? `?${new URLSearchParams(given)}` : "");
}

export function go(...parts: string[]): void {
  location.hash = href(...parts);
}

/** Changes questions of this page without a step in the browser's history. */
export function ask(changes: Query): void {
  query.value = { ...query.value, ...changes };
  history.replaceState(null, "", hrefWith(query.value, ...route.value));
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a stray % that somebody typed
  }
}
