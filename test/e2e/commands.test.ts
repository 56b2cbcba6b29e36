/** The commands that speak to a running server, as processes: what they print, and how they end. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, suite, test } from "node:test";
import { connect } from "../../client/src/node.ts";
import { startBackend } from "../gateway/backends.ts";
import { type Folder, hotswap, Server, serverFolder, spawnHotswap, type Variables } from "./hotswap.ts";

suite("commands", { concurrency: 2 }, () => {
  let folder: Folder;
  let server: Server;
  const run = (args: string[], input = "", env: Variables = server.env) => hotswap(args, env, input);
  const json = async (args: string[], input = "") => {
    const { code, stdout, stderr } = await run(args, input);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };

  before(async () => {
    folder = await serverFolder();
    server = await Server.start({ data: folder.path });
  });
  after(async () => {
    await server.kill();
    await folder[Symbol.asyncDispose]();
  });

  test("topic: create, list, update, stats, delete", async () => {
    const created = await json(["topic", "create", "lifecycle", "--partitions", "2", "--json"]);
    assert.deepEqual([created.partitions, created.durability, created.type], [2, "fsync", "queue"]);
    const updated = await json(["topic", "update", "lifecycle", "--partitions", "3", "--json"]);
    assert.equal(updated.partitions, 3);
    const flags = "--retention 1d --retention-bytes 1GiB --retain limits --message-ttl 90s --dedup-window 0";
    const kept = await json([
      "topic",
      "update",
      "lifecycle",
      ...flags.split(" "),
      "--balancing",
      "least-loaded",
      "--json",
    ]);
    assert.deepEqual(
      [
        kept.retentionSeconds,
        kept.retentionBytes,
        kept.retain,
        kept.messageTtlSeconds,
        kept.dedupWindowSeconds,
      ],
      [86_400, 2 ** 30, "limits", 90, 0],
    );
    const free = ["--message-ttl", "never", "--retention-bytes", "none"];
    await json(["topic", "update", "lifecycle", ...free, "--json"]);
    const { stdout } = await run(["topic", "get", "lifecycle"]);
    assert.match(stdout, /retention +24\.0 h;.* alone\nmessage TTL +never\ndedup window +none\nschema +none/);
    const bound = await run([
      "topic",
      "update",
      "lifecycle",
      "--schema",
      "nothing@2",
      "--enforcement",
      "warn",
    ]);
    assert.match(bound.stderr, /^hotswap: \w+: .*nothing/);
    assert.equal((await run(["topic", "update", "lifecycle", "--enforcement", "warn"])).code, 2);
    assert.match((await run(["topic", "list"])).stdout, /^NAME .*\n(.*\n)*lifecycle +queue +3 +fsync/m);
    assert.match((await run(["topic", "stats", "lifecycle"])).stdout, /^lifecycle: 0 messages/);
    const again = await run(["topic", "create", "lifecycle"]);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /^hotswap: topic_exists: .*\n {2}\S/);
    assert.equal((await run(["topic", "delete", "lifecycle"])).code, 0);
    assert.match((await run(["topic", "get", "lifecycle"])).stderr, /^hotswap: topic_not_found/);
  });

  /** Sets a webhook and does with it what can be done. */
  async function pushed(topic: string, name: string) {
    const push = (verb: string, ...rest: string[]) => ["subscription", "push", verb, topic, name, ...rest];
    const set = await run(push("set", "https://hooks.example/in", "--batch", "10", "--timeout", "5s"));
    assert.match(set.stdout, /active[\s\S]*secret, shown this once: whsec_/);
    assert.match((await run(push("pause"))).stdout, /status +paused\n[\s\S]*reason +paused by /);
    assert.match(
      (await run(["subscription", "explain", topic, name])).stdout,
      /\nwebhook paused: paused by /,
    );
    assert.match((await run(push("rotate"))).stdout, /^whsec_\S+\n$/);
    const resumed = await json(push("resume", "--json"));
    assert.deepEqual([resumed.status, resumed.batch, resumed.timeoutSeconds], ["active", 10, 5]);
    assert.doesNotMatch((await run(push("show"))).stdout, /whsec_/);
    assert.equal((await run(push("delete"))).code, 0);
    assert.match((await run(push("show"))).stderr, /^hotswap: push_not_found/);
  }

  test("subscription: create, list, delete", async () => {
    await json(["topic", "create", "news", "--type", "pubsub", "--json"]);
    const made = await json(["subscription", "create", "news", "mail", "--ack-deadline", "2m", "--json"]);
    assert.equal(made.ackDeadlineSeconds, 120);
    const changed =
      "subscription update news mail --ack-deadline 90s --max-attempts 3 --dead-letter-expired true --json";
    const { ackDeadlineSeconds, maxAttempts, deadLetterExpired } = await json(changed.split(" "));
    assert.deepEqual([ackDeadlineSeconds, maxAttempts, deadLetterExpired], [90, 3, true]);
    assert.match((await run(["subscription", "list", "news"])).stdout, /news +mail +90 s/);
    assert.match(
      (await run(["subscription", "explain", "news", "mail"])).stdout,
      /^0 not done.*\nnothing-waits: /,
    );
    const filter = { header: "region", equals: "eu" };
    const more =
      "--ack-mode at-most-once --backoff 500ms,2s --block-key-on-dead-letter true --schema-version 3";
    const words = ["subscription", "update", "news", "mail", ...more.split(" ")];
    const all = await json([...words, "--filter", JSON.stringify(filter), "--json"]);
    assert.deepEqual(
      [all.ackMode, all.backoff, all.blockKeyOnDeadLetter, all.schemaVersion, all.filter],
      ["at-most-once", { delaysMs: [500, 2000] }, true, 3, filter],
    );
    const none = await json(
      "subscription update news mail --schema-version topic --filter none --backoff 1s..60s --json".split(
        " ",
      ),
    );
    assert.deepEqual(
      [none.schemaVersion, none.filter, none.backoff],
      [null, undefined, { baseMs: 1000, maxMs: 60_000 }],
    );
    await pushed("news", "mail");
    assert.equal((await run(["subscription", "delete", "news", "mail"])).code, 0);
    assert.match(
      (await run(["subscription", "delete", "news", "mail"])).stderr,
      /^hotswap: subscription_not_found/,
    );
  });

  test("dlq: list, replay as a dry run and for real", async () => {
    const made = await json(["topic", "create", "failing", "--json"]);
    assert.match((await run(["dlq", "list", "failing"])).stderr, /^Nothing of failing waits/);
    const none = await json(["dlq", "replay", "failing", "--dry-run", "--json"]);
    assert.deepEqual([made.name, none.matched], ["failing", 0]);
    assert.match(
      (await run(["dlq", "replay", "failing", "--rate", "10"])).stdout,
      /^done: 0 of 0 replayed \(/,
    );
    assert.match((await run(["dlq", "list", "none"])).stderr, /^hotswap: topic_not_found/);
  });

  test("message: get, scheduled, cancel", async () => {
    await json(["topic", "create", "later", "--json"]);
    const words = ["pub", "later", '{"id":1}', "--key", "k", "--in", "1h"];
    const { messageId: first, ...said } = await json(words);
    assert.ok(Date.parse(said.scheduledFor) > Date.now() + 3_500_000, said.scheduledFor);
    const receipts = `${folder.path}/later`;
    const at = "2125-12-24T08:00:00.000Z";
    await json(["pub", "later", "--at", at, "--receipts", receipts], "a line\n");
    const { messageId: second, ...rest } = JSON.parse(await readFile(receipts, "utf8"));
    assert.deepEqual(rest, { line: 1, scheduledFor: at });
    const past = await json(["pub", "later", "now", "--at", "2001-01-01 00:00"]);
    assert.equal(past.offset, 0);
    const now = past.messageId;
    const wrong = await run(["pub", "later", "never", "--at", "tomorrow"]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /It must be a time such as/);
    assert.equal((await json(["message", "get", now])).payload, "now");
    const { stdout, stderr } = await run(["message", "scheduled", "later", "--limit", "1"]);
    assert.match(stdout, new RegExp(`^MESSAGE .*\\n${first} +\\d{4}-\\d\\d-\\d\\d .* k +\\{"id":1\\}\\n$`));
    assert.match(stderr, /^These are the first 1;/);
    assert.match((await run(["message", "cancel", first])).stderr, /^message \S+ of later will not/);
    const left = await json(["message", "scheduled", "later", "--json"]);
    assert.deepEqual(
      left.map(({ messageId }: { messageId: string }) => messageId),
      [second],
    );
    assert.match((await run(["message", "cancel", now])).stderr, /^hotswap: message_not_found/);
    assert.equal((await json(["message", "cancel", second, "--json"])).messageId, second);
    assert.match((await run(["message", "scheduled", "later"])).stderr, /^Nothing waits/);
  });

  test("what goes into pub comes out of sub, to the byte", async () => {
    await json(["topic", "create", "bytes", "--json"]);
    const input =
      'first\n\n  spaces  \r\n{"not":"parsed"}\n\u{feff}ünïcödé \u{1f980}\ttab\u0000nul\nlast without an end';
    const receipts = `${folder.path}/receipts`;
    const summary = await json(["pub", "bytes", "--receipts", receipts], input);
    assert.deepEqual([summary.lines, summary.acknowledged, summary.rejected], [6, 6, 0]);
    assert.equal(summary.durability, "fsync");
    const lines = (await readFile(receipts, "utf8")).trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).line),
      [1, 2, 3, 4, 5, 6],
    );
    const out = await run(["sub", "bytes", "--idle", "0"]);
    assert.equal(out.stdout, `${input}\n`);
    assert.equal((await run(["sub", "bytes", "--idle", "0"])).stdout, "", "they were acknowledged");
  });

  test("JSON goes through with its numbers, and gives the key", async () => {
    await json(["topic", "create", "documents", "--json"]);
    const file = `${folder.path}/documents.ndjson`;
    await writeFile(file, '{"id":12345678901234567890,"customer":{"id":7}}\n\n[1,2]\n');
    const summary = await json(["pub", "documents", "--key-field", "customer.id", "--file", file]);
    assert.deepEqual([summary.lines, summary.blank, summary.acknowledged], [3, 1, 2]);
    const peeked = await run(["topic", "peek", "documents", "--from", "earliest"]);
    assert.equal(peeked.code, 0, peeked.stderr);
    const { api, token } = server.facts;
    const stored = await fetch(`${api}/api/v1/topics/documents/messages?from=earliest`, {
      headers: { authorization: `Bearer ${token}` },
    });
    assert.match(await stored.text(), /"id":12345678901234567890/);
    const out = await run(["sub", "documents", "--count", "2", "--format", "ndjson", "--no-ack"]);
    const messages = out.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      messages.map(({ key }) => key),
      ["7", null],
    );
    assert.deepEqual(messages[1].payload, [1, 2]);
  });

  test("one message as an argument", async () => {
    await json(["topic", "create", "single", "--json"]);
    const receipt = await json(["pub", "single", '{\n "id": 1\n}', "--key", "k"]);
    assert.equal(receipt.durability, "fsync");
    await json(["pub", "single", "plain text"]);
    await json(["pub", "single", "42", "--text"]);
    const out = await run(["sub", "single", "--count", "3", "--format", "ndjson"]);
    const messages = out.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      messages.map(({ payload }) => payload),
      [{ id: 1 }, "plain text", "42"],
    );
    assert.equal(messages[0].key, "k");
  });

  test("what cannot be published is refused by its line, and the rest is as was said", async () => {
    await json(["topic", "create", "refusals", "--json"]);
    const bad = '{"a":1}\n{"a":\n{"a":3}\n';
    const stopped = await run(["pub", "refusals", "--json"], bad);
    assert.equal(stopped.code, 1);
    assert.match(stopped.stderr, /^hotswap: json_malformed: line 2: /);
    const { acknowledged, rejected } = JSON.parse(stopped.stdout);
    assert.deepEqual([acknowledged, rejected], [1, 1]);
    const went = await run(["pub", "refusals", "--json", "--keep-going"], bad);
    assert.equal(went.code, 1, "something was refused all the same");
    assert.equal(JSON.parse(went.stdout).acknowledged, 2);
    const long = await run(["pub", "refusals"], `short\n${"x".repeat(1_200_000)}\n`);
    assert.match(long.stderr, /^hotswap: message_too_large: line 2: /);
    const child = spawnHotswap(["pub", "refusals"], server.env);
    child.stdin.end(Buffer.from([0x61, 0x0a, 0xff, 0xfe, 0x0a]));
    const [stderr] = await Promise.all([child.stderr.setEncoding("utf8").toArray(), once(child, "close")]);
    assert.match(stderr.join(""), /^hotswap: encoding_invalid: Line 2 /);
  });

  test("a producer may not consume, a consumer may not publish, and neither is let in for long", async () => {
    await json(["topic", "create", "roles", "--json"]);
    const data = folder.path;
    const as = async (role: string) => {
      const { stdout } = await hotswap(["token", "--role", role, "--ttl", "1m", "--data", data]);
      return { ...server.env, HOTSWAP_TOKEN: stdout.trim() };
    };
    const [producer, consumer] = await Promise.all([as("producer"), as("consumer")]);
    assert.equal((await run(["pub", "roles", "hello"], "", producer)).code, 0);
    const consuming = await run(["sub", "roles", "--count", "1"], "", producer);
    assert.equal(consuming.code, 1);
    assert.match(consuming.stderr, /hotswap: permission_denied: messages\.consume is needed/);
    const publishing = await run(["pub", "roles", "hello"], "", consumer);
    assert.match(publishing.stderr, /^hotswap: permission_denied: messages\.publish is needed/);
    assert.equal((await run(["sub", "roles", "--count", "1"], "", consumer)).stdout, "hello\n");
    const made = await json([
      "token",
      "--role",
      "producer,viewer",
      "--subject",
      "ann",
      "--data",
      data,
      "--json",
    ]);
    assert.deepEqual([made.roles, made.subject, made.mode], [["producer", "viewer"], "ann", "development"]);
  });

  test("without a URL and a token the data folder of a development server is enough", async () => {
    const { code, stderr } = await hotswap(["topic", "list", "--data", folder.path]);
    assert.equal(code, 0, stderr);
  });

  test("status: text, JSON, and variables for a shell", async () => {
    assert.match((await run(["status"])).stdout, /^HotSwap [\d.]+ {2}development {2}up .*\n {2}Health +ok\n/);
    const { url, health } = await json(["status", "-o", "json"]);
    assert.deepEqual([url, health.status], [server.facts.api, "ok"]);
    const { api, token, gateway } = server.facts;
    assert.deepEqual((await run(["status", "-o", "env"])).stdout.split("\n"), [
      `export HOTSWAP_URL='${api}'`,
      `export HOTSWAP_TOKEN='${token}'`,
      `export HOTSWAP_GATEWAY='${gateway}'`,
      "",
    ]);
  });

  test("gateway: a file of routes is tried, applied with a diff, looked at, and taken away", async (t) => {
    const backend = await startBackend("shop");
    t.after(() => backend.stop());
    const gateway = (...args: string[]) => run(["gateway", ...args]);
    assert.match((await gateway("routes", "list")).stderr, /^There is no route yet/);
    const file = `${folder.path}/routes.yaml`;
    const write = (weight: number, more = "") =>
      writeFile(
        file,
        `routes:\n  - name: shop\n    match: { path: { prefix: /shop } }\n    backends: [{ url: "${backend.url}", weight: ${weight} }]\n${more}`,
      );
    await write(1);
    const tried = await gateway("routes", "apply", file, "--dry-run");
    assert.equal(
      tried.stdout,
      "+ shop\n1 added, 0 changed, 0 removed, 0 unchanged; nothing was kept (dry run)\n",
    );
    assert.equal((await gateway("routes", "get", "shop")).code, 1, "nothing was kept");
    assert.match(
      (await gateway("routes", "apply", file)).stdout,
      /^\+ shop\n1 added, .* 0 unchanged; revision \d+\n$/,
    );
    await write(2, `  - { name: shade, match: { path: { exact: /shop } }, redirect: { location: /new } }\n`);
    assert.match(
      (await gateway("routes", "apply", file)).stdout,
      /^\+ shade\n~ shop\n {4}\/backends\/0\/weight: 1 → 2\n1 added, 1 changed, 0 removed, 0 unchanged; /,
    );
    assert.match((await gateway("routes", "get", "shop")).stdout, /^name: shop\n(.*\n)*.*weight: 2\n/m);
    assert.equal((await json(["gateway", "routes", "get", "shade", "--json"])).redirect.location, "/new");
    assert.match(
      (await gateway("routes", "get", "none")).stderr,
      /^hotswap: gateway_route_not_found: .*none/,
    );
    assert.match(
      (await gateway("routes", "list")).stdout,
      /^NAME .*\n(.*\n)*shop +\/shop\/\* +round-robin +0/m,
    );
    assert.equal((await gateway("routes", "check")).stdout, "2 routes, nothing to report\n");
    const preview = `${folder.path}/preview.yaml`;
    await writeFile(preview, "route: shop\nchange: { timeouts: { idleMs: 5 } }\n");
    const { headers } = await fetch(`${server.facts.gateway}/shop/1`);
    assert.match(
      (await gateway("routes", "preview", preview)).stdout,
      /1 +shop: handling\n +GET .*\/shop\/1\n/,
    );
    const explained = await gateway("explain", headers.get("x-request-id")!);
    assert.match(explained.stdout, /^GET http:\/\/.*\/shop\/1 {2}200 .* shop\nMatch\n {2}→ shop: /);
    assert.match((await gateway("explain", "none")).stderr, /^hotswap: gateway_request_not_found/);
    assert.match((await gateway("status")).stdout, /^ok {2}http.*\n(.*\n)* {2}Limits +of this node\n/);

    await write(1, "  - { name: bad, match: {} }\n");
    const refused = await gateway("routes", "apply", file);
    assert.match(refused.stderr, /^hotswap: gateway_set_invalid: \/routes\/1\/backends needs at least one/);
    const exported = await gateway("routes", "export");
    await writeFile(file, exported.stdout);
    assert.match(
      (await gateway("routes", "apply", file, "--merge")).stdout,
      /^0 added, 0 changed, 0 removed, 2 un/,
    );
    assert.equal((await gateway("routes", "delete", "shade")).stderr, "route shade deleted\n");
    assert.equal((await gateway("routes", "delete", "shade")).code, 1);

    await overrides(backend.url);
  });

  async function overrides(url: string) {
    const override = (...args: string[]) => run(["gateway", "override", ...args]);
    const opened = await override(url, "--breaker", "open", "--for", "10m", "--reason", "t");
    assert.match(opened.stdout, /open \(by hand\)/);
    assert.equal((await fetch(`${server.facts.gateway}/shop`)).status, 503);
    assert.doesNotMatch((await override(`${url}/`)).stdout, /by hand/);
    const listed = await run(["gateway", "backends"]);
    assert.match(listed.stdout, new RegExp(`^${url} +healthy +closed `, "m"));
    assert.match((await override("http://127.0.0.1:1")).stderr, /^hotswap: gateway_backend_not_found/);
  }

  test("gateway service: register, list, deregister", async () => {
    const service = (...args: string[]) => run(["gateway", "service", ...args]);
    const options = ["--id", "i1", "--weight", "3", "--ttl", "1h"];
    const made = await service("register", "shop", "http://127.0.0.1:9", ...options);
    assert.match(made.stdout, /\nshop +i1 +http:\/\/127\.0\.0\.1:9 +3 +20\d\d-/);
    assert.equal((await service("list", "shop")).stdout, made.stdout);
    assert.equal((await service("deregister", "shop", "i1")).code, 0);
    assert.deepEqual(await json(["gateway", "service", "list", "--json"]), []);
    assert.match((await service("deregister", "shop", "i1")).stderr, /^hotswap: gateway_instance_not_found/);
  });

  test("gateway key: create, list, revoke", async () => {
    const gateway = (...args: string[]) => run(["gateway", ...args]);
    const made = await gateway(
      "key",
      "create",
      "partner",
      "--group",
      "a",
      "--group",
      "b",
      "--expires",
      "90d",
    );
    assert.match(made.stdout, /^\S{20,}\n$/);
    const listed = (await gateway("key", "list")).stdout;
    assert.match(listed, /^NAME +BEGINS .*\npartner +\S+ +a, b +20\d\d-/);
    assert.ok(!listed.includes(made.stdout.trim()), "a key is printed once");
    assert.equal((await gateway("key", "revoke", "partner")).stderr, "key partner withdrawn\n");
    assert.deepEqual(await json(["gateway", "key", "list", "--json"]), []);
    assert.match((await gateway("key", "revoke", "partner")).stderr, /^hotswap: gateway_key_not_found/);
  });

  test("audit: export, verify with and without the server, and a change is found", async () => {
    const file = `${folder.path}/audit.ndjson`;
    await json(["topic", "create", "audited", "--json"]);
    assert.equal((await run(["audit", "export", "--file", file])).code, 0);
    assert.match((await hotswap(["audit", "verify", file])).stdout, /^The audit of default is intact/);
    assert.equal((await json(["audit", "verify", "--against", file, "--json"])).keyTrusted, true);
    await writeFile(file, (await readFile(file, "utf8")).replace("topic.create", "topic.delete"));
    const found = await hotswap(["audit", "verify", file]);
    assert.equal(found.code, 1);
    assert.match(found.stdout, /NOT intact/);
  });

  test("bench messaging measures and cleans up behind itself", async () => {
    const result = await json(["bench", "messaging", "--messages", "2000", "--json"]);
    assert.ok(result.publish.perSecond > 0 && result.consume.p999Ms >= result.consume.p50Ms);
    assert.match(result.command, /--messages 2000 --size 1024 --partitions 1 --durability fsync/);
    const topics = (await json(["topic", "list", "--json"])) as { name: string }[];
    assert.ok(!topics.some(({ name }) => name.startsWith("bench-")));
  });

  test("an interrupted sub gives back what it has not written, and exits 0", async () => {
    await json(["topic", "create", "interrupted", "--json"]);
    await json(["pub", "interrupted"], "one\ntwo\n");
    const child = spawnHotswap(["sub", "interrupted", "--count", "3"], server.env);
    const [chunk] = await once(child.stdout.setEncoding("utf8"), "data");
    assert.equal(chunk, "one\ntwo\n");
    child.kill("SIGINT");
    const [code] = await once(child, "close");
    assert.equal(code, 0);
    await json(["pub", "interrupted", "three"]);
    assert.equal((await run(["sub", "interrupted", "--count", "1"])).stdout, "three\n");
  });

  test("what was not understood exits with 2, what failed with 1", async () => {
    const usage = [
      ["topic"],
      ["topic", "create"],
      ["nonsense"],
      ["pub", "x", "--key", "a", "--key-column", "1"],
      ["sub", "x", "--count", "none"],
      ["token"],
      ["token", "--role", "king"],
      ["status", "--no-such-option"],
    ];
    const codes = await Promise.all(usage.map(async (args) => (await run(args)).code));
    assert.deepEqual(
      codes,
      usage.map(() => 2),
    );
    const nobody = await hotswap(["topic", "list"], {
      HOTSWAP_URL: "http://127.0.0.1:9",
      HOTSWAP_TOKEN: "x",
    });
    assert.equal(nobody.code, 1);
    assert.match(nobody.stderr, /^hotswap: server_not_found: http:\/\/127\.0\.0\.1:9 cannot be reached/);
    assert.equal((await run(["--help"])).code, 0);
  });

  test("deploy and deployment: a dry run, a watched end, and what people do on the way", async () => {
    const put = (version: number) =>
      json(["config", "put", "till", "-", "--json"], `{"version": ${version}}`);
    await json("config create till --service till --environment test --json".split(" "));
    await put(1);
    const deploy = ["deploy", "config", "till", "--version"];
    const dry = await run([...deploy, "1", "--phases", "50,100", "--bake", "1m", "--dry-run"]);
    assert.match(dry.stdout, /^would deploy configuration till, version 1 \(canary\)\n {2}1\. /);
    assert.match(dry.stdout, /expose 50 %\n.*watch for 60 to 180 s \(judge\)/);
    assert.deepEqual(await json(["deployment", "list", "--target", "till", "--json"]), []);

    const quick = ["--strategy", "direct", "--set", "probeSeconds=0"];
    const watched = await run([...deploy, "1", ...quick, "--watch"]);
    assert.equal(watched.code, 0, watched.stderr);
    assert.match(watched.stdout, /^\S+ created\n\S+ started, \d steps\n[\s\S]*\n\S+ succeeded\n$/);

    await put(2);
    const { id } = await json([...deploy, "2", "--phases", "50,100", "--manual", "--note", "more", "--json"]);
    const on = (verb: string, ...rest: string[]) => json(["deployment", verb, id, ...rest, "--json"]);
    assert.equal((await on("pause", "--reason", "lunch")).status, "held");
    const text = (await run(["deployment", "get", id])).stdout;
    assert.match(
      text,
      /^\S+ {2}configuration till, version (1 to )?2 \(canary\)\nheld, .*\n.*held, manual: lunch/,
    );
    assert.ok(!(await on("resume")).holdReasons.includes("manual"));
    const watching = run(["deployment", "watch", id, "--json"]);
    assert.ok((await on("rollback", "--reason", "customers complain")).rollback ?? true);
    const { code, stdout } = await watching;
    assert.equal(code, 1, "a pipeline stops there");
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string; reason?: string; status?: string });
    assert.equal(events.find(({ type }) => type === "rollback")?.reason, "customers complain");
    assert.match(events.at(-1)!.status!, /^(cancelled|rolled_back)$/);
    const [listed] = await json(["deployment", "list", "--target", "till", "--limit", "1", "--json"]);
    assert.deepEqual([listed.id, listed.note], [id, "more"]);

    const held = await json([...deploy, "2", "--strategy", "blue-green", "--manual", "--json"]);
    const promoted = run(["deployment", "watch", held.id]);
    const client = connect({ url: server.facts.api, token: server.facts.token });
    const waits = async () => (await client.deployments.get(held.id)).holdReasons.length > 0;
    while (!(await waits())) await new Promise((resolve) => setTimeout(resolve, 50));
    client.close();
    await json(["deployment", "promote", held.id, "--full", "--reason", "looked at", "--json"]);
    const told = await promoted;
    assert.equal(told.code, 0, told.stderr);
    assert.match(
      told.stdout,
      /held, manual.*\n[\s\S]*promoted to the end by .*: looked at\n[\s\S]*succeeded\n$/,
    );
    const wrong = await run([...deploy, "2", "--set", "nonsense"]);
    assert.deepEqual([wrong.code, /must be name=value/.test(wrong.stderr)], [1, true]);
  });

  test("config draft and config pin: what is being written, and who has a version by hand", async () => {
    await json("config create desk --service desk --environment test --json".split(" "));
    const draft = (...args: string[]) => ["config", "draft", ...args];
    const saved = await run(draft("save", "desk", "-"), "limit: 5\nlimit: 6\n");
    assert.deepEqual(
      [saved.code, /^✘ line 2, column 1: .*\ndraft of desk saved, not fit/.test(saved.stdout)],
      [1, true],
    );
    assert.equal((await json(draft("save", "desk", "-", "--json"), "limit: 5\n")).mistakes.length, 0);
    assert.equal((await run(draft("get", "desk"))).stdout, "limit: 5\n");
    assert.equal((await json(draft("list", "desk", "--json"))).length, 1);
    const tried = await run(draft("publish", "desk", "--dry-run"));
    assert.match(tried.stdout, /^desk version 1 would be made \(dry run\)/);
    assert.equal((await json(draft("publish", "desk", "--note", "first", "--json"))).version, 1);
    await json(draft("save", "desk", "-", "--json"), "limit: 7\n");
    assert.equal((await run(draft("discard", "desk"))).code, 0);
    assert.match((await run(draft("get", "desk"))).stderr, /no draft/);

    const pin = (...args: string[]) => ["config", "pin", ...args];
    const host = ["--labels", "host=a,zone=b=c"];
    const pinned = await json(pin("set", "desk", ...host, "--version", "1", "--reason", "to see", "--json"));
    assert.deepEqual(
      pinned.map(({ labels, version, reason }: Record<string, unknown>) => ({ labels, version, reason })),
      [{ labels: { host: "a", zone: "b=c" }, version: 1, reason: "to see" }],
    );
    assert.deepEqual(await json(pin("remove", "desk", "--all", "--dry-run", "--json")), []);
    assert.match((await run(pin("list", "desk"))).stdout, /^LABELS .*\nhost=a,zone=b=c +1 .* to see\n$/);
    assert.match((await run(pin("remove", "desk"))).stderr, /either --labels or --all/);
    assert.equal((await run(pin("remove", "desk", "--labels", "host"))).code, 2);
    assert.deepEqual(await json(pin("remove", "desk", ...host, "--json")), []);
  });

  test("proxy serves at once when it says where, and a port that is taken ends it", async () => {
    const backend = await startBackend("proxied");
    const child = spawnHotswap(["proxy", "--from", ":0", "--to", backend.url, "--json"]);
    const exit = once(child, "exit");
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const { url } = JSON.parse(line.toString()) as { url: string };
    assert.equal((await fetch(url)).status, 200);
    const taken = await hotswap(["proxy", "--from", new URL(url).host, "--to", backend.url]);
    assert.deepEqual(
      [taken.code, /port_in_use: .* choose another with --from/.test(taken.stderr)],
      [1, true],
    );
    child.kill("SIGTERM");
    assert.deepEqual((await exit)[0], 0);
    await backend.stop();
  });
});
