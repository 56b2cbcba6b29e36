/** Several nodes serve the same routes, and none of them needs its stores to go on serving. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, get } from "node:http";
import { createInterface } from "node:readline";
import { after, before, describe, it, suite, test } from "node:test";
import { redisServerMissing } from "../../src/stores/redis.server.ts";
import { missingServer, startDebianServer } from "../../src/stores/sql/external.fixture.ts";
import { freePort, hotswap, Server, serverFolder, spawnHotswap, temporaryFolder } from "../e2e/hotswap.ts";
import { Farm } from "../nodes/farm.ts";
import { TestServer } from "../server.ts";
import { type Backend, eventually, startBackend } from "./backends.ts";

const routeTo = (name: string, backend: Backend) => ({
  name,
  match: { path: { prefix: `/${name}` } },
  backends: [{ url: backend.url }],
});

/** Undefined when nobody answers. */
const statusOf = (url: string) =>
  fetch(url).then(
    async (response) => {
      await response.text();
      return response.status;
    },
    () => undefined,
  );

suite("two nodes", { skip: redisServerMissing() }, () => {
  let farm: Farm;
  let backend: Backend;
  before(async () => {
    backend = await startBackend("one");
    farm = await Farm.start(2, {
      HOTSWAP_GATEWAY_POLL_MS: "500",
    });
  });
  after(async () => {
    await farm?.close();
    await backend?.stop();
  });

  test("serve a route wherever it was made, also while Redis carries no notices", async () => {
    const [a, b] = farm.nodes as [Server, Server];
    const { id } = await farm.ok(a, "POST", "/gateway/routes", routeTo("shared", backend));
    assert.equal(await statusOf(`${a.facts.gateway}/shared`), 200);
    await eventually(
      () => statusOf(`${b.facts.gateway}/shared`),
      (status) => status === 200,
    );
    await farm.ok(b, "DELETE", `/gateway/routes/${id}`);
    assert.equal(await statusOf(`${b.facts.gateway}/shared`), 404);
    await eventually(
      () => statusOf(`${a.facts.gateway}/shared`),
      (status) => status === 404,
    );

    await sharedLimit(a, b);
    await farm.redis.stop();
    const limitsOf = async (node: Server) => (await farm.ok(node, "GET", "/gateway/status")).limits;
    await farm.ok(a, "POST", "/gateway/routes", routeTo("quiet", backend));
    await eventually(
      () => statusOf(`${b.facts.gateway}/quiet`),
      (status) => status === 200,
    );
    // Limits go on, on each node by itself.
    await eventually(
      async () => [await statusOf(`${a.facts.gateway}/limited`), await limitsOf(a)].join(),
      (seen) => seen === "429,alone",
    );
  });

  /** What a client took at one node is missing at the other, which by itself would give as much again. */
  async function sharedLimit(a: Server, b: Server) {
    const limits = { rate: [{ requests: 300, perSeconds: 86_400, per: "route" }] };
    await farm.ok(a, "POST", "/gateway/routes", { ...routeTo("limited", backend), limits });
    for (let n = 0; n < 300; n++) assert.equal(await statusOf(`${a.facts.gateway}/limited`), 200);
    let given = 0;
    await eventually(
      async () => {
        const status = await statusOf(`${b.facts.gateway}/limited`);
        if (status === 200) given++;
        return status;
      },
      (status) => status === 429,
    );
    assert.ok(given > 0 && given < 300, `${given} more at the other node`);
    assert.equal((await farm.ok(b, "GET", "/gateway/status")).limits, "shared");
  }
});

describe("without SQL", () => {
  it("the gateway goes on by its last snapshot, says so, and catches up", {
    skip: missingServer && `${missingServer} is missing`,
  }, async () => {
    const backend = await startBackend("one");
    const postgres = await startDebianServer();
    const server = await TestServer.start({ sql: postgres.url, "gateway-poll-ms": "200" });
    try {
      const ann = await server.as();
      await ann.ok(ann.post("/gateway/routes", routeTo("kept", backend)), 201);
      await postgres.postgres.stop();
      const status = async () => (await ann.ok(ann.get("/gateway/status"))).status;
      await eventually(status, (now) => now === "stale");
      for (let n = 0; n < 20; n++) assert.equal(await statusOf(`${server.gateway}/kept`), 200);
      const ready = await ann.get("//ready");
      assert.equal(ready.status, 503);
      const checks = new Map(
        ready.json.data.checks.map(({ name, status: is }: Record<string, string>) => [name, is]),
      );
      assert.deepEqual([checks.get("sql"), checks.get("gateway")], ["down", "down"]);
      assert.equal((await ann.post("/gateway/routes", routeTo("late", backend))).status, 503);
      await postgres.postgres.start();
      await eventually(status, (now) => now === "ok");
      assert.equal(await statusOf(`${server.gateway}/kept`), 200);
      await ann.ok(ann.post("/gateway/routes", routeTo("late", backend)), 201);
      assert.equal(await statusOf(`${server.gateway}/late`), 200);
    } finally {
      await server.remove();
      await backend.stop();
      await postgres.close();
    }
  });

  it("a node starts and serves what it served before", {
    skip: missingServer && `${missingServer} is missing`,
  }, async () => {
    const backend = await startBackend("one");
    const postgres = await startDebianServer();
    await using folder = await temporaryFolder();
    const env = { HOTSWAP_SQL: postgres.url, HOTSWAP_GATEWAY_PORT: String(await freePort()) };
    const gateway = `http://127.0.0.1:${env.HOTSWAP_GATEWAY_PORT}/kept`;
    const first = await Server.start({ data: folder.path, env });
    const headers = { authorization: `Bearer ${first.facts.token}`, "content-type": "application/json" };
    const body = JSON.stringify(routeTo("kept", backend));
    const made = await fetch(`${first.facts.api}/api/v1/gateway/routes`, { method: "POST", headers, body });
    assert.equal(made.status, 201);
    assert.equal(await first.stop(), 0);
    await postgres.postgres.stop();
    const child = spawnHotswap(["dev", "--data", folder.path, "--port", "0", "--json"], env);
    try {
      await eventually(
        () => statusOf(gateway),
        (status) => status === 200,
      );
      const facts = once(createInterface(child.stdout), "line") as Promise<[string]>;
      await postgres.postgres.start();
      const { api } = JSON.parse((await facts)[0]);
      assert.equal(await statusOf(`${api}/ready`), 200);
      assert.equal(await statusOf(gateway), 200);
    } finally {
      child.kill("SIGKILL");
      await once(child, "close");
      await postgres.close();
      await backend.stop();
    }
  });
});

describe("a planned restart", () => {
  it("fails no request: the new process serves beside the old one, and goes on in its place", async () => {
    const backend = await startBackend("one");
    backend.behave((_request, response) => void setTimeout(() => response.end("ok"), 100));
    await using folder = await serverFolder();
    const env = {
      HOTSWAP_SECRETS_MASTER_KEY: Buffer.alloc(32, 7).toString("base64"),
      HOTSWAP_GATEWAY_PORT: String(await freePort()),
    };
    const start = { data: folder.path, command: "start", port: await freePort(), env } as const;
    await using before = await Server.start(start);
    const { stdout } = await hotswap(["token", "--role", "operator", "--data", folder.path, "--json"], env);
    const headers = {
      authorization: `Bearer ${JSON.parse(stdout).token}`,
      "content-type": "application/json",
    };
    const body = JSON.stringify(routeTo("kept", backend));
    const made = await fetch(`${before.facts.api}/api/v1/gateway/routes`, { method: "POST", headers, body });
    assert.equal(made.status, 201);

    const otherKey = { ...env, HOTSWAP_SECRETS_MASTER_KEY: Buffer.alloc(32, 8).toString("base64") };
    const unfit = Server.start({ ...start, env: otherKey, args: ["--takeover"] });
    await assert.rejects(unfit, /secrets_unreadable/, "and the old one goes on");

    const load = new Load(`${before.facts.gateway}/kept`, 64);
    await eventually(
      async () => load.answered,
      (answered) => answered > 200,
    );
    await using next = await Server.start({ ...start, args: ["--takeover"] });
    assert.equal(await before.exit(), 0);
    const atTakeover = load.answered;
    await eventually(
      async () => load.answered,
      (answered) => answered > atTakeover + 300,
    );
    await load.stop();
    assert.deepEqual(load.failures, []);
    assert.deepEqual([next.facts.api, next.facts.gateway], [before.facts.api, before.facts.gateway]);
    assert.equal((await fetch(`${next.facts.api}/ready`)).status, 200);
    await backend.stop();
  });
});

/** Clients that ask without a pause over kept connections, and forgive nothing. */
class Load {
  answered = 0;
  readonly failures: string[] = [];
  readonly #agent: Agent;
  readonly #clients: Promise<void>[];
  #isOver = false;

  constructor(url: string, connections: number) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
    this.#clients = Array.from({ length: connections }, () => this.#client(url));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#clients);
    this.#agent.destroy();
  }

  async #client(url: string): Promise<void> {
    while (!this.#isOver) {
      const failure = await this.#ask(url);
      if (failure === undefined) this.answered++;
      else this.failures.push(failure);
    }
  }

  #ask(url: string): Promise<string | undefined> {
    return new Promise((resolve) => {
      const request = get(url, { agent: this.#agent }, (response) => {
        const { statusCode } = response;
        response.on("error", ({ message }) => resolve(message));
        response.on("end", () => resolve(statusCode === 200 ? undefined : String(statusCode)));
        response.resume();
      });
      request.on("error", ({ message }) => resolve(message));
    });
  }
}
