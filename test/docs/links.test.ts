import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { posix } from "node:path";
import { test } from "node:test";
import { anchorsOf, linksOf, type Page, parsePage, readPages, root } from "./pages.ts";

const pages = readPages();

/** Links of the page that lead nowhere within the repository. */
function broken(page: Page, all: readonly Page[]): string[] {
  return linksOf(page).filter((target) => {
    if (/^[a-z]+:/.test(target)) return false; // outside
    const [path = "", anchor] = target.split("#", 2);
    const file = path === "" ? page.path : posix.join(posix.dirname(page.path), path);
    if (file.startsWith("..") || !existsSync(root + file)) return true;
    if (anchor === undefined) return false;
    const there = all.find((candidate) => candidate.path === file);
    return !there || !anchorsOf(there).has(anchor);
  });
}

test("every link within the repository leads somewhere", () => {
  const found = pages.flatMap((page) => broken(page, pages).map((target) => `${page.path}: ${target}`));
  assert.deepEqual(found, []);
});

test("every page is reached from README.md", () => {
  const reached = new Set(["README.md"]);
  for (const path of reached) {
    const page = pages.find((candidate) => candidate.path === path);
    for (const target of page ? linksOf(page) : []) {
      if (/^[a-z]+:/.test(target)) continue;
      reached.add(posix.join(posix.dirname(path), target.split("#", 1)[0]!));
    }
  }
  const alone = pages.map(({ path }) => path).filter((path) => !reached.has(path));
  // Of rooms that only those who work in them read.
  const own = alone.filter((path) => !/^(src|console|bench|deploy)\//.test(path));
  assert.deepEqual(own, []);
});

test("the map of the architecture stays a map", () => {
  assert.ok(pages.find(({ path }) => path === "ARCHITECTURE.md")!.text.split("\n").length <= 200);
  for (const { path, text } of pages) {
    if (path.startsWith("docs/adr/0")) assert.ok(text.split("\n").length <= 40, path);
  }
});

test("a link that leads nowhere is found", () => {
  const page = parsePage("docs/x.md", "[a](y.md) [b](../README.md) [c](../README.md#nowhere) `[d](z.md)`");
  assert.deepEqual(broken(page, pages), ["y.md", "../README.md#nowhere"]);
});
