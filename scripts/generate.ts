/**
 * Writes everything in the checkout that is derived from the code: openapi.json, the pages of docs/reference, the
 * table of endpoints in ARCHITECTURE.md and Grafana's dashboards. With --check it writes nothing, names what is
 * stale, and exits 1. No server and no store is opened.
 */
import { readFile, writeFile } from "node:fs/promises";
import { describeRoutes } from "../src/cli/route-list.ts";
import { openApiText } from "../src/platform/http/openapi.ts";
import type { Route } from "../src/platform/http/route.ts";
import { loadSettings } from "../src/platform/settings/index.ts";
import { dashboardFiles } from "./generate-dashboards.ts";
import { withEndpoints } from "./generate-endpoints.ts";
import { writeReference } from "./generate-reference.ts";

const fileOf = (name: string) => new URL(`../${name}`, import.meta.url);

export const version: string = JSON.parse(await readFile(fileOf("package.json"), "utf8")).version;

/** The routes of a server on its defaults, whatever this machine's environment and files say. */
export async function defaultRoutes(): Promise<Route[]> {
  const { settings } = await loadSettings({ mode: "development", env: {}, cwd: import.meta.dirname });
  return describeRoutes(settings, version);
}

/** File name → content, of what is generated outside of docs/reference. */
export async function generatedFiles(): Promise<Map<string, string>> {
  const routes = await defaultRoutes();
  const architecture = await readFile(fileOf("ARCHITECTURE.md"), "utf8");
  return new Map([
    ["openapi.json", openApiText(routes, version)],
    ["ARCHITECTURE.md", withEndpoints(architecture, routes)],
    ...dashboardFiles(),
  ]);
}

async function writeAll(checkOnly: boolean): Promise<void> {
  for (const [name, content] of await generatedFiles()) {
    if ((await readFile(fileOf(name), "utf8").catch(() => "")) === content) continue;
    if (checkOnly) {
      console.error(`${name} is not what the code says. Run: npm run generate`);
      process.exitCode = 1;
    } else {
      await writeFile(fileOf(name), content);
      console.log(name);
    }
  }
  await writeReference(checkOnly);
}

// Not import.meta.main: the bootstrap imports this file instead of starting it when its own Node is new enough.
if (process.argv[1] === import.meta.filename) await writeAll(process.argv.includes("--check"));
