/** The watcher of the client against a real server: changes, refusals, trials, the server gone, versions that kill. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { fetchWire, HotSwap, HotSwapConnectionError } from "../../client/src/index.ts";
import { type ConfigDocument, type ConfigurationOptions, connect, fileCache } from "../../client/src/node.ts";
import { type Caller, TestServer } from "../server.ts";

let server: TestServer;
let ann: Caller;
let hotswap: HotSwap;
let folder: string;
before(async () => {
  server = await TestServer.start({
    "configuration-heartbeat-ms": "1000",
    "configuration-inline-bytes": "500",
  });
  ann = await server.as();
  hotswap = connect({ url: server.url, token: ann.token });
  folder = await mkdtemp(join(tmpdir(), "hotswap-configuration-"));
});
after(async () => {
  hotswap?.close();
  await server?.remove();
  await rm(folder, { recursive: true, force: true });
});

const place = { service: "checkout", environment: "staging" };

async function config(name: string, ...documents: unknown[]): Promise<void> {
  await ann.ok(ann.post("/configs", { name, ...place, format: "json" }), 201);
  for (const value of documents) {
    await ann.ok(ann.post(`/configs/${name}/versions`, { text: JSON.stringify(value) }));
  }
}

/** Options that note what is applied, and waits for one. */
function noted(zone: string, more: Partial<ConfigurationOptions> = {}) {
  const applied: ConfigDocument[] = [];
  let wake = () => {};
  const options: ConfigurationOptions = {
    ...{ instanceId: `i-${zone}`, ...place, labels: { zone } },
    onChange(document) {
      applied.push(document);
      wake();
    },
    onRemove: () => wake(),

    ...more,
  };
  const until = async (fits: () => boolean) => {
    while (!fits()) await new Promise<void>((resolve) => (wake = resolve));
  };
  return { applied, options, until, wake: () => wake() };
}

/** What the server shows of the instance's only configuration, when it is as asked for. */
async function shown(
  id: string,
  fits: (one: { status: string; running: number | null; desired: number | null }) => boolean,
) {
  for (;;) {
    const instance = await hotswap.instances.get(id).catch((error) => {
      if (error.code === "instance_not_found") return undefined; // not yet
      throw error;
    });
    const one = instance?.configs[0];
    if (one && fits(one)) return one;
  }
}

test("an instance is kept at what it should run, and refuses what it cannot", async () => {
  await config("a", { v: 1 }, { v: 2, filler: "x".repeat(2_000) }, { v: 3 });
  await hotswap.instances.pin("a", { labels: { zone: "a" }, version: 1 });
  const { applied, options, until } = noted("a");
  const watcher = await hotswap.configuration({
    ...options,
    onChange(document) {
      options.onChange!(document);
      if (document.version === 3) throw new Error("v must be below 3");
    },
  });
  assert.deepEqual(watcher.get("a"), { v: 1 }, "when it has started it runs it");
  await shown("i-a", ({ status, running }) => status === "applied" && running === 1);

  await hotswap.instances.pin("a", { labels: { zone: "a" }, version: 2 });
  await until(() => applied.at(-1)?.version === 2);
  assert.equal((watcher.get("a") as { filler: string }).filler.length, 2_000, "large ones are fetched");
  await shown("i-a", ({ status, running }) => status === "applied" && running === 2);

  await hotswap.instances.pin("a", { labels: { zone: "a" }, version: 3 });
  const refused = await shown("i-a", ({ status }) => status === "rejected");
  assert.deepEqual([refused.running, refused.rejected?.reason], [2, "v must be below 3"]);
  assert.deepEqual([watcher.document("a")?.version, watcher.refusals[0]?.version], [2, 3]);
  assert.equal(applied.filter(({ version }) => version === 3).length, 1, "it is not tried again and again");

  await hotswap.instances.unpin("a");
  await until(() => watcher.get("a") === undefined);
  await watcher.close();
  assert.equal((await ann.get("/instances/i-a")).status, 404, "it has said goodbye");
});

test("where no WebSocket can be opened it hears by events, and says what it runs by requests", async () => {
  await config("e", { v: 1 }, { v: 2 });
  await hotswap.instances.pin("e", { labels: { zone: "e" }, version: 1 });
  const wire = fetchWire();
  const asked: string[] = [];
  const { applied, options, until, wake } = noted("e");
  const plain = new HotSwap({
    ...{ url: server.url, token: ann.token },
    wire: {
      ...wire,
      send(request) {
        asked.push(`${request.method} ${new URL(request.url).pathname}`);
        wake();
        return wire.send(request);
      },
      openSocket(_request, { onClose }) {
        queueMicrotask(() => onClose(1006, "", new HotSwapConnectionError("refused", "a proxy says no")));
        return { send: () => {}, close: () => {}, bufferedAmount: 0 };
      },
    },
  });
  const watcher = await plain.configuration(options);
  await until(() => asked.includes("GET /api/v1/instances/i-e/stream"));
  await hotswap.instances.pin("e", { labels: { zone: "e" }, version: 2 });
  await until(() => applied.at(-1)?.version === 2);
  await shown("i-e", ({ status, running }) => status === "applied" && running === 2);
  assert.ok(asked.includes("POST /api/v1/instances/i-e/heartbeat"));
  await watcher.close();
  plain.close();
});

test("a trial is answered by what validates, and nothing is applied", async () => {
  await config("t", { v: 1 }, { v: 2 });
  const { applied, options } = noted("t", {
    validate({ value }) {
      if ((value as { v: number }).v > 1) throw new Error("v is too large");
    },
  });
  const watcher = await hotswap.configuration(options);
  const done = async (version: number) => {
    await hotswap.instances.beginTrial("t", version, { instances: 9 });
    for (;;) {
      const [trial] = (await hotswap.instances.trials("t", version)).items;
      if (trial?.status === "done") return trial;
    }
  };
  assert.deepEqual((await done(1)).answers, [{ instanceId: "i-t", ok: true, reason: "" }]);
  assert.deepEqual((await done(2)).answers, [{ instanceId: "i-t", ok: false, reason: "v is too large" }]);
  assert.deepEqual(applied, []);
  await watcher.close();
});

test("a start fails by a refusal, and by a server that is not there, when nothing is kept", async () => {
  const other = connect({ url: server.url, token: await server.token({ roles: ["viewer"] }) });
  await assert.rejects(other.configuration(noted("n").options), { code: "permission_denied" });
  other.close();
  const gone = connect({ url: "http://127.0.0.1:9", token: "x" });
  await assert.rejects(gone.configuration(noted("n", { startTimeoutMs: 50 }).options), {
    failure: "timeout",
  });
  gone.close();
});

test("with the server gone an instance starts by what it kept, and hears of changes when it is back", async () => {
  await config("k", { v: 1 }, { v: 2 });
  await hotswap.instances.pin("k", { labels: { zone: "k" }, version: 1 });
  const cache = () => fileCache({ folder: join(folder, "k"), key: "a key of sixteen or more" });
  const first = await hotswap.configuration({ ...noted("k").options, cache: cache() });
  await first.close();
  assert.equal((await stat(join(folder, "k/configuration.bin"))).mode & 0o777, 0o600);
  assert.doesNotMatch(await readFile(join(folder, "k/configuration.bin"), "latin1"), /"v":1/);

  const { port } = new URL(server.url);
  await hotswap.instances.pin("k", { labels: { zone: "k" }, version: 2 });
  await server.stop();
  const { applied, options, until } = noted("k");
  const watcher = await hotswap.configuration({ ...options, cache: cache() });
  assert.deepEqual(watcher.get("k"), { v: 1 });
  await server.restart({ port });
  await until(() => applied.at(-1)?.version === 2);
  await watcher.close();
});

test("a kept file that was changed, or is of another key, is not used", async () => {
  const errors: unknown[] = [];
  const at = (key?: string) =>
    fileCache({ folder: join(folder, "f"), key, onError: (error) => void errors.push(error) });
  const state = { proven: [], proving: [], refused: [] };
  assert.equal(await at().load(), undefined);
  await at().save(state);
  assert.deepEqual(await at().load(), state);
  assert.deepEqual(errors, []);
  assert.equal(await at("some other key, long enough").load(), undefined);
  const file = join(folder, "f/configuration.bin");
  const bytes = await readFile(file);
  for (const damaged of [bytes.subarray(0, -1), Buffer.alloc(0), Buffer.from(bytes).fill(0, 40, 41)]) {
    await writeFile(file, damaged);
    assert.equal(await at().load(), undefined);
  }
  assert.equal(errors.length, 4);
  assert.throws(() => at("short"), TypeError);
});

test("a version that kills the process twice is refused, and the one before runs", async () => {
  await config("poison", { v: 1 }, { v: 2, poison: true });
  await hotswap.instances.pin("poison", { labels: { zone: "v" }, version: 1 });
  const file = fileURLToPath(new URL("./configuration.victim.ts", import.meta.url));
  const run = () => {
    const child = spawn(process.execPath, [file, server.url, ann.token!, join(folder, "v")], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const lines: string[] = [];
    createInterface(child.stdout).on("line", (line) => lines.push(line));
    return { child, lines, ended: once(child, "close") };
  };
  const healthy = run();
  await shown("victim", ({ running }) => running === 1);
  await hotswap.instances.pin("poison", { labels: { zone: "v" }, version: 2 });
  await healthy.ended;
  assert.deepEqual(healthy.lines, ["applied 1", "applied 2"]);
  const second = run();
  await second.ended;
  assert.deepEqual(second.lines, ["applied 2"], "it is given another chance");
  const third = run();
  const refused = await shown("victim", ({ status }) => status === "rejected");
  assert.deepEqual([refused.running, refused.rejected?.version], [1, 2]);
  assert.match(refused.rejected!.reason, /ended 2 times/);
  third.child.stdin.write("stop\n");
  await third.ended;
  assert.equal(third.lines[0], "applied 1");
  assert.match(third.lines[1]!, /^refused 2: /);
});
