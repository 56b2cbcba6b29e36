/** Feature flags as users have them: OFREP of a real server, and our provider inside of the real OpenFeature SDK. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature, ProviderEvents } from "@openfeature/server-sdk";
import {
  ProviderEvents as WebEvents,
  OpenFeature as WebFeatures,
  type Provider as WebProvider,
} from "@openfeature/web-sdk";
import { EventSource } from "undici";
import { connect } from "../../client/src/node.ts";
import { checkFlags, HotSwapProvider } from "../../client/src/openfeature.ts";
import { assertRefused } from "../messaging/calls.ts";
import { type Caller, TestServer } from "../server.ts";
import { EventReader } from "./stream.ts";

let server: TestServer;
let ann: Caller;
const flags = (color: string) => ({
  flags: {
    color: {
      ...{ state: "ENABLED", variants: { red: "#f00", blue: "#00f" }, defaultVariant: color },
      targeting: { if: [{ ends_with: [{ var: "email" }, "@red.test"] }, "red"] },
      metadata: { team: "shop" },
    },
    limit: { state: "ENABLED", variants: { low: 1, high: 10 }, defaultVariant: "low" },
    off: { state: "DISABLED", variants: { on: true }, defaultVariant: "on" },
    broken: { state: "ENABLED", variants: { a: 1 }, defaultVariant: "a", targeting: { nothing: [] } },
  },
});
const place = { service: "shop", environment: "staging" };

before(async () => {
  server = await TestServer.start();
  ann = await server.as();
  await ann.ok(ann.post("/configs", { name: "flags", ...place, format: "json" }), 201);
  for (const color of ["blue", "red"]) {
    await ann.ok(ann.post("/configs/flags/versions", { text: JSON.stringify(flags(color)) }));
  }
});
after(() => server?.remove());

async function deploy(config: string, version: number): Promise<void> {
  const body = { kind: "config", config, version, strategy: "direct" };
  await ann.ok(ann.post("/deployments", body), 201);
  while ((await ann.ok(ann.get(`/configs/${config}`))).currentVersion !== version) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("OpenFeature's SDK evaluates by our provider, and hears of changes", async () => {
  const hotswap = connect({ url: server.url, token: ann.token });
  await ann.ok(ann.put("/configs/flags/pins", { labels: { zone: "a" }, version: 1 }));
  const watcher = await hotswap.configuration({
    ...{ instanceId: "web-1", ...place, labels: { zone: "a" } },
    validate: checkFlags,
  });
  await OpenFeature.setProviderAndWait(new HotSwapProvider(watcher, { config: "flags" }));
  const client = OpenFeature.getClient();
  const details = await client.getStringDetails("color", "none", { email: "a@red.test" });
  assert.deepEqual(
    [details.value, details.variant, details.reason, details.flagMetadata],
    ["#f00", "red", "TARGETING_MATCH", { team: "shop" }],
  );
  assert.equal(await client.getStringValue("color", "none", { email: "a@x" }), "#00f");
  assert.equal(await client.getNumberValue("limit", 5), 1);
  const disabled = await client.getBooleanDetails("off", false);
  assert.deepEqual([disabled.value, disabled.reason], [false, "DISABLED"]);
  const codes = await Promise.all([
    client.getBooleanDetails("color", true),
    client.getBooleanDetails("none", true),
    client.getNumberDetails("broken", 5),
  ]);
  assert.deepEqual(
    codes.map(({ errorCode, value }) => [errorCode, value]),
    [
      ["TYPE_MISMATCH", true],
      ["FLAG_NOT_FOUND", true],
      ["PARSE_ERROR", 5],
    ],
  );
  const changed = new Promise<readonly string[] | undefined>((resolve) => {
    client.addHandler(ProviderEvents.ConfigurationChanged, (event) =>
      resolve(event?.flagsChanged?.toSorted()),
    );
  });
  await ann.ok(ann.put("/configs/flags/pins", { labels: { zone: "a" }, version: 2 }));
  assert.deepEqual(await changed, ["broken", "color", "limit", "off"]);
  assert.equal(await client.getStringValue("color", "none"), "#f00");
  await OpenFeature.close();
  await watcher.close();
  hotswap.close();
});

test("OFREP evaluates one flag or all of them, by the configuration that is in force", async () => {
  const call = (path: string, context?: object, headers: Record<string, string> = {}) =>
    ann.post(`//ofrep/v1/evaluate/flags${path}`, context ? { context } : {}, { headers });
  const none = await call("/color");
  assertRefused(none, 404, "config_not_found");
  assert.equal(none.json.errorCode, "GENERAL");
  await deploy("flags", 1);
  const one = await ann.ok(call("/color", { targetingKey: "ann", email: "a@red.test" }));
  assert.deepEqual(one, {
    ...{ key: "color", value: "#f00", variant: "red", reason: "TARGETING_MATCH" },
    metadata: { config: "flags", version: 1, team: "shop" },
  });
  const absent = await call("/none", {});
  assertRefused(absent, 404, "flag_not_found");
  assert.deepEqual([absent.json.key, absent.json.errorCode], ["none", "FLAG_NOT_FOUND"]);
  const broken = await call("/broken", {});
  assertRefused(broken, 400, "flag_evaluation_failed");
  assert.deepEqual([broken.json.key, broken.json.errorCode], ["broken", "PARSE_ERROR"]);

  const all = await call("", { targetingKey: "ann" });
  const shown = all.json.flags.map((flag: Record<string, unknown>) => [
    flag.key,
    flag.value ?? flag.errorCode,
  ]);
  assert.deepEqual(
    new Map<unknown, unknown>(shown),
    new Map<unknown, unknown>([
      ["color", "#00f"],
      ["limit", 1],
      ["off", undefined],
      ["broken", "PARSE_ERROR"],
    ]),
  );
  const etag = all.headers.get("etag")!;
  assert.equal((await call("", { targetingKey: "ann" }, { "if-none-match": etag })).status, 304);
  assert.equal((await call("", { targetingKey: "bob" }, { "if-none-match": etag })).status, 200);

  await ann.ok(ann.post("/configs", { name: "other", ...place, format: "json" }), 201);
  await ann.ok(ann.post("/configs/other/versions", { text: "{}" }));
  await deploy("other", 1);
  assertRefused(await call("", {}, { "x-hotswap-config": "other" }), 400, "config_holds_no_flags");
  const restricted = await server.as({ roles: ["consumer"], attributes: { environment: "production" } });
  assertRefused(await restricted.post("//ofrep/v1/evaluate/flags", {}), 403, "permission_denied");

  const byKey = (path: string, key: string) => {
    const headers = { "x-api-key": key, "content-type": "application/json" };
    return fetch(`${server.url}${path}`, { method: "POST", headers, body: "{}" });
  };
  assert.equal((await byKey("/ofrep/v1/evaluate/flags/color", ann.token!)).status, 200);
  assert.equal((await byKey("/ofrep/v1/evaluate/flags/color", "no-token")).status, 401);
  assert.equal((await byKey("/api/v1/configs", ann.token!)).status, 401, "elsewhere it counts for nothing");
});

test("a page's provider of OFREP is told of changes, and need not poll", async () => {
  globalThis.EventSource ??= EventSource as unknown as typeof globalThis.EventSource; // as a page has it
  const authorization: [string, string] = ["authorization", `Bearer ${ann.token}`];
  const provider = new OFREPWebProvider({
    baseUrl: server.url,
    headers: [authorization],
    cacheMode: "disabled",
  });
  await WebFeatures.setContext({ targetingKey: "ann" });
  await WebFeatures.setProviderAndWait(provider as WebProvider); // its types know no exact optionals
  const client = WebFeatures.getClient();
  assert.equal(client.getStringValue("color", "none"), "#00f");
  const changed = new Promise<void>((resolve) => {
    client.addHandler(WebEvents.ConfigurationChanged, () => {
      if (client.getStringValue("color", "none") === "#f00") resolve();
    });
  });
  await deploy("flags", 2);
  await changed;
  await WebFeatures.close();
});

test("an event stream of OFREP goes on behind what was heard, for whoever has its ticket", async () => {
  const all = await ann.ok(ann.post("//ofrep/v1/evaluate/flags", {}));
  const [{ type, endpoint }] = all.eventStreams;
  assert.equal(type, "sse");
  const again = await ann.ok(ann.post("//ofrep/v1/evaluate/flags", { context: { targetingKey: "bob" } }));
  assert.deepEqual(again.eventStreams, all.eventStreams, "a provider keeps its connection");
  const listen = (headers: Record<string, string> = {}) =>
    EventReader.open(server.url + endpoint.requestUri, headers);
  const first = await listen();
  const { event, id, data } = await first.next();
  assert.deepEqual([event, data], ["message", { type: "refetchEvaluation", etag: id }]);
  const resumed = await listen({ "last-event-id": id! });
  await deploy("flags", 1);
  const next = await resumed.next();
  assert.ok(Number(next.id) > Number(id), "what it had heard of is not told again");
  const asked = `//ofrep/v1/evaluate/flags?flagConfigEtag=${next.id}&flagConfigLastModified=1771622898`;
  assert.equal((await ann.post(asked, {})).status, 200);
  assertRefused(await ann.post("//ofrep/v1/evaluate/flags?flagConfig=1", {}), 400, "validation_failed");
  for (const reader of [first, resumed]) reader.close();

  const at = async (path: string) => {
    const answer = await fetch(server.url + path);
    return [answer.status, ((await answer.json()) as { code: string }).code];
  };
  const ticket = new URLSearchParams(endpoint.requestUri.split("?")[1]).get("ticket")!;
  assert.deepEqual(await at(`/ofrep/v1/events?ticket=${ticket.slice(0, -2)}xx`), [401, "token_invalid"]);
  const [facts, signature] = ticket.split(".") as [string, string];
  const others = Buffer.from(facts, "base64url").toString().replace("flags", "other");
  const forged = `${Buffer.from(others).toString("base64url")}.${signature}`;
  assert.deepEqual(await at(`/ofrep/v1/events?ticket=${forged}`), [401, "token_invalid"]);
  assert.deepEqual(await at("/ofrep/v1/events"), [401, "token_missing"]);
  assert.deepEqual(await at(`/api/v1/configs?ticket=${ticket}`), [401, "token_missing"]);
  const elsewhere = await server.as({ tenant: "elsewhere" });
  assertRefused(await elsewhere.get(`/${endpoint.requestUri}`), 401, "token_invalid");
});
