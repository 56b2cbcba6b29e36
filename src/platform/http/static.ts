/**
 * The built console as an immutable map in memory: a handful of small files, read once at start, so that no
 * request touches the disk and no path can lead outside. Unknown paths that a browser navigates to get
 * index.html, because the console routes by itself.
 */
import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

export interface StaticFile {
  content: Buffer;
  headers: Record<string, string>;
}

export interface StaticFiles {
  find(path: string, accept: string): StaticFile | undefined;
}

/** For every answer: nothing is sniffed, framed or cached that should not be. */
export const securityHeaders: Record<string, string> = {
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
};

const contentTypes: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".json": "application/json",
};

const pagePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Reads all files below the folder. Undefined when there is no such folder (the console was not built). */
export async function loadStaticFiles(folder: URL): Promise<StaticFiles | undefined> {
  const root = fileURLToPath(folder);
  const names = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => undefined);
  if (!names) return undefined;
  const files = new Map<string, StaticFile>();
  for (const entry of names.filter((candidate) => candidate.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const key = `/${relative(root, path).replaceAll(sep, "/")}`;
    files.set(key, { content: await readFile(path), headers: headersOf(key) });
  }
  const index = files.get("/index.html");
  return {
    find(path, accept) {
      if (path === "/") return index;
      const file = files.get(path);
      if (file) return file;
      const isPage = accept.includes("text/html") && !path.startsWith("/api/") && extname(path) === "";
      return isPage ? index : undefined;
    },
  };
}

function headersOf(key: string): Record<string, string> {
  const extension = extname(key);
  return {
    "content-type": contentTypes[extension] ?? "application/octet-stream",
    "x-content-type-options": "nosniff",
    // Vite puts a content hash into the names below /assets; everything else is asked for anew.
    "cache-control": key.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache",
    ...(extension === ".html" && { "content-security-policy": pagePolicy, "referrer-policy": "no-referrer" }),
  };
}
