import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DIRECT_MAX, inexactVersions, misnumbered, tooManyDependencies, unfitLicences } from "./packages.ts";
import { allPaths, assertNone, root } from "./source.ts";

const json = (path: string) => JSON.parse(readFileSync(join(root, path), "utf8"));
const manifests = ["package.json", "client/package.json", "console/package.json"];

test("versions are exact", () => assertNone(manifests.flatMap((path) => inexactVersions(path, json(path)))));
test("direct dependencies are few", () =>
  assertNone(tooManyDependencies("package.json", json("package.json"))));
test("the client has no dependencies", () =>
  assert.equal(json("client/package.json").dependencies, undefined));
test("licences fit", () => assertNone(unfitLicences(json("package-lock.json").packages)));
test("migrations are numbered without gaps", () => assertNone(misnumbered(allPaths())));

test("a range is found", () => {
  const manifest = {
    dependencies: { a: "^1.0.0", b: "1.0.0", c: "latest" },
    devDependencies: { d: "~1.2.3", e: "1.0.0-beta.17" },
    optionalDependencies: { f: "*" },
  };
  assert.equal(inexactVersions("package.json", manifest).length, 4);
});

test("one dependency too many is found", () => {
  const of = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`a${index}`, "1.0.0"]));
  assert.equal(tooManyDependencies("package.json", { dependencies: of(DIRECT_MAX) }).length, 0);
  assert.equal(tooManyDependencies("package.json", { dependencies: of(DIRECT_MAX + 1) }).length, 1);
});

test("an unfit licence is found in production, not among tools", () => {
  const packages = {
    "": { license: "Apache-2.0" },
    "node_modules/gpl": { license: "GPL-3.0-only" },
    "node_modules/none": {},
    "node_modules/both": { license: "MIT AND GPL-2.0-only" },
    "node_modules/choice": { license: "(GPL-2.0-only OR MIT)" },
    "node_modules/tool": { license: "MPL-2.0", dev: true },
    "node_modules/mit": { license: "MIT" },
  };
  assert.deepEqual(
    unfitLicences(packages).map(({ path }) => path),
    ["node_modules/gpl", "node_modules/none", "node_modules/both"],
  );
});

test("a gap, a double and a stray file among migrations are found", () => {
  const bad = (...names: string[]) =>
    misnumbered(names.map((name) => `src/messaging/migrations/${name}`)).length;
  assert.equal(bad("0001_topics.sql", "0002_more.sql"), 0);
  assert.equal(bad("0001_topics.sql", "0003_more.sql"), 1);
  assert.equal(bad("0001_topics.sql", "0001_twice.sql"), 1);
  assert.equal(bad("0001_topics.sql", "notes.txt"), 1);
});
