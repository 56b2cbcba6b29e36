/**
 * Real text to send through: what the installed packages say about themselves, or with
 * HOTSWAP_E2E_LINES=full all that this system's packages do (`apt-cache dumpavail`). Each line begins with its
 * number, which makes it unique, and its key.
 */
import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface Corpus {
  source: string;
  lines: string[];
}

const modules = fileURLToPath(new URL("../../node_modules/", import.meta.url));
export const isFull = process.env.HOTSWAP_E2E_LINES === "full";

export function readCorpus(linesWanted: number): Corpus {
  return isFull ? fromApt() : fromModules(linesWanted);
}

function fromModules(linesWanted: number): Corpus {
  const lines: string[] = [];
  const files = globSync("{*,@*/*}/{README,CHANGELOG,LICENSE}*", { cwd: modules }).sort();
  for (const [key, file] of files.entries()) {
    for (const text of readFileSync(`${modules}${file}`, "utf8").split("\n")) {
      lines.push(`${lines.length + 1}\tfile-${key}\t${text}`);
    }
    if (lines.length >= linesWanted) break;
  }
  return { source: "texts of installed packages", lines: lines.slice(0, linesWanted) };
}

function fromApt(): Corpus {
  const text = execFileSync("apt-cache", ["dumpavail"], { encoding: "utf8", maxBuffer: 1 << 30 });
  let packages = 0;
  const lines = text.split("\n").map((line, index) => {
    if (line.startsWith("Package: ")) packages += 1;
    return `${index + 1}\tpackage-${packages % 5000}\t${line}`;
  });
  return { source: "apt-cache dumpavail", lines };
}
