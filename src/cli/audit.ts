/** `hotswap audit …`: keep the audit elsewhere, and check that nobody has changed it. */
import { createWriteStream } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import type { Audit } from "../../client/src/index.ts";
import { HotSwapError } from "../core/errors.ts";
import type { VerifyOptions, VerifyReport } from "../platform/audit/index.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { Exit } from "./failure.ts";
import { grouped, printJson } from "./print.ts";

interface VerifyFlags extends ConnectionFlags {
  against?: string;
  json?: boolean;
}

export function addAudit(program: Command): void {
  const group = program.command("audit").description("export the audit, and verify it");
  const exporting = group
    .command("export")
    .description("write the audit of your tenant, with checkpoints and keys, as NDJSON")
    .option("--file <file>", "write to this file (default: stdout)");
  addConnectionOptions(exporting).action((flags: ConnectionFlags & { file?: string }) =>
    useServer(flags, async ({ audit }) => {
      const out = flags.file === undefined ? process.stdout : createWriteStream(flags.file, { mode: 0o600 });
      await pipeline(Readable.from(audit.export()), out, { end: flags.file !== undefined });
    }),
  );
  const verifying = group
    .command("verify [file]")
    .description(
      "check an export without a server, or with no file the audit of the running server: every entry is there,\n" +
        "unchanged and in its place",
    )
    .option(
      "--against <file>",
      "an earlier export: trust its keys and checkpoints, not those that come with what is checked",
    )
    .option("--json", "print JSON");
  addConnectionOptions(verifying).action(async (file: string | undefined, flags: VerifyFlags) => {
    const verify = async (lines: AsyncIterable<string>) => {
      const { verifyExport } = await import("../platform/audit/verify.ts");
      return verifyExport(lines, flags.against === undefined ? {} : await trusted(flags.against));
    };
    const report =
      file === undefined
        ? await useServer(flags, ({ audit }) => verify(exported(audit)))
        : await verify(linesOf(file));
    if (flags.json) printJson(report);
    else process.stdout.write(`${text(report)}\n`);
    if (!report.ok) throw new Exit(1);
  });
}

async function* linesOf(file: string): AsyncGenerator<string> {
  const handle = await open(file).catch((error) => unusable(file, error));
  yield* handle.readLines();
}

async function* exported(audit: Audit): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of audit.export()) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  yield rest;
}

/** What an earlier export vouches for. It is not verified here: whoever names it trusts it. */
async function trusted(file: string): Promise<VerifyOptions> {
  const lines = (await readFile(file, "utf8").catch((error) => unusable(file, error))).split("\n");
  try {
    const { keys, head } = JSON.parse(lines[0]!).header;
    return { keys, known: [head] };
  } catch {
    throw new HotSwapError("file_unusable", `${file} is not an export of the audit.`);
  }
}

function unusable(file: string, error: NodeJS.ErrnoException): never {
  throw new HotSwapError("file_unusable", `${file} cannot be read (${error.code}).`, { cause: error });
}

function text({ ok, tenant, entries, signedUpTo, keyTrusted, problem }: VerifyReport): string {
  if (!ok) {
    const { line, seq, reason } = problem!;
    return `The audit is NOT intact. Line ${line}, entry ${seq}: ${reason}.\n${grouped(entries)} entries before it are.`;
  }
  const trust = keyTrusted
    ? "The keys are those of the earlier export."
    : "The keys came with the export itself; compare with an earlier one by --against.";
  return `The audit of ${tenant} is intact: ${grouped(entries)} entries, signed up to ${grouped(signedUpTo)}. ${trust}`;
}
