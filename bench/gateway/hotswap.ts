/** HotSwap's data plane as it runs in production: one worker, health checks, breaker, counters and access log on. */
import { readFileSync } from "node:fs";
import { GatewayProxy } from "../../src/gateway/proxy/proxy.ts";

const [port, tlsPort, backend, echo, pem, log] = process.argv.slice(2);
const certificate = readFileSync(pem!, "utf8");
const proxy = new GatewayProxy();
const listen = [{ port: Number(port) }, { port: Number(tlsPort), tls: {} }];
await proxy.start({ listen, accessLog: { path: log! } });
await proxy.publish({
  revision: 1,
  certificates: [{ hosts: ["127.0.0.1"], cert: certificate, key: certificate }],
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
