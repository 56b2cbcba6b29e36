/** An instance of a service that a version kills: applies what it is told, and ends at once when `poison` is in it. */
import { connect, fileCache } from "../../client/src/node.ts";

const [url, token, folder] = process.argv.slice(2) as [string, string, string];
const hotswap = connect({ url, token });
const watcher = await hotswap.configuration({
  ...{ instanceId: "victim", service: "checkout", environment: "staging", labels: { zone: "v" } },
  cache: fileCache({ folder }),
  provingMs: 0,
  onChange({ version, value }) {
    console.log(`applied ${version}`);
    if ((value as { poison?: boolean }).poison) process.kill(process.pid, "SIGKILL");
  },
});
for (const { version, reason } of watcher.refusals) console.log(`refused ${version}: ${reason}`);
process.stdin.once("data", async () => {
  await watcher.close({ deregister: false });
  hotswap.close();
  process.stdin.destroy();
});
