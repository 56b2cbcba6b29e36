/** From a file or stdin into a topic, with progress for people and a summary in JSON for programs. */
import { closeSync, createReadStream, fstatSync, openSync } from "node:fs";
import type { StreamPublisher, Topic } from "../../client/src/node.ts";
import { systemClock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import { Exit, failureOf, failureText } from "./failure.ts";
import { readBlocks } from "./lines.ts";
import type { MessageText } from "./message-text.ts";
import type { Patience } from "./patience.ts";
import { printJson } from "./print.ts";
import { Progress } from "./progress.ts";
import { Publication } from "./publication.ts";

export interface PublishLinesOptions {
  publisher: StreamPublisher;
  patience: Patience;
  topic: Topic;
  toText: MessageText;
  /** Default: stdin. */
  file?: string;
  receipts?: string;
  keepGoing?: boolean;
}

/** Refusals that are shown one by one; the summary counts them all. */
const refusalsShown = 10;

export async function publishLines(options: PublishLinesOptions): Promise<void> {
  const { publisher, patience, topic, toText, keepGoing = false } = options;
  const input = openInput(options.file);
  const receipts = options.receipts === undefined ? undefined : open(options.receipts, "w");
  let bytesRead = 0;
  const read = () => ({ count: publication.acknowledged, bytes: bytesRead });
  const progress = new Progress(`pub ${topic.name}`, read, input.size);
  patience.say = (text) => progress.say(`hotswap: ${text}`);
  const onRefusal = (line: number, error: unknown) => {
    if (keepGoing ? publication.rejected <= refusalsShown : publication.rejected === 1) {
      progress.say(refusalText(line, error));
    }
    return keepGoing;
  };
  const publication = new Publication({ publisher, toText, receipts, onRefusal });
  const interrupted = new AbortController();
  const onSignal = () => interrupted.abort();
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  const started = systemClock.monotonic();
  try {
    for await (const block of readBlocks(input.stream(interrupted.signal))) {
      bytesRead = block.bytesRead;
      if (!(await addAll(publication, block.lines))) break;
    }
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
  } finally {
    await publication.end();
    progress.end();
    if (receipts !== undefined) closeSync(receipts);
    printJson(summary(publication, topic, systemClock.monotonic() - started, patience.interruptions));
  }
  patience.signal.throwIfAborted();
  if (interrupted.signal.aborted) throw new Exit(130);
  if (publication.rejected + publication.unanswered > 0) throw new Exit(1);
}

/** False when nothing more is to be sent. */
async function addAll(publication: Publication, lines: readonly string[]): Promise<boolean> {
  for (const line of lines) {
    if (publication.full) await publication.room();
    if (publication.stopped) return false;
    publication.add(line);
  }
  return true;
}

function openInput(file: string | undefined) {
  const fd = file === undefined ? process.stdin.fd : open(file, "r");
  const status = fstatSync(fd);
  if (file === undefined && process.stdin.isTTY) {
    process.stderr.write("Each line that you type becomes a message. Ctrl-D ends.\n");
  }
  const stream = (signal: AbortSignal): AsyncIterable<Buffer> =>
    file === undefined && !status.isFile()
      ? abortable(process.stdin, signal)
      : createReadStream("", { fd, autoClose: file !== undefined, highWaterMark: 1 << 18, signal });
  return { stream, size: status.isFile() ? status.size : undefined };
}

function abortable(stream: NodeJS.ReadStream, signal: AbortSignal): AsyncIterable<Buffer> {
  signal.addEventListener("abort", () => stream.destroy(), { once: true });
  return stream;
}

function open(path: string, flags: "r" | "w"): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new HotSwapError(
      "file_unusable",
      `${path} cannot be ${flags === "r" ? "read" : "written"} (${code}).`,
    );
  }
}

function refusalText(line: number, error: unknown): string {
  const failure = failureOf(error);
  if (!failure) return `hotswap: line ${line}: ${error}`;
  return failureText({ ...failure, detail: `line ${line}: ${failure.detail}` }).trimEnd();
}

function summary(publication: Publication, topic: Topic, ms: number, interruptions: number) {
  const { lines, blank, acknowledged, rejected, unanswered, bytesAcknowledged } = publication;
  const seconds = Number((ms / 1000).toFixed(3));
  return {
    topic: topic.name,
    durability: topic.durability,
    lines,
    ...(blank > 0 && { blank }),
    acknowledged,
    rejected,
    unanswered,
    bytes: bytesAcknowledged,
    seconds,
    perSecond: Math.round(acknowledged / Math.max(seconds, 0.001)),
    interruptions,
  };
}
