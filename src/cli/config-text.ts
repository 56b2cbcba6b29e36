/** What commands of configurations read and say alike: a document from a file, a made version, and changes by place. */
import { readFile } from "node:fs/promises";
import { text as readAll } from "node:stream/consumers";
import { styleText } from "node:util";
import type { ConfigChange, MadeConfigVersion } from "../../client/src/index.ts";
import { HotSwapError } from "../core/errors.ts";
import { printJson } from "./print.ts";

export async function readText(file: string): Promise<string> {
  try {
    return file === "-" ? await readAll(process.stdin) : await readFile(file, "utf8");
  } catch (error) {
    throw new HotSwapError("file_unusable", `${file} cannot be read: ${(error as Error).message}`);
  }
}

export function showMade(
  made: MadeConfigVersion,
  { json, dryRun }: { json?: boolean; dryRun?: boolean },
): void {
  if (json) {
    printJson(made);
    return;
  }
  for (const { pointer, message } of made.warnings)
    process.stderr.write(`${styleText("yellow", "!")} ${pointer} ${message}\n`);
  const what = dryRun ? "would be made (dry run)" : made.created ? "made" : "has this content already";
  process.stdout.write(`${made.config} version ${made.version} ${what}, ${made.hash.slice(0, 12)}\n`);
}

const marks = {
  added: ["green", "+"],
  removed: ["red", "-"],
  changed: ["yellow", "~"],
  moved: ["cyan", ">"],
} as const;

export function changesText(changes: readonly ConfigChange[], indent = ""): string {
  const value = (given: unknown) => JSON.stringify(given);
  return changes
    .map(({ kind, label, before, after }) => {
      const [colour, mark] = marks[kind];
      const values =
        kind === "changed"
          ? `: ${value(before)} → ${value(after)}`
          : kind === "moved"
            ? ""
            : `: ${value(kind === "added" ? after : before)}`;
      return `${indent}${styleText(colour, `${mark} ${label || "the document"}`)}${values}\n`;
    })
    .join("");
}
