/** A receiver of webhooks that answers by a rule, and keeps what came. */
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

export interface Call {
  headers: IncomingHttpHeaders;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: bodies of many shapes
  json: any;
  at: number;
  /** How many requests came over its connection before it. */
  before: number;
}

type Answer = { status: number; headers?: Record<string, string> } | "never" | "hang up";

export type Rule = (call: Call, number: number) => Answer | Promise<Answer>;

/** A receiver that answers by its rule; `calls(n)` waits for so many. */
export async function startReceiver(rule: Rule = () => ({ status: 204 })) {
  const calls: Call[] = [];
  const requestsOf = new WeakMap<object, number>();
  const waiting: (() => void)[] = [];
  const http = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const isJson = request.headers["content-type"]?.includes("json");
    const call = {
      headers: request.headers,
      text,
      json: isJson ? JSON.parse(text) : undefined,
      at: performance.now(),
      before: requestsOf.get(request.socket) ?? 0,
    };
    requestsOf.set(request.socket, call.before + 1);
    calls.push(call);
    const answer = await rule(call, calls.length);
    if (answer === "hang up") request.socket.destroy();
    else if (answer !== "never") response.writeHead(answer.status, answer.headers).end();
    for (const wake of waiting.splice(0)) wake();
  });
  let connections = 0;
  http.on("connection", () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const close = () => {
    http.closeAllConnections();
    http.close();
  };
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/hook`;
  const until = async (count: number) => {
    while (calls.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
    return calls;
  };
  return { url, until, calls, close, connections: () => connections };
}
