/**
 * Instances over HTTP: registering, heartbeats, streams, documents, pins and trials. Pins stand for deployments
 * here.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertRefused, walk } from "../messaging/calls.ts";
import { type Caller, TestServer } from "../server.ts";
import { InstanceSocket } from "./socket.ts";
import { EventReader } from "./stream.ts";

let server: TestServer;
let ann: Caller;
const open: { close(): void }[] = [];
before(async () => {
  server = await TestServer.start({
    "configuration-inline-bytes": "1000",
    "configuration-instances-max": "30",
    "configuration-connects-per-second": "1000",
  });
  ann = await server.as();
});
after(async () => {
  for (const reader of open) reader.close();
  await server?.remove();
});

const place = { service: "checkout", environment: "staging" };
const instance = (instanceId: string, more: object = {}) => ({ instanceId, ...place, ...more });

/** A configuration with these documents as versions 1, 2, … */
async function config(caller: Caller, name: string, documents: unknown[], more: object = {}) {
  await caller.ok(caller.post("/configs", { name, ...place, format: "json", ...more }), 201);
  const hashes: string[] = [];
  for (const document of documents) {
    const made = await caller.ok(
      caller.post(`/configs/${name}/versions`, { text: JSON.stringify(document) }),
    );
    hashes.push(made.hash);
  }
  return hashes;
}
const pin = (caller: Caller, name: string, labels: object, version: number) =>
  caller.put(`/configs/${name}/pins`, { labels, version });

async function listen(caller: Caller, id: string, headers: Record<string, string> = {}) {
  const authorization = `Bearer ${caller.token}`;
  const url = `${server.url}/api/v1/instances/${id}/stream`;
  const reader = await EventReader.open(url, { authorization, ...headers });
  open.push(reader);
  return reader;
}

describe("instances", () => {
  test("register, say what they run, are listed, and go", async () => {
    const pat = await server.as({ tenant: "life" });
    const [first] = await config(pat, "limits", [{ a: 1 }, { a: 2 }]);
    const made = await pat.post("/instances", instance("web-1", { labels: { zone: "a" } }));
    assert.equal(made.status, 201, made.text);
    assert.deepEqual(
      [made.json.labels, made.json.configs, made.json.heartbeatSeconds],
      [{ zone: "a" }, [], 10],
    );
    await pat.ok(pin(pat, "limits", { zone: "a" }, 1));
    const again = await pat.ok(pat.post("/instances", instance("web-1", { labels: { zone: "a" } })));
    assert.equal(again.registeredAt, made.json.registeredAt);
    assert.deepEqual(
      again.configs.map(({ revision, ...rest }: { revision: number }) => [revision > 0, rest]),
      [[true, { config: "limits", version: 1, hash: first, deployment: null }]],
    );

    const beat = (body: object) => pat.ok(pat.post("/instances/web-1/heartbeat", body));
    const applied = (version: number | null, status = "applied", reason?: string) => ({
      applied: [{ config: "limits", version, status, ...(reason && { reason }) }],
    });
    assert.equal((await beat({})).configs[0].version, 1);
    const shown = async () => (await pat.ok(pat.get("/instances/web-1"))).configs[0];
    assert.deepEqual(await shown(), {
      ...{ config: "limits", desired: 1, running: null, appliedAt: null, status: "pending" },
    });
    await beat(applied(1));
    assert.deepEqual([(await shown()).running, (await shown()).status], [1, "applied"]);
    await pat.ok(pin(pat, "limits", { zone: "a" }, 2));
    await beat(applied(2, "rejected", "a is too large"));
    const refused = await shown();
    assert.deepEqual([refused.running, refused.desired, refused.status], [1, 2, "rejected"]);
    assert.deepEqual([refused.rejected.version, refused.rejected.reason], [2, "a is too large"]);
    await beat(applied(2));
    assert.deepEqual([(await shown()).status, (await shown()).rejected], ["applied", undefined]);

    await pat.ok(pat.post("/instances", { ...instance("api-1"), service: "api" }), 201);
    const ids = async (query: string) =>
      (await walk(pat, `/instances?${query}`, 1)).map(({ instanceId }) => instanceId).join();
    assert.equal(await ids(""), "api-1,web-1");
    assert.equal(await ids("service=checkout&environment=staging"), "web-1");
    assert.equal(await ids("config=limits&version=2"), "web-1");
    assert.equal(await ids("config=limits&version=1"), "");
    assert.equal(await ids("config=limits&status=rejected"), "");
    assert.equal(await ids("status=silent"), "");
    assertRefused(await pat.get("/instances?version=2"), 400, "validation_failed");

    assert.equal((await pat.delete("/instances/web-1?dryRun=true")).status, 204);
    assert.equal((await pat.delete("/instances/web-1")).status, 204);
    assertRefused(await pat.delete("/instances/web-1"), 404, "instance_not_found");
    assertRefused(await pat.post("/instances/web-1/heartbeat", {}), 404, "instance_not_found");
    assertRefused(await pat.get("/instances/web-1"), 404, "instance_not_found");
  });

  test("are spoken for by whoever may, within what a token is restricted to", async () => {
    const viewer = await server.as({ roles: ["viewer"] });
    assertRefused(await viewer.post("/instances", instance("no")), 403, "permission_denied");
    const service = await server.as({ roles: ["consumer"], attributes: { environment: "staging" } });
    await service.ok(service.post("/instances", instance("mine")), 201);
    await service.ok(service.post("/instances/mine/heartbeat", {}));
    assertRefused(
      await service.post("/instances", { ...instance("no"), environment: "production" }),
      403,
      "permission_denied",
    );
    await ann.ok(ann.post("/instances", { ...instance("prod"), environment: "production" }), 201);
    assertRefused(await service.post("/instances/prod/heartbeat", {}), 403, "permission_denied");
    assertRefused(await service.get("/instances/prod/configs/x"), 403, "permission_denied");
    const other = await server.as({ tenant: "elsewhere" });
    assertRefused(await other.post("/instances/mine/heartbeat", {}), 404, "instance_not_found");
  });

  test("are refused when there are too many, or what they say is not right", async () => {
    const pat = await server.as({ tenant: "full" });
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) => pat.post("/instances", instance(`n-${n}`))),
    );
    const codes = Map.groupBy(answers, ({ status, json }) => (status === 201 ? "ok" : json.code));
    assert.deepEqual([codes.get("ok")?.length, codes.get("instances_full")?.length], [30, 10]);
    const bad: [object, string][] = [
      [{ applied: [{ config: "c", version: 0, status: "applied" }] }, "/applied/0/version"],
      [{ applied: [{ config: "c", version: 1, status: "fine" }] }, "/applied/0/status"],
      [{ metrics: { requests: -1, errors: 0 } }, "/metrics/requests"],
      [{ metrics: { requests: 1 } }, "/metrics/errors"],
      [{ what: 1 }, "/what"],
    ];
    const { instanceId } = answers.find(({ status }) => status === 201)!.json;
    for (const [body, pointer] of bad) {
      const refused = await pat.post(`/instances/${instanceId}/heartbeat`, body);
      assertRefused(refused, 400, "validation_failed");
      assert.ok(
        refused.json.errors.some((error: { pointer: string }) => error.pointer === pointer),
        refused.text,
      );
    }
  });
});

describe("a stream", () => {
  test("tells of every change, and resumes by revision", async () => {
    const pat = await server.as({ tenant: "streams" });
    const [first, second] = await config(pat, "flags", [{ on: false }, { on: true }]);
    const large = { text: "x".repeat(2_000) };
    await config(pat, "texts", [large]);
    await pat.ok(pat.post("/instances", instance("s-1", { labels: { zone: "a" } })), 201);
    const reader = await listen(pat, "s-1");
    await pat.ok(pin(pat, "flags", { zone: "a" }, 1));
    const told = await reader.next();
    assert.deepEqual(
      { ...told.data, revision: String(told.data.revision) },
      {
        ...{ config: "flags", version: 1, hash: first, revision: told.id, deployment: null, format: "json" },
        value: { on: false },
      },
    );
    assert.ok(reader.retryMs! >= 500 && reader.retryMs! <= 3_000);

    await pat.ok(pin(pat, "texts", { zone: "a" }, 1));
    const notice = await reader.next();
    assert.deepEqual([notice.data.config, "value" in notice.data], ["texts", false]);
    const document = await pat.get("/instances/s-1/configs/texts");
    assert.deepEqual([document.json.value, document.json.version], [large, 1]);
    const etag = document.headers.get("etag")!;
    const same = await pat.get("/instances/s-1/configs/texts", { headers: { "if-none-match": etag } });
    assert.equal(same.status, 304);
    assertRefused(await pat.get("/instances/s-1/configs/none"), 404, "instance_config_not_found");
    assertRefused(await pat.get("/instances/s-1/configs/flags?version=2"), 404, "instance_config_not_found");

    reader.close();
    await pat.ok(pin(pat, "flags", { zone: "a" }, 2));
    const resumed = await listen(pat, "s-1", { "last-event-id": notice.id! });
    const missed = await resumed.next();
    assert.deepEqual([missed.data.config, missed.data.hash], ["flags", second]);
    const afresh = await listen(pat, "s-1");
    await resumed.ended();
    const all = [await afresh.next(), await afresh.next()].map(({ data }) => data.config);
    assert.deepEqual(all, ["texts", "flags"], "in order of revisions");

    await pat.ok(pat.delete("/configs/flags/pins?labels=zone%3Da"));
    const gone = await afresh.next();
    assert.deepEqual([gone.data.config, gone.data.version], ["flags", null]);
    assertRefused(await pat.delete("/configs/texts"), 409, "config_version_in_use");
    assert.equal((await pat.delete("/instances/s-1")).status, 204);
    await afresh.ended();
  });

  test("carries secrets in their places, to whoever may speak for the instance only", async () => {
    const pat = await server.as({ tenant: "secret" });
    await pat.ok(pat.put("/secrets/db", { value: "hunter2" }));
    await config(pat, "db", [{ password: { $secret: "db" }, url: "pg://u:$" + "{secret:db}@h" }]);
    await pat.ok(pat.post("/instances", instance("d-1", { labels: { zone: "a" } })), 201);
    await pat.ok(pin(pat, "db", { zone: "a" }, 1));
    const reader = await listen(pat, "d-1");
    const { data } = await reader.next();
    assert.deepEqual(data.value, { password: "hunter2", url: "pg://u:hunter2@h" });
    assert.doesNotMatch((await pat.get("/configs/db/versions/1")).text, /hunter2/);
    const viewer = await server.as({ tenant: "secret", roles: ["developer"] });
    assertRefused(await viewer.get("/instances/d-1/configs/db"), 403, "permission_denied");
  });
});

describe("a socket", () => {
  const dial = async (caller: Caller, id: string, query = "") => {
    const url = `${server.url}/api/v1/instances/${id}/socket${query}`;
    const socket = await InstanceSocket.open(url, caller.token);
    open.push(socket);
    return socket;
  };

  test("tells what a stream tells, and takes heartbeats, which are answered in their order", async () => {
    const pat = await server.as({ tenant: "sockets" });
    const [first, second] = await config(pat, "flags", [{ on: false }, { on: true }]);
    await config(pat, "texts", [{ text: "x".repeat(2_000) }]);
    await pat.ok(pat.post("/instances", instance("k-1", { labels: { zone: "a" } })), 201);
    const socket = await dial(pat, "k-1");
    const welcome = await socket.next("welcome");
    assert.ok(welcome.retryMs >= 500 && welcome.retryMs <= 3_000);
    await pat.ok(pin(pat, "flags", { zone: "a" }, 1));
    const { revision, ...told } = await socket.next("config");
    assert.deepEqual(told, {
      ...{ type: "config", config: "flags", version: 1, hash: first, deployment: null, format: "json" },
      value: { on: false },
    });
    await pat.ok(pin(pat, "texts", { zone: "a" }, 1));
    assert.equal("value" in (await socket.next("config")), false, "a large one is fetched");

    const applied = (version: number, status = "applied", more: object = {}) =>
      socket.say({ type: "heartbeat", applied: [{ config: "flags", version, status, ...more }] });
    applied(1);
    const answer = await socket.next("answer");
    assert.deepEqual(
      answer.configs.map(({ config, version }: { config: string; version: number }) => [config, version]),
      [
        ["flags", 1],
        ["texts", 1],
      ],
    );
    assert.deepEqual([answer.trials, answer.heartbeatSeconds], [[], 10]);
    const shown = async () => (await pat.ok(pat.get("/instances/k-1"))).configs[0];
    assert.deepEqual([(await shown()).running, (await shown()).status], [1, "applied"]);
    await pat.ok(pin(pat, "flags", { zone: "a" }, 2));
    applied(2, "rejected", { reason: "no" });
    applied(2);
    applied(1);
    for (let n = 0; n < 3; n++) await socket.next("answer");
    assert.deepEqual([(await shown()).running, (await shown()).status], [1, "pending"]);

    const report = (version: number) =>
      socket.say({ type: "report", applied: [{ config: "flags", version, status: "applied" }] });
    report(1); // not what it should run
    assert.equal((await socket.next("answer")).configs[0].version, 2);
    await pat.ok(pat.delete("/configs/texts/pins"));
    report(2); // nothing more to say to that, which the next answer shows
    socket.say({ type: "heartbeat" });
    assert.equal((await socket.next("answer")).configs.length, 1);
    assert.deepEqual([(await shown()).running, (await shown()).status], [2, "applied"]);

    const trial = await pat.ok(pat.post("/configs/flags/versions/2/trial", {}), 201);
    assert.equal((await socket.next("trial")).id, trial.id);
    socket.say({ type: "heartbeat" });
    assert.deepEqual((await socket.next("answer")).trials[0].id, trial.id);
    socket.say({ type: "heartbeat", trials: [{ id: trial.id, ok: true }] });
    assert.deepEqual((await socket.next("answer")).trials, []);

    socket.close();
    const resumed = await dial(pat, "k-1", `?since=${revision + 1}`);
    const missed = [await resumed.next("config"), await resumed.next("config")];
    assert.deepEqual(
      missed.map(({ config, hash }) => [config, hash]),
      [
        ["texts", null],
        ["flags", second],
      ],
      "behind what it knows",
    );
    const stream = await listen(pat, "k-1");
    assert.deepEqual(await resumed.ended(), { code: 1001, reason: "" }, "an instance has one");
    assert.ok(stream.isOpen);
  });

  test("is for whoever may speak for the instance, and ends with what it does not understand", async () => {
    const pat = await server.as({ tenant: "sockets" });
    await pat.ok(pat.post("/instances", instance("k-2")), 201);
    const refused = async (caller: Caller, id: string, query = "") => {
      const error = await dial(caller, id, query).then(
        () => undefined,
        ({ json }) => [json.status, json.code],
      );
      return error;
    };
    assert.deepEqual(await refused(pat, "none"), [404, "instance_not_found"]);
    assert.deepEqual(await refused(pat, "%zz"), [400, "validation_failed"]);
    assert.deepEqual(await refused(pat, "k-2", "?since=x"), [400, "validation_failed"]);
    assert.deepEqual(await refused(pat, "k-2", "?till=1"), [400, "validation_failed"]);
    const attributes = { environment: "production" };
    const elsewhere = await server.as({ tenant: "sockets", roles: ["consumer"], attributes });
    assert.deepEqual(await refused(elsewhere, "k-2"), [403, "permission_denied"]);
    const viewer = await server.as({ tenant: "sockets", roles: ["viewer"] });
    assert.deepEqual(await refused(viewer, "k-2"), [403, "permission_denied"]);
    assertRefused(await pat.get("/instances/k-2/socket"), 426, "upgrade_required");

    const bad: [unknown, string][] = [
      ["no json", ""],
      [{ type: "other" }, "/type"],
      [
        { type: "heartbeat", applied: [{ config: "c", version: 0, status: "applied" }] },
        "/applied/0/version",
      ],
      [
        {
          type: "heartbeat",
          applied: [{ config: "c", version: 1, status: "rejected", reason: "\0" }],
        },
        "/applied/0/reason",
      ],
    ];
    for (const [frame, pointer] of bad) {
      const socket = await dial(pat, "k-2");
      socket.say(frame);
      const { error } = await socket.next("error");
      assert.equal(error.code, "frame_invalid");
      assert.equal(error.errors?.[0]?.pointer ?? "", pointer);
      assert.deepEqual(await socket.ended(), { code: 4400, reason: "frame_invalid" });
    }
    const binary = await dial(pat, "k-2");
    binary.sendBytes(Buffer.from("{}"));
    assert.equal((await binary.ended()).code, 4400);

    const busy = await dial(pat, "k-2");
    for (let n = 0; n < 60; n++) busy.say({ type: "heartbeat" });
    assert.deepEqual(await busy.ended(), { code: 4429, reason: "rate_limited" });

    const gone = await dial(pat, "k-2");
    assert.equal((await pat.delete("/instances/k-2")).status, 204);
    assert.equal((await gone.ended()).code, 1001);
  });
});

describe("pins", () => {
  test("go by the most labels, are listed and taken away", async () => {
    const pat = await server.as({ tenant: "pins" });
    await config(pat, "c", [{ v: 1 }, { v: 2 }]);
    await pat.ok(pat.post("/instances", instance("p-1", { labels: { zone: "a", tier: "x" } })), 201);
    await pat.ok(pin(pat, "c", { zone: "a" }, 1));
    await pat.ok(pin(pat, "c", { zone: "a", tier: "x" }, 2));
    assert.deepEqual(
      (await pat.ok(pat.get("/configs/c/pins"))).items.map(({ version }: { version: number }) => version),
      [2, 1],
    );
    const desired = async () => (await pat.ok(pat.post("/instances/p-1/heartbeat", {}))).configs[0]?.version;
    assert.equal(await desired(), 2);
    await pat.ok(pat.delete("/configs/c/pins?labels=tier%3Dx,zone%3Da"));
    assert.equal(await desired(), 1);
    assertRefused(await pat.delete("/configs/c/pins?labels=tier%3Dx"), 404, "config_pin_not_found");
    assertRefused(await pat.delete("/configs/c/pins?labels=tier"), 400, "validation_failed");
    assertRefused(await pin(pat, "c", {}, 1), 400, "validation_failed");
    assertRefused(await pin(pat, "c", { zone: "a" }, 9), 404, "config_version_not_found");
    assertRefused(await pat.delete("/configs/c/versions/1"), 409, "config_version_in_use");
    await pat.ok(pat.delete("/configs/c/pins"));
    assert.equal(await desired(), undefined);
  });

  test("are no way around approval", async () => {
    const pat = await server.as({ tenant: "pins" });
    await config(pat, "prod", [{ v: 1 }], { environment: "production" });
    assertRefused(await pin(pat, "prod", { zone: "a" }, 1), 409, "config_version_unreleased");
    const developer = await server.as({ tenant: "pins", roles: ["developer"] });
    assertRefused(await pin(developer, "c", { zone: "a" }, 1), 403, "permission_denied");
  });
});

test("a trial asks live instances and shows what they say", async () => {
  const pat = await server.as({ tenant: "trial" });
  await config(pat, "c", [{ v: 1 }, { v: 2 }]);
  assertRefused(await pat.post("/configs/c/versions/2/trial", {}), 409, "config_trial_nobody");
  for (const id of ["t-1", "t-2", "t-3"]) await pat.ok(pat.post("/instances", instance(id)), 201);
  const reader = await listen(pat, "t-1");
  const trial = await pat.ok(pat.post("/configs/c/versions/2/trial", { instances: 3 }), 201);
  assert.deepEqual([trial.status, trial.asked, trial.silent.length], ["asking", 3, 3]);
  const { data } = await reader.next(({ event }) => event === "trial");
  assert.deepEqual([data.id, data.config, data.version, data.value], [trial.id, "c", 2, { v: 2 }]);
  const late = await listen(pat, "t-2");
  assert.equal((await late.next(({ event }) => event === "trial")).data.id, trial.id);
  const document = await pat.ok(pat.get("/instances/t-3/configs/c?version=2"));
  assert.deepEqual(document.value, { v: 2 });
  const asked = await pat.ok(pat.post("/instances/t-3/heartbeat", {}));
  assert.deepEqual(
    asked.trials.map(({ id }: { id: string }) => id),
    [trial.id],
  );

  const answer = (id: string, ok: boolean, reason?: string) =>
    pat.ok(
      pat.post(`/instances/${id}/heartbeat`, { trials: [{ id: trial.id, ok, ...(reason && { reason }) }] }),
    );
  assert.deepEqual((await answer("t-3", true)).trials, []);
  await answer("t-1", false, "v must be 1");
  const shown = async () => (await pat.ok(pat.get("/configs/c/versions/2/trials"))).items[0];
  const half = await shown();
  assert.deepEqual([half.status, half.accepted, half.rejected, half.silent], ["asking", 1, 1, ["t-2"]]);
  assert.equal(
    half.answers.find(({ instanceId }: { instanceId: string }) => instanceId === "t-1").reason,
    "v must be 1",
  );
  await answer("t-2", true);
  assert.equal((await shown()).status, "done");
});

test("a draft is tried as it was saved, and what was said of it is said of the version that it becomes", async () => {
  const pat = await server.as({ tenant: "tried" });
  await config(pat, "c", [{ v: 1 }]);
  await pat.ok(pat.post("/instances", instance("t-1")), 201);
  assertRefused(await pat.post("/configs/c/draft/trial", {}), 404, "config_draft_not_found");
  const save = (text: string) => pat.ok(pat.put("/configs/c/draft", { text }));
  await save("{ not json");
  assertRefused(await pat.post("/configs/c/draft/trial", {}), 422, "config_invalid");
  const large = { v: "x".repeat(2_000) };
  await save(JSON.stringify(large));
  const reader = await listen(pat, "t-1");
  const trial = await pat.ok(pat.post("/configs/c/draft/trial", {}), 201);
  assert.deepEqual([trial.version, trial.draft], [null, { author: "ann", revision: 2 }]);
  await save(JSON.stringify({ v: 3 }));
  const { data } = await reader.next(({ event }) => event === "trial");
  assert.deepEqual(
    [data.id, data.version, data.value],
    [trial.id, null, undefined],
    "too large for an event",
  );
  const document = await pat.ok(pat.get(`/instances/t-1/configs/c?trial=${trial.id}`));
  assert.deepEqual([document.version, document.value, document.hash], [null, large, data.hash]);
  assertRefused(await pat.get("/instances/t-1/configs/c?trial=none"), 404, "instance_config_not_found");
  const said = [{ id: trial.id, ok: false, reason: "v must be a number" }];
  await pat.ok(pat.post("/instances/t-1/heartbeat", { trials: said }));
  const [mine] = (await pat.ok(pat.get("/configs/c/draft/trials"))).items;
  assert.deepEqual([mine.status, mine.rejected, mine.answers[0].reason], ["done", 1, "v must be a number"]);
  const other = await server.as({ tenant: "tried", subject: "someone" });
  assert.deepEqual((await other.ok(other.get("/configs/c/draft/trials"))).items, []);
  const made = await pat.ok(pat.post("/configs/c/versions", { text: JSON.stringify(large) }));
  const [ofVersion] = (await other.ok(other.get(`/configs/c/versions/${made.version}/trials`))).items;
  assert.equal(ofVersion.id, trial.id);
});
