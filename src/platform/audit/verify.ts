/**
 * Verification of an audit export, pure and offline: needs the lines and, to be independent of the server,
 * the public key that was noted when the server was set up. Detected is every entry that was edited,
 * removed, added or moved, and a chain that ends before a checkpoint that is known. Verification stops at
 * the first bad line.
 *
 * Lines must be canonical JSON to the byte, so that what is shown by any other reader is what has been
 * verified.
 */
import { canonicalJson } from "../../core/json.ts";
import {
  type AuditEntry,
  type Checkpoint,
  type CheckpointKey,
  genesis,
  hashOf,
  isSignedBy,
} from "./chain.ts";
import { type ExportHeader, type ExportLine, exportFormat } from "./export.ts";

export interface VerifyOptions {
  /**
   * Keys to trust instead of those in the export, which a forger could have replaced together with the
   * rest.
   */
  keys?: readonly CheckpointKey[];
  /** Checkpoints kept elsewhere, such as of an earlier export. The chain must go through them. */
  known?: readonly Checkpoint[];
}

export interface VerifyReport {
  ok: boolean;
  tenant: string;
  /** Entries that were verified, from the first without a gap. */
  entries: number;
  /** Position of the last entry that a signature vouches for. */
  signedUpTo: number;
  /** False when the only key at hand was the export's own. */
  keyTrusted: boolean;
  /**
   * The first thing that is wrong: line of the file from 1, and the position in the chain that it is about.
   */
  problem?: { line: number; seq: number; reason: string };
}

/** Never throws for what is in the lines. */
export async function verifyExport(
  lines: AsyncIterable<string> | Iterable<string>,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const chain = new ChainCheck(options);
  let line = 0;
  for await (const text of lines) {
    line += 1;
    if (text === "") continue; // the end of a file's last line
    const reason = chain.take(text);
    if (reason) return chain.report({ line, seq: chain.position, reason });
  }
  const reason = chain.finish();
  return chain.report(reason ? { line: line + 1, seq: chain.position, reason } : undefined);
}

/** Takes line by line; each step answers with what is wrong, or nothing. */
class ChainCheck {
  readonly #options: VerifyOptions;
  #header: ExportHeader | undefined;
  #expected = new Map<number, Checkpoint>();
  #seq = 0;
  #hash = genesis;
  #signedUpTo = 0;
  /** Position that the current line is about. */
  position = 0;

  constructor(options: VerifyOptions) {
    this.#options = options;
  }

  report(problem: VerifyReport["problem"]): VerifyReport {
    return {
      ok: problem === undefined,
      tenant: this.#header?.tenant ?? "",
      entries: this.#seq,
      signedUpTo: this.#signedUpTo,
      keyTrusted: this.#options.keys !== undefined,
      ...(problem && { problem }),
    };
  }

  take(text: string): string | undefined {
    this.position = this.#seq + 1;
    const line = parseLine(text);
    if (!line) return "the line is not canonical JSON with a header, an entry or a checkpoint";
    if ("header" in line) return this.#takeHeader(line.header);
    if (!this.#header) return "the export does not begin with a header";
    return "entry" in line ? this.#takeEntry(line.entry) : this.#takeCheckpoint(line.checkpoint);
  }

  finish(): string | undefined {
    this.position = this.#seq + 1;
    if (!this.#header) return "the export is empty";
    const missing = Math.max(0, ...this.#expected.keys());
    if (missing > this.#seq)
      return `entries up to ${missing} are missing at the end; a checkpoint vouches for them`;
    return undefined;
  }

  #takeHeader(header: ExportHeader): string | undefined {
    if (this.#header) return "there is a second header";
    if (header.format !== exportFormat) return "the format of the export is not known";
    this.#header = header;
    for (const checkpoint of [header.head, ...(this.#options.known ?? [])]) {
      this.position = checkpoint.seq;
      const reason = this.#checkSignature(checkpoint);
      if (reason) return reason;
      const other = this.#expected.get(checkpoint.seq);
      if (other && other.hash !== checkpoint.hash)
        return "two checkpoints of this position contradict each other";
      this.#expected.set(checkpoint.seq, checkpoint);
    }
    return this.#compare(this.#expected.get(0));
  }

  #takeEntry(entry: AuditEntry): string | undefined {
    const next = this.#seq + 1;
    if (entry.seq > next) return `entries ${next} to ${entry.seq - 1} are missing`;
    if (entry.seq !== next) return `entry ${entry.seq} is out of its place`;
    if (entry.tenant !== this.#header?.tenant) return "the entry is of another tenant";
    if (entry.previous !== this.#hash)
      return "the entry does not follow on the one before; one of the two was changed";
    if (hashOf(entry) !== entry.hash) return "the entry was changed: its hash does not fit its content";
    const hash = this.#hash;
    this.#seq = next;
    this.#hash = entry.hash;
    const reason = this.#compare(this.#expected.get(next));
    if (reason) [this.#seq, this.#hash] = [next - 1, hash];
    return reason;
  }

  #takeCheckpoint(checkpoint: Checkpoint): string | undefined {
    this.position = checkpoint.seq > this.#seq ? this.#seq + 1 : this.#seq;
    if (checkpoint.seq !== this.#seq) return "the checkpoint is out of its place";
    return this.#checkSignature(checkpoint) ?? this.#compare(checkpoint);
  }

  #checkSignature(checkpoint: Checkpoint): string | undefined {
    if (checkpoint.tenant !== this.#header?.tenant) return "the checkpoint is of another tenant";
    const keys = this.#options.keys ?? this.#header.keys;
    return isSignedBy(keys, checkpoint)
      ? undefined
      : "the checkpoint's signature does not verify with the key";
  }

  /** The checkpoint's signature is known to be good; says whether the chain agrees with it. */
  #compare(checkpoint: Checkpoint | undefined): string | undefined {
    if (!checkpoint) return undefined;
    if (checkpoint.hash !== this.#hash) {
      return `an entry from ${this.#signedUpTo + 1} to ${this.#seq} was changed, and the chain made anew`;
    }
    this.#signedUpTo = checkpoint.seq;
    return undefined;
  }
}

/**
 * Only the outline is checked: whatever else a forger puts inside, the hashes and signatures do not fit it.
 */
function parseLine(text: string): ExportLine | undefined {
  let line: unknown;
  try {
    line = JSON.parse(text);
    if (canonicalJson(line) !== text) return undefined;
  } catch {
    return undefined;
  }
  if (!isObject(line)) return undefined;
  const [[kind, content] = [], more] = Object.entries(line);
  if (more || !isObject(content)) return undefined;
  const fits =
    (kind === "header" &&
      isObject(content.head) &&
      Array.isArray(content.keys) &&
      content.keys.every(isObject)) ||
    kind === "entry" ||
    kind === "checkpoint";
  return fits ? (line as ExportLine) : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
