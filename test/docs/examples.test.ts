import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { orderOf } from "../../examples/orders/order.ts";
import { TestServer } from "../server.ts";
import { root } from "./pages.ts";

const run = promisify(execFile);

describe("the examples", () => {
  let server: TestServer;
  let env: NodeJS.ProcessEnv;

  before(async () => {
    server = await TestServer.start();
    env = { ...process.env, HOTSWAP_URL: server.url, HOTSWAP_TOKEN: await server.token() };
  });
  after(() => server.remove());

  const example = (file: string, ...args: string[]) =>
    run(process.execPath, [join(root, "examples", file), ...args], { env, timeout: 30_000 });

  test("orders: what is published is added up, once each", async () => {
    const published = await example("orders/producer.ts", "200");
    assert.equal(published.stdout, "200 orders published\n");
    const sums = new Map<string, number>();
    for (let number = 1; number <= 200; number++) {
      const { customer, cents } = orderOf(number);
      sums.set(customer, (sums.get(customer) ?? 0) + cents);
    }
    const expected = [...sums].sort().map(([customer, cents]) => `${customer} ${(cents / 100).toFixed(2)}\n`);
    const consumed = await example("orders/consumer.ts", "200");
    assert.deepEqual([consumed.stdout, consumed.stderr], [expected.join(""), ""]);
    const stats = await (await server.as()).get("/topics/orders-example/stats");
    assert.equal(stats.json.subscriptions[0].depth, 0);
  });

  test("configuration: a service changes with its configuration, and refuses what it cannot run", async () => {
    const ann = await server.as();
    const place = { service: "greeter", environment: "development" };
    await ann.ok(ann.post("/configs", { name: "greeter", ...place, format: "json" }));
    for (const value of [{ greeting: "hello" }, { greeting: 1 }]) {
      await ann.ok(ann.post("/configs/greeter/versions", { text: JSON.stringify(value) }));
    }
    const folder = await mkdtemp(join(tmpdir(), "hotswap-greeter-"));
    const file = join(root, "examples/configuration/service.ts");
    const child = spawn(process.execPath, [file, "g-1", "0"], {
      env,
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const address = String((await lines.next()).value).replace("listening on ", "");
    assert.equal(await (await fetch(address)).text(), "…\n");
    await ann.ok(ann.post("/instances", { instanceId: "g-1", ...place, labels: { zone: "a" } }));
    await ann.ok(ann.put("/configs/greeter/pins", { labels: { zone: "a" }, version: 1 }));
    assert.equal((await lines.next()).value, "version 1: hello");
    assert.equal(await (await fetch(address)).text(), "hello\n");
    const trial = await ann.ok(ann.post("/configs/greeter/versions/2/trial", {}));
    for (;;) {
      const { items } = await ann.ok(ann.get("/configs/greeter/versions/2/trials"));
      if (items[0].status !== "done") continue;
      assert.deepEqual(items[0].answers, [
        { instanceId: "g-1", ok: false, reason: "greeting must be a text" },
      ]);
      break;
    }
    assert.equal(trial.asked, 1);
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
    assert.equal((await ann.get("/instances/g-1")).status, 404);
    await rm(folder, { recursive: true, force: true });
  });

  test("curl: every step answers, and nothing is left", async () => {
    const { stdout } = await run(join(root, "examples/curl/messages.sh"), { env, timeout: 30_000 });
    assert.match(stdout, /so it comes again:\n.*"payload":2,"attempt":2.*"payload":"three","attempt":1/);
    assert.match(stdout, /nothing is left:\n.*"depth":0,"inFlight":0/);
  });

  test("an example ends with an error when the server refuses", async () => {
    const options = { env: { ...env, HOTSWAP_TOKEN: "x" }, timeout: 30_000 };
    const refused = await run(join(root, "examples/curl/messages.sh"), options).catch((error) => error);
    assert.match(refused.stdout, /"code":"token_invalid"/);
    assert.equal(refused.code, 22);
  });
});
