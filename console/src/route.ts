/**
 * Where the console is: the part of the address behind `#/`, cut at slashes. A hash needs nothing of the
 * server, works behind any path, and allows dots in names of topics.
 */
import { signal } from "@preact/signals";
import { adoptToken } from "./session.ts";

export const route = signal<readonly string[]>(read());

addEventListener("hashchange", () => {
  route.value = read();
  scrollTo(0, 0);
});

function read(): string[] {
  adoptToken();
  return location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decode);
}

/** The address of a page, for links. */
export function href(...parts: string[]): string {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

export function go(...parts: string[]): void {
  location.hash = href(...parts);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a stray % that somebody typed
  }
}
