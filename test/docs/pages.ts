/**
 * Markdown pages as the tests of the docs see them: fenced blocks with the comment that stands before them,
 * code spans, links, headings. Only as much Markdown as our own pages use.
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));

export interface Block {
  language: string;
  text: string;
  /** What the comment before it says of how it is run; undefined without one. */
  mark: string | undefined;
  /** Line of the opening fence, from 1. */
  line: number;
}

export interface Page {
  /** From the root of the repository. */
  path: string;
  text: string;
  blocks: Block[];
  /** The text with the contents of fenced blocks blanked out, line for line. */
  prose: string;
}

const skipped = /(^|\/)(node_modules|dist|\.cache|\.hotswap|\.git)(\/|$)/;

/** All pages of the repository that people wrote or that are generated for them. */
export function readPages(): Page[] {
  const paths = globSync("**/*.md", { cwd: root, exclude: (path) => skipped.test(path) });
  return paths.sort().map(readPage);
}

export function readPage(path: string): Page {
  return parsePage(path, readFileSync(join(root, path), "utf8"));
}

export function parsePage(path: string, text: string): Page {
  const blocks: Block[] = [];
  const prose: string[] = [];
  let open: (Block & { fence: string; lines: string[] }) | undefined;
  let mark: string | undefined;
  text.split("\n").forEach((line, index) => {
    const fence = /^\s*(`{3,})(\w*)/.exec(line);
    if (open) {
      prose.push("");
      if (fence?.[1] === open.fence && fence[2] === "") {
        blocks.push({
          language: open.language,
          text: open.lines.join("\n"),
          mark: open.mark,
          line: open.line,
        });
        open = undefined;
      } else open.lines.push(line);
      return;
    }
    if (fence) {
      open = { language: fence[2]!, fence: fence[1]!, text: "", lines: [], mark, line: index + 1 };
      prose.push("");
    } else prose.push(line);
    if (line.trim() !== "") mark = /^<!-- ((?:not )?run\b.*?) -->$/.exec(line)?.[1];
  });
  return { path, text, blocks, prose: prose.join("\n") };
}

/** Fenced blocks and code spans: where names of commands, settings and codes are meant as such. */
export function codeOf(page: Page): string[] {
  const spans = [...page.prose.matchAll(/(`+)(.+?)\1/gs)].map(([, , span]) => span!.trim());
  return [...page.blocks.map(({ text }) => text), ...spans];
}

/** Targets of the links of a page, without those in code. */
export function linksOf({ prose }: Page): string[] {
  const text = prose.replaceAll(/(`+)(.+?)\1/gs, "");
  return [...text.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target]) => target!);
}

/** The anchors of a page's headings, as GitHub makes them. */
export function anchorsOf({ prose }: Page): Set<string> {
  const headings = [...prose.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) => heading!);
  const anchor = (heading: string) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replaceAll(/\s/g, "-");
  return new Set(headings.map(anchor));
}
