import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { folder, referencePages } from "../../scripts/generate-reference.ts";
import { catalogue, type ErrorCode } from "../../src/core/catalogue.ts";
import { permissions, roles } from "../../src/platform/access/permissions.ts";
import { statusOfKind } from "../../src/platform/http/problem.ts";
import { flagOf, settingNames, variableOf } from "../../src/platform/settings/index.ts";
import { metricTable } from "../../src/platform/telemetry/index.ts";

const committed = (name: string) => readFile(new URL(name, folder), "utf8");

/** Cells of all rows of all tables, heads and rules left out. */
function rows(page: string): string[][] {
  const lines = page.split("\n").filter((line) => /^\| (`|---)/.test(line));
  const cells = (line: string) =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim());
  return lines.filter((line) => !line.startsWith("| ---")).map(cells);
}

const name = (cell: string | undefined) => cell?.replaceAll("`", "");

test("the committed pages are what the code says", async () => {
  for (const [file, content] of referencePages()) {
    assert.equal(await committed(file), content, `docs/reference/${file} is stale; run: npm run generate`);
  }
});

test("errors.md has a section for each code of the catalogue, under the anchor of its help link, and no other", async () => {
  const sections = [...(await committed("errors.md")).matchAll(/^## (\w+)\n\n\*\*(\d{3})\*\* · (.+)\.$/gm)];
  assert.deepEqual(
    sections.map(([, code]) => code),
    Object.keys(catalogue),
  );
  for (const [, code, status, title] of sections) {
    const entry = catalogue[code as ErrorCode];
    assert.deepEqual([Number(status), title], [statusOfKind[entry.kind], entry.title], code);
  }
});

test("settings.md has each setting with the way to give it, and no other", async () => {
  const listed = rows(await committed("settings.md"));
  assert.deepEqual(
    listed.map(([setting]) => name(setting)),
    settingNames,
  );
  for (const [index, setting] of settingNames.entries()) {
    const ways = listed[index]?.[3]?.split("<br>").map(name);
    const flag = flagOf(setting);
    assert.deepEqual(ways, [variableOf(setting), ...(flag ? [`--${flag}`] : [])], setting);
  }
});

test("metrics.md has each metric of the table, and no other", async () => {
  assert.deepEqual(
    rows(await committed("metrics.md")).map(([metric]) => name(metric)),
    Object.keys(metricTable),
  );
});

test("permissions.md gives each permission to the roles that have it, and to no other", async () => {
  const page = await committed("permissions.md");
  const given = rows(page).map(([permission, ...marks]) => [
    name(permission),
    roles.filter((_, at) => marks[at] === "●"),
  ]);
  const wanted = Object.entries(permissions).map(([permission, holders]) => [
    permission,
    roles.filter((role) => role === "admin" || (holders as readonly string[]).includes(role)),
  ]);
  assert.deepEqual(given, wanted);
  assert.match(page, new RegExp(`^\\| Permission \\| ${roles.join(" \\| ")} \\|$`, "m"));
});
