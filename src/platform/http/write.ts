/** Writing to a response with back-pressure: resolves when there is room for more, or nobody is there any more. */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { HotSwapError } from "../../core/errors.ts";

export async function write(response: ServerResponse, chunk: string | Buffer): Promise<void> {
  if (response.destroyed) throw new HotSwapError("request_timeout", "The client has gone.");
  if (response.write(chunk)) return;
  const gone = new AbortController();
  const onClose = () => gone.abort();
  response.once("close", onClose);
  // Either the client reads on, or it goes; the latter ends the wait without an error of its own.
  await once(response, "drain", { signal: gone.signal }).catch(() => {});
  response.off("close", onClose);
}
