/**
 * What the docs name exists: commands and their options, settings and their variables, error codes, metrics,
 * permissions, endpoints, files. Looked for in code spans and fenced blocks, where a name is meant as such.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Command } from "commander";
import { createProgram } from "../../src/cli/program.ts";
import { catalogue } from "../../src/core/catalogue.ts";
import { permissions } from "../../src/platform/access/permissions.ts";
import { entryOf, settingNames, variableOf } from "../../src/platform/settings/index.ts";
import { metricTable } from "../../src/platform/telemetry/index.ts";
import { codeOf, type Page, parsePage, readPages, root } from "./pages.ts";

const pages = readPages();
const program = await createProgram({ version: "0.0.0", description: "" });
const json = (file: string) => JSON.parse(readFileSync(join(root, file), "utf8"));
const paths = Object.keys(json("openapi.json").paths);
const scripts = new Set(Object.keys(json("package.json").scripts));

/** Of the command line and the tests: not settings of the server. */
const otherVariables = ["HOTSWAP_URL", "HOTSWAP_TOKEN", "HOTSWAP_GATEWAY", "HOTSWAP_CONFIG"];
/** Names with underscores that are neither a code nor a metric of ours. */
const otherNames = [
  ["tenant_id", "audit_hash", "audit_pending", "audit_entries", "audit_checkpoints", "messaging_garbage"], // tables, columns
  ["trace_id", "span_id", "node_modules", "npm_config", "scrape_configs", "job_name", "static_configs"],
  ["data_base64"], // of CloudEvents
  ["sem_ver", "starts_with", "ends_with"], // of flagd
  ["credentials_file", "max_connections", "rolled_back", "rolling_back", "realm_access"],
].flat();
const labels = Object.values(metricTable).flatMap((metric): readonly string[] => metric.labels);
const names = new Set([...Object.keys(catalogue), ...Object.keys(metricTable), ...labels, ...otherNames]);
const settings = new Set<string>([...settingNames, ...Object.keys(permissions)]);
const groups = new Set(settingNames.map((name) => name.split(".", 1)[0]!));
const variables = new Set([
  ...settingNames.map(variableOf),
  ...settingNames.filter((name) => entryOf(name).secret).map((name) => `${variableOf(name)}_FILE`),
  ...otherVariables,
]);

/** `hotswap …` as it would be typed; undefined when all of it exists. */
function unknownCommand(words: string[]): string | undefined {
  let command: Command = program;
  for (const word of words) {
    if (word.startsWith("--")) {
      const flag = word.split("=", 1)[0]!;
      if (command.options.some(({ long }) => long === flag) || flag === "--help") continue;
      return `${command.name()} has no ${flag}`;
    }
    if (command.commands.length === 0 || !/^[a-z][a-z-]*$/.test(word)) continue;
    const next = command.commands.find((candidate) => candidate.name() === word);
    if (!next) return `${command.name()} has no command ${word}`;
    command = next;
  }
  return undefined;
}

/** Each use of the command line in a piece of code, as words; what a shell would put beside it is left out. */
function commandsIn(code: string): string[][] {
  const joined = code.replaceAll(/\\\n\s*/g, " ");
  const uses = joined.matchAll(/(?:^|[\s"(`|=])hotswap +((?:-{0,2}[a-z][^\n|;&<>()"'`#]*)+)/gm);
  return [...uses].map(([, rest]) => rest!.trim().split(/\s+/));
}

/** Everything that a page names and that does not exist. */
function unknown(page: Page): string[] {
  const found: string[] = [];
  const shell = { ...page, blocks: page.blocks.filter(({ language }) => language !== "sql") };
  for (const code of codeOf(shell)) {
    for (const [, script] of code.matchAll(/\bnpm (?:run )?(start|test|(?<=run )[\w:-]+)/g)) {
      if (!scripts.has(script!)) found.push(`npm run ${script}`);
    }
    for (const words of commandsIn(code)) found.push(unknownCommand(words) ?? "");
    for (const [variable] of code.matchAll(/\bHOTSWAP_[A-Z_]+\b/g)) {
      if (!variables.has(variable)) found.push(variable);
    }
    for (const [endpoint] of code.matchAll(/\/api\/v1(?:\/[\w{}-]+)*/g)) {
      if (!isEndpoint(endpoint)) found.push(endpoint);
    }
  }
  for (const span of spansOf(page)) {
    if (/^[a-z]+(_[a-z0-9]+)+$/.test(span) && !isName(span)) found.push(span);
    const group = /^([a-z]+)\.[a-z][A-Za-z]*$/.exec(span)?.[1];
    if (group && groups.has(group) && !settings.has(span) && !isFile(span)) found.push(span);
    if (/^(src|test|docs|scripts|examples|client|console|bench|bin)\/[\w./-]*$/.test(span)) {
      if (!existsSync(join(root, span))) found.push(span);
    }
  }
  return found.filter((name) => name !== "").map((name) => `${page.path}: ${name}`);
}

const spansOf = (page: Page) => codeOf({ ...page, blocks: [] });
/** Metrics of the process and of Node.js have names that libraries gave them. */
const isName = (span: string) => names.has(span) || /^(process|nodejs)_/.test(span);
const isFile = (span: string) => /\.(json|log|ts|md)$/.test(span);

/** The path, or the beginning of one; a parameter may be filled in. */
function isEndpoint(mentioned: string): boolean {
  const parts = mentioned.split("/");
  return paths.some((path) => {
    const own = path.split("/");
    return parts.every((part, i) => own[i] !== undefined && (own[i] === part || own[i].startsWith("{")));
  });
}

test("every command, setting, code, endpoint and file that a page names exists", () => {
  assert.deepEqual(pages.flatMap(unknown), []);
});

test("the pages name enough for this to mean something", () => {
  const all = pages.flatMap(codeOf);
  assert.ok(all.flatMap(commandsIn).length > 60, `${all.flatMap(commandsIn).length} commands`);
});

test("what does not exist is found", () => {
  const text = [
    "`hotswap fly`, `npx hotswap topic make x`, `hotswap pub x --speed 3`, `HOTSWAP_HTTP_PROT`, `no_such_code`,",
    "`npm run fast`, `http.prot`, `/api/v1/tropics/x`, `src/nowhere.ts`; all of these exist: `hotswap topic create orders --partitions 2`,",
    "`HOTSWAP_SECRETS_MASTER_KEY_FILE`, `lease_lost`, `http.port`, `topics.write`, `/api/v1/topics/x/stats`, `src/core/`, `npm run check`",
  ].join("\n");
  const block = '```sh\neval "$(hotswap status -o env)"\necho x | hotswap sup orders\n```\n';
  const found = unknown(parsePage("x.md", `${text}\n\n${block}`)).map((line) => line.replace("x.md: ", ""));
  assert.deepEqual(found.sort(), [
    "/api/v1/tropics/x",
    "HOTSWAP_HTTP_PROT",
    "hotswap has no command fly",
    "hotswap has no command sup",
    "http.prot",
    "no_such_code",
    "npm run fast",
    "pub has no --speed",
    "src/nowhere.ts",
    "topic has no command make",
  ]);
});
