/** An engine with one backend that talks as a test says, and what tests of proxying ask it. */
import type { Socket } from "node:net";
import { answering, ok, RawClient, routeTo, startBackend, startEngine } from "./engine.testing.ts";
import type { Route } from "./snapshot.route.ts";

export type Talk = (socket: Socket, index: number) => void;

/** An engine with one route to one backend that talks like this. */
export async function proxyTo(talk: Talk, route: Partial<Route> = {}, proxy = {}) {
  const backend = await startBackend("b", talk);
  const running = await startEngine(
    { routes: [routeTo(["b"], route)], backends: [backend.settings()] },
    proxy,
  );
  return {
    backend,
    ...running,
    client: () => new RawClient(running.port),
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    },
  };
}

/** Says ok, and shows what was asked. */
export const keeping = (show: (request: string) => void, fields = "") =>
  answering((request) => {
    show(request);
    return ok("ok", fields);
  });

export const get = (fields = "", target = "/x") =>
  `GET ${target} HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n`;
