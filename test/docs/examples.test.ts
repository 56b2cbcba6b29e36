import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
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
