/** Backends of tests: real HTTP servers that say who they are, and can be made to misbehave. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Backend {
  readonly url: string;
  readonly name: string;
  /** Requests that reached it. */
  readonly seen: IncomingMessage[];
  /** Answers so from now on; undefined is as at first: 200 with its name. */
  behave(handler: ((request: IncomingMessage, response: ServerResponse) => void) | undefined): void;
  stop(): Promise<void>;
}

export async function startBackend(name: string, port = 0): Promise<Backend> {
  const seen: IncomingMessage[] = [];
  let handler: Parameters<Backend["behave"]>[0];
  const server: Server = createServer((request, response) => {
    seen.push(request);
    if (handler) return handler(request, response);
    response.end(JSON.stringify({ name, url: request.url, headers: request.headers }));
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    ...{ name, seen },
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    behave: (next) => {
      handler = next;
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Asks until the answer is as wanted; fails with the last one after a while. */
export async function eventually<Result>(
  ask: () => Promise<Result>,
  fits: (result: Result) => boolean,
): Promise<Result> {
  const end = performance.now() + 100_000; // a little before the runner gives up, to say what it stayed at
  for (;;) {
    const result = await ask();
    if (fits(result)) return result;
    if (performance.now() > end) throw new Error(`it stayed ${JSON.stringify(result)}`);
    await new Promise((resolve) => setTimeout(resolve, 20)); // who only asks must not keep others from working
  }
}
