/**
 * Server-sent events out of text cut anywhere (WHATWG HTML §9.2.6), as far as HotSwap sends them: LF, one data
 * line.
 */
export interface ServerEvent {
  event: string;
  id: string | undefined;
  data: string;
}

export type StreamPart = ServerEvent | { retryMs: number };

export async function* readEvents(chunks: AsyncIterable<string>): AsyncGenerator<StreamPart | undefined> {
  let rest = "";
  for await (const chunk of chunks) {
    const blocks = (rest + chunk).split("\n\n");
    rest = blocks.pop()!;
    // A comment, which says that the server is there, comes out as undefined.
    for (const block of blocks) yield parse(block);
  }
}

function parse(block: string): StreamPart | undefined {
  let [event, id, data] = ["message", undefined, undefined] as [
    string,
    string | undefined,
    string | undefined,
  ];
  let retryMs: number | undefined;
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const value = line.slice(colon + 1).replace(/^ /, "");
    switch (line.slice(0, Math.max(0, colon))) {
      case "event":
        event = value;
        break;
      case "id":
        id = value;
        break;
      case "data":
        data = data === undefined ? value : `${data}\n${value}`;
        break;
      case "retry":
        retryMs = Number(value);
        break;
    }
  }
  if (data !== undefined) return { event, id, data };
  return retryMs !== undefined && Number.isFinite(retryMs) ? { retryMs } : undefined;
}
