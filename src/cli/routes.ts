/** `hotswap routes`: every endpoint with who may call it and where its code is. Needs no server. */
import { globSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { permissions } from "../platform/access/permissions.ts";
import type { Route } from "../platform/http/route.ts";
import { Exit } from "./failure.ts";
import { printJson, printTable } from "./print.ts";

export function addRoutes(program: Command, version: string): void {
  program
    .command("routes [filter]")
    .description("list the endpoints, or those with this text in them: permission, roles, operation, file")
    .option("--json", "print JSON")
    .action(async (filter: string | undefined, { json }: { json?: boolean }) => {
      const [{ describeRoutes }, { loadSettings }] = await Promise.all([
        import("./route-list.ts"),
        import("../platform/settings/index.ts"),
      ]);
      const { settings } = await loadSettings({ mode: "development" });
      const files = filesByOperation();
      const all = describeRoutes(settings, version).map((route) => describe(route, files));
      const rows = all.filter((row) => !filter || Object.values(row).flat().join(" ").includes(filter));
      if (json) printJson(rows);
      else {
        const cells = rows.map(({ roles, ...row }) => [
          row.method,
          row.path,
          row.permission,
          roles.join(" "),
          row.operation,
          row.file ?? "",
        ]);
        printTable(["METHOD", "PATH", "PERMISSION", "ROLES", "OPERATION", "FILE"], cells);
      }
      if (rows.length === 0) throw new Exit(1);
    });
}

function describe({ method, path, permission, id, summary }: Route, files: Map<string, string>) {
  const roles = permission === "public" ? ["anybody"] : ["admin", ...permissions[permission]];
  const file = files.get(id);
  return { method, path, permission, roles, operation: id, summary, ...(file && { file }) };
}

/** In a checkout, file and line of each operation; in a package there is no source to point at. */
function filesByOperation(): Map<string, string> {
  const source = fileURLToPath(new URL("../", import.meta.url));
  const files = new Map<string, string>();
  for (const file of globSync(`${source}**/*.routes.ts`)) {
    readFileSync(file, "utf8")
      .split("\n")
      .forEach((line, index) => {
        const id = /^\s*id: "([\w.-]+)",$/.exec(line)?.[1];
        if (id) files.set(id, `src/${relative(source, file)}:${index + 1}`);
      });
  }
  return files;
}
