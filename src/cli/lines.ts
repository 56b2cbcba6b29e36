/**
 * Input as lines, many at a time. A line ends at a line feed and nowhere else, so that what goes in is what
 * comes out; the last one need not have one. Text that is not UTF-8 is refused, never replaced.
 */
import { isUtf8 } from "node:buffer";
import { HotSwapError } from "../core/errors.ts";

const lineFeed = 0x0a;
/** More than any server takes as one message; a file without line ends must not fill the memory. */
const lineBytesMax = 64 << 20;

export interface Block {
  lines: string[];
  /** Of the input, up to the end of this block. */
  bytesRead: number;
}

export async function* readBlocks(input: AsyncIterable<Buffer>): AsyncGenerator<Block> {
  let begun: Buffer[] = [];
  let begunBytes = 0;
  let bytesRead = 0;
  let line = 1;
  const block = (end: Buffer): Block => {
    const whole = begun.length === 0 ? end : Buffer.concat([...begun, end]);
    const lines = decode(whole, line);
    line += lines.length;
    return { lines, bytesRead };
  };
  for await (const chunk of input) {
    const end = chunk.lastIndexOf(lineFeed);
    bytesRead += chunk.length;
    if (end >= 0) {
      yield block(chunk.subarray(0, end));
      begun = [];
      begunBytes = 0;
    }
    const rest = chunk.subarray(end + 1);
    begunBytes += rest.length;
    if (begunBytes > lineBytesMax)
      throw new HotSwapError("message_too_large", `Line ${line} is longer than ${lineBytesMax} bytes.`);
    if (rest.length > 0) begun.push(rest);
  }
  if (begunBytes > 0) yield block(Buffer.alloc(0));
}

function decode(bytes: Buffer, firstLine: number): string[] {
  if (isUtf8(bytes)) return bytes.toString("utf8").split("\n");
  let line = firstLine;
  for (let start = 0; start <= bytes.length; line++) {
    const found = bytes.indexOf(lineFeed, start);
    const end = found < 0 ? bytes.length : found;
    if (!isUtf8(bytes.subarray(start, end))) break;
    start = end + 1;
  }
  throw new HotSwapError(
    "encoding_invalid",
    `Line ${line} is not UTF-8. Convert the input first, for example with iconv.`,
  );
}
