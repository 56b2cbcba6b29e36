/**
 * Does what README and the tutorials tell a reader to do, with real servers, and compares what comes out with
 * what they show. Each `sh` block is marked by an HTML comment before it:
 *
 *   run              in the second terminal: one shell for the whole page
 *   run: server      in the first terminal, until the page ends or kills it
 *   run: production  the same on a folder of its own
 *   not run: why
 *
 * Some how-tos go on where a tutorial ends, in its terminals and on its server.
 *
 * A `text` block is what the block before it prints on standard output.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { globSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { type Block, parsePage, readPage, root } from "./pages.ts";
import { isAsShown, Session } from "./session.ts";

const pages = ["README.md", ...globSync("docs/tutorials/*.md", { cwd: root })].map(readPage);
/** By the tutorial behind which they go on. */
const further = new Map([
  ["docs/tutorials/first-configuration.md", readPage("docs/how-to/deploy.md")],
  ["docs/tutorials/first-messages.md", readPage("docs/how-to/publish-for-later.md")],
]);

/** The blocks to run, each with what it is shown to print. */
function steps(blocks: Block[]): { block: Block; expected: string | undefined }[] {
  return blocks.flatMap((block, index) => {
    if (block.language !== "sh") return [];
    const next = blocks[index + 1];
    return [{ block, expected: next?.language === "text" ? next.text : undefined }];
  });
}

async function perform(session: Session, { block, expected }: ReturnType<typeof steps>[number]) {
  const output = await (block.mark === "run" ? session.run(block.text) : session.serve(block.text));
  if (expected === undefined || isAsShown(output, expected)) return;
  assert.fail(`line ${block.line} shows\n\n${expected}\n\nand prints\n\n${output}`);
}

describe("what a page tells to do works", { concurrency: 2 }, () => {
  for (const { path, blocks } of pages) {
    const all = steps(blocks);
    const inProduction = all.filter(({ block }) => block.mark === "run: production");
    const others = [...all, ...steps(further.get(path)?.blocks ?? [])].filter(
      ({ block }) => block.mark === "run" || block.mark === "run: server",
    );
    for (const [name, chosen] of [[path, others] as const, [`${path}, production`, inProduction] as const]) {
      if (chosen.length === 0) continue;
      test(name, async () => {
        const session = await Session.open();
        try {
          for (const step of chosen) await perform(session, step);
        } finally {
          await session.close();
        }
      });
    }
  }
});

test("every block of commands says how it is tested", () => {
  const marks = /^(run|run: server|run: production|not run: .{3,})$/;
  for (const { path, blocks } of [...pages, ...further.values()]) {
    for (const { language, mark, line } of blocks) {
      if (language === "sh") assert.match(mark ?? "", marks, `${path}:${line}`);
    }
  }
});

test("npx finds the command of a clone, without a network and with an empty cache", async () => {
  const cache = await mkdtemp(join(tmpdir(), "hotswap-npx-"));
  const env = { ...process.env, npm_config_cache: cache, npm_config_offline: "true" };
  const { stdout } = await promisify(execFile)("npx", ["hotswap", "--version"], { cwd: root, env });
  await rm(cache, { recursive: true });
  assert.match(stdout, /^hotswap \d+\.\d+\.\d+\n$/);
});

test("output that differs from the page is noticed", () => {
  assert.ok(isAsShown("> npm start\n\na  b\nhttp://x/#token=ey\n", "a b\nhttp://x/#token=…"));
  assert.ok(isAsShown('{"id":"1","n":3}', '{"id":"…","n":3}'));
  assert.ok(!isAsShown('{"id":"1","n":4}', '{"id":"…","n":3}'));
  assert.ok(!isAsShown("one\ntwo\nthree\n", "one\ntwo"));
  assert.ok(!isAsShown("one\ntwo\n", "one\ntwo\nthree"));
});

test("a command that fails ends the page", async () => {
  const session = await Session.open();
  try {
    await assert.rejects(session.run("echo before\nfalse\necho after"), /ended with 1\nbefore\n$/);
  } finally {
    await session.close();
  }
});

test("blocks are found with the comment before them", () => {
  const page = parsePage("x.md", "<!-- run -->\n```sh\na\n```\n\ntext\n\n```sh\nb\n```\n");
  assert.deepEqual(
    page.blocks.map(({ text, mark, line }) => ({ text, mark, line })),
    [
      { text: "a", mark: "run", line: 2 },
      { text: "b", mark: undefined, line: 8 },
    ],
  );
});
