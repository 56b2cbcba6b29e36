/** Watches of etcd over its JSON gateway, one connection for each watch: what a client without gRPC has. */
import { join } from "node:path";
import { findProgram, freePort, startChild } from "../messaging/child.ts";
import type { Figures } from "./figures.ts";
import type { Scale } from "./scale.ts";
import { addressOf, requestText } from "./sockets.ts";
import { documentText, measureWatches } from "./watches.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");

export async function etcd(folder: string, scale: Scale): Promise<Figures> {
  const [port, peer] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const server = await startChild(
    {
      ...{ file: findProgram("etcd")!, folder, cpus: undefined },
      args: [
        ...["--data-dir", join(folder, "etcd"), "--listen-client-urls", url, "--advertise-client-urls", url],
        ...["--listen-peer-urls", `http://127.0.0.1:${peer}`],
        ...["--initial-advertise-peer-urls", `http://127.0.0.1:${peer}`],
        ...["--initial-cluster", `default=http://127.0.0.1:${peer}`],
      ],
    },
    (line) => line.includes("ready to serve client requests"),
  );
  const created = JSON.stringify({ create_request: { key: base64("bench") } });
  const watched = {
    ...{ pid: server.pid, address: addressOf(url), watch: requestText("POST", "/v3/watch", {}, created) },
    telling(version: number) {
      const value = base64(documentText(version));
      return { path: "/v3/kv/put", body: JSON.stringify({ key: base64("bench"), value }), seen: value };
    },
  };
  const figures = await measureWatches(watched, scale);
  await server.stop();
  return figures;
}
