/** HotSwap's data plane as it runs in production: one worker, health checks, breaker, counters and access log on. */
import { GatewayProxy } from "../../src/gateway/proxy/proxy.ts";

const [port, backend, echo, log] = process.argv.slice(2);
const proxy = new GatewayProxy();
await proxy.start({ listen: [{ port: Number(port) }], accessLog: { path: log! } });
await proxy.publish({
  revision: 1,
  routes: [
    { id: "all", name: "all", tenant: "bench", match: {}, targets: [{ backend: "b" }] },
    {
      id: "echo",
      name: "echo",
      tenant: "bench",
      match: { path: { prefix: "/echo" } },
      targets: [{ backend: "e" }],
    },
  ],
  backends: [
    { id: "b", url: `http://127.0.0.1:${backend}`, health: { path: "/" } },
    { id: "e", url: `http://127.0.0.1:${echo}` },
  ],
});
process.once("SIGTERM", () => void proxy.stop({ drainMs: 0 }).then(() => process.exit(0)));
