import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { HotSwapError } from "../../core/errors.ts";
import { entryOf, flagOf, settingNames, variableOf } from "./schema.ts";
import { type LoadOptions, loadSettings } from "./settings.ts";

const masterKey = Buffer.alloc(32, 7).toString("base64");

async function folder(t: { after(work: () => Promise<void>): void }, files: Record<string, string> = {}) {
  const cwd = await mkdtemp(join(tmpdir(), "hotswap-settings-"));
  t.after(() => rm(cwd, { recursive: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(cwd, name), content);
  return cwd;
}

const load = (options: Partial<LoadOptions>) => loadSettings({ mode: "development", env: {}, ...options });

async function refusal(options: Partial<LoadOptions>): Promise<HotSwapError> {
  const error = await load(options).then(
    () => assert.fail("the settings were accepted"),
    (thrown: unknown) => thrown,
  );
  assert(error instanceof HotSwapError, String(error));
  return error;
}

test("without anything given, every default holds and is itself allowed", async (t) => {
  const cwd = await folder(t);
  const { settings, describe } = await load({ cwd });
  assert.equal(settings.http.port, 7070);
  assert.equal(settings.data.folder, join(cwd, ".hotswap"));
  assert.equal(settings.secrets.masterKey, undefined);
  assert.deepEqual(settings.http.corsOrigins, []);
  assert(describe().every(({ source }) => source.from === "default"));
  for (const name of settingNames) {
    const { kind, default: preset } = entryOf(name);
    if (preset !== undefined) assert.notEqual(kind.read(preset, cwd), undefined, name);
  }
});

test("a flag goes before the environment, which goes before the file, which goes before the default", async (t) => {
  const cwd = await folder(t, {
    "hotswap.yaml": "http:\n  port: 1001\n  host: file.example\nsql: {poolSize: 3}\n",
  });
  const env = { HOTSWAP_HTTP_PORT: "1002", HOTSWAP_HTTP_HOST: "environment.example" };
  const { settings, describe } = await load({ cwd, env, flags: { port: "1003" } });
  assert.equal(settings.http.port, 1003);
  assert.equal(settings.http.host, "environment.example");
  assert.equal(settings.sql.poolSize, 3);
  const source = (name: string) => describe().find((row) => row.name === name)?.source;
  assert.deepEqual(source("http.port"), { from: "flag", name: "--port" });
  assert.deepEqual(source("http.host"), { from: "environment", name: "HOTSWAP_HTTP_HOST" });
  assert.deepEqual(source("sql.poolSize"), { from: "file", name: "hotswap.yaml" });
  assert.deepEqual(source("sql.url"), { from: "default", name: "default" });
});

test("the file may be JSON and may have another name, but then it must be there", async (t) => {
  const cwd = await folder(t, {
    "other.json": '{"http": {"port": 0, "corsOrigins": ["https://a.example"]}}',
  });
  const { settings } = await load({ cwd, configFile: "other.json" });
  assert.equal(settings.http.port, 0);
  assert.deepEqual(settings.http.corsOrigins, ["https://a.example"]);
  assert.equal((await load({ cwd, env: { HOTSWAP_CONFIG: "other.json" } })).settings.http.port, 0);
  const missing = await refusal({ cwd, configFile: "missing.yaml" });
  assert.deepEqual(missing.fields, [{ pointer: "missing.yaml", message: "cannot be read" }]);
});

test("all problems are reported at once, each with its source and what is allowed", async (t) => {
  const cwd = await folder(t, {
    "hotswap.yaml": "http: {prot: 1, jsonDepthLimit: deep}\nmesaging: {batchMax: 2}\n",
  });
  const error = await refusal({
    cwd,
    env: { HOTSWAP_HTTP_PORT: "70000", HOTSWAP_SQLL: "x" },
    flags: { hots: "x", kv: "memcached://x" },
  });
  assert.equal(error.code, "setting_invalid");
  const byPointer = Object.fromEntries(error.fields.map(({ pointer, message }) => [pointer, message]));
  assert.match(byPointer["http.prot"]!, /in hotswap\.yaml is not a setting; did you mean http\.port\?/);
  assert.match(byPointer.mesaging!, /did you mean messaging\?/);
  assert.match(byPointer.HOTSWAP_SQLL!, /did you mean HOTSWAP_SQL\?/);
  assert.match(byPointer["--hots"]!, /did you mean --host\?/);
  assert.equal(
    byPointer["http.port"],
    '"70000" from HOTSWAP_HTTP_PORT is not a whole number from 0 to 65535',
  );
  assert.match(
    byPointer["http.jsonDepthLimit"]!,
    /"deep" from hotswap\.yaml is not a whole number from 1 to 1000/,
  );
  assert.match(
    byPointer["kv.url"]!,
    /"memcached:\/\/x" from --kv is not `memory` or redis:\/\/… or rediss:\/\/…/,
  );
  assert.equal(error.fields.length, 7);
  assert.equal(error.message.split("\n").length, 7);
});

test("production names the secret that development does without, and says how to set it", async (t) => {
  const cwd = await folder(t);
  const error = await refusal({ cwd, mode: "production" });
  assert.equal(error.code, "setting_missing");
  assert.deepEqual(
    error.fields.map(({ pointer }) => pointer),
    settingNames.filter((name) => entryOf(name).requiredInProduction),
  );
  assert.match(
    error.message,
    /secrets\.masterKey: is needed in production; set HOTSWAP_SECRETS_MASTER_KEY or /,
  );
  assert.match(error.message, /openssl rand -base64 32/);
  const { settings } = await load({
    cwd,
    mode: "production",
    env: { HOTSWAP_SECRETS_MASTER_KEY: masterKey },
  });
  assert.equal(settings.secrets.masterKey, masterKey);
});

test("a secret may come from a file, but not from both places or by flag", async (t) => {
  const cwd = await folder(t, { key: `${masterKey}\n` });
  const env = { HOTSWAP_SECRETS_MASTER_KEY_FILE: join(cwd, "key") };
  assert.equal((await load({ cwd, env })).settings.secrets.masterKey, masterKey);
  const twice = await refusal({ cwd, env: { ...env, HOTSWAP_SECRETS_MASTER_KEY: masterKey } });
  assert.match(twice.message, /given twice/);
  const unreadable = await refusal({ cwd, env: { HOTSWAP_SECRETS_MASTER_KEY_FILE: join(cwd, "none") } });
  assert.match(unreadable.message, /cannot be read/);
  assert.match((await refusal({ cwd, flags: { "secrets-master-key": masterKey } })).message, /is not a flag/);
  // _FILE is for secrets only.
  assert.match((await refusal({ cwd, env: { HOTSWAP_HTTP_HOST_FILE: "x" } })).message, /is not a variable/);
});

test("no message and no description shows a secret or a password", async (t) => {
  const cwd = await folder(t, {
    "hotswap.yaml": "approvals: {webhookSecret: hunter2, webhookUrl: https://u:hunter2@h/}",
  });
  const invalid = await refusal({
    cwd,
    env: { HOTSWAP_SQL: "mysql://u:hunter2@h/d", HOTSWAP_SECRETS_MASTER_KEY: "hunter2" },
  });
  assert.equal(invalid.fields.length, 3);
  assert.doesNotMatch(JSON.stringify(invalid.fields) + invalid.message, /hunter2/);

  const broken = await folder(t, {
    "hotswap.yaml": 'secrets:\n  masterKey: "hunter2\n   hunter2: : [hunter2',
  });
  const unparsed = await refusal({ cwd: broken });
  assert.match(unparsed.message, /hotswap\.yaml: line \d+, column \d+/);
  assert.doesNotMatch(unparsed.message, /hunter2/);

  const empty = await folder(t);
  const env = {
    HOTSWAP_SQL: "postgres://u:hunter2@h/d?password=hunter2",
    HOTSWAP_SECRETS_MASTER_KEY: masterKey,
  };
  const { describe } = await load({ cwd: empty, env });
  assert.doesNotMatch(JSON.stringify(describe()), new RegExp(`hunter2|${masterKey.slice(0, 8)}`));
  const value = (name: string) => describe().find((row) => row.name === name)?.value;
  assert.equal(value("sql.url"), "postgres://u:***@h/d?password=***");
  assert.equal(value("secrets.masterKey"), "***");
});

test("settings that need one another are checked together", async (t) => {
  const cwd = await folder(t);
  const alone = await refusal({ cwd, env: { HOTSWAP_APPROVALS_WEBHOOK_URL: "https://h.example/" } });
  assert.equal(alone.code, "setting_missing");
  assert.match(
    alone.message,
    /^approvals\.webhookSecret: is needed with approvals\.webhookUrl; set HOTSWAP_APPROVALS_/,
  );
  const flags = { "http-headers-timeout-ms": "20s", "http-request-timeout-ms": "10s" };
  assert.match(
    (await refusal({ cwd, flags })).message,
    /headersTimeoutMs: is 20000 and may not be larger than/,
  );
});

test("what is not ours in the environment is left alone, and an empty variable counts as not set", async (t) => {
  const cwd = await folder(t);
  const kubernetes = {
    HOTSWAP_SERVICE_HOST: "10.0.0.1",
    HOTSWAP_SERVICE_PORT: "80",
    HOTSWAP_SERVICE_PORT_HTTP: "80",
    HOTSWAP_PORT: "tcp://10.0.0.1:80",
    HOTSWAP_PORT_80_TCP: "tcp://10.0.0.1:80",
    HOTSWAP_PORT_80_TCP_ADDR: "10.0.0.1",
    HOTSWAP_REDIS_PORT_6379_TCP_PROTO: "tcp",
  };
  const { settings } = await load({ cwd, env: { ...kubernetes, HOTSWAP_HTTP_PORT: "", PATH: "/bin" } });
  assert.equal(settings.http.port, 7070);
});

test("a file of the wrong shape is refused, not half read", async (t) => {
  const cases: Record<string, RegExp> = {
    "- 1": /must hold settings by group/,
    "http: 7070": /http: in hotswap\.yaml must hold settings/,
    "http: {port: }": /http\.port: in hotswap\.yaml has no value/,
    "http: {port: 1}\nhttp: {port: 2}": /line 2, column 1: duplicate key/,
    "http: {port: [1]}": /\[1\] from hotswap\.yaml is not a whole number/,
    "a: &a [x, x]\nb: &b [*a, *a]\nhttp: *none": /alias/,
    "__proto__: {port: 1}": /__proto__: in hotswap\.yaml is not a group/,
  };
  for (const [content, message] of Object.entries(cases)) {
    const cwd = await folder(t, { "hotswap.yaml": content });
    assert.match((await refusal({ cwd })).message, message, content);
  }
  const blank = await folder(t, { "hotswap.yaml": "# nothing yet\n" });
  assert.equal((await load({ cwd: blank })).settings.http.port, 7070);
});

test("the result cannot be changed", async (t) => {
  const { settings } = await load({
    cwd: await folder(t),
    env: { HOTSWAP_HTTP_CORS_ORIGINS: "http://a.example,http://b.example" },
  });
  assert.throws(() => Object.assign(settings.http, { port: 1 }), TypeError);
  assert.throws(() => Object.assign(settings, { http: {} }), TypeError);
  assert.throws(() => (settings.http.corsOrigins as string[]).push("http://c.example"), TypeError);
});

test("the type of the settings follows the schema", async (t) => {
  const { settings } = await load({ cwd: await folder(t) });
  const port: number = settings.http.port;
  const level: "debug" | "info" | "warn" | "error" | "silent" = settings.telemetry.logLevel;
  // @ts-expect-error a setting without a default may be undefined
  const key: string = settings.secrets.masterKey;
  // @ts-expect-error there is no such setting
  const none = settings.http.prot;
  assert.deepEqual([port, level, key, none], [7070, "info", undefined, undefined]);
});

test("names, variables and flags are unique, and a unit ends the name", () => {
  for (const list of [
    settingNames,
    settingNames.map(variableOf),
    settingNames.map(flagOf).filter((flag) => flag),
  ]) {
    assert.equal(new Set(list).size, list.length);
  }
  const endings: Record<string, RegExp> = {
    milliseconds: /Ms$/,
    seconds: /Seconds$/,
    bytes: /Bytes(Max)?$/,
    days: /Days$/,
  };
  for (const name of settingNames) {
    const { unit } = entryOf(name).kind;
    assert.match(name, /^[a-z]+\.[a-z][A-Za-z]+$/);
    if (unit) assert.match(name, endings[unit]!);
    assert.match(variableOf(name), /^HOTSWAP_[A-Z]+(_[A-Z]+)*$/);
    for (const other of [entryOf(name).requiredWith, entryOf(name).atMost]) {
      if (other) assert((settingNames as string[]).includes(other), `${name} refers to ${other}`);
    }
  }
  assert.equal(variableOf("http.bodyLimitBytes"), "HOTSWAP_HTTP_BODY_LIMIT_BYTES");
  assert.equal(flagOf("http.bodyLimitBytes"), "http-body-limit-bytes");
  assert.deepEqual((["sql.url", "kv.url", "log.url", "blob.url", "secrets.url"] as const).map(variableOf), [
    "HOTSWAP_SQL",
    "HOTSWAP_KV",
    "HOTSWAP_LOG",
    "HOTSWAP_BLOB",
    "HOTSWAP_SECRETS",
  ]);
});

test("numbers take the suffixes of their unit and nothing else", () => {
  const body = entryOf("http.bodyLimitBytes").kind;
  const timeout = entryOf("http.requestTimeoutMs").kind;
  const lifetime = entryOf("auth.tokenTtlSeconds").kind;
  assert.equal(body.read("2 MiB", ""), 2 * 1024 * 1024);
  assert.equal(timeout.read("5m", ""), 300_000);
  assert.equal(lifetime.read("1d", ""), 86_400);
  assert.equal(lifetime.read(90, ""), 90);
  const refused = [
    "5x",
    "-5s",
    "5.5s",
    "1e6",
    "0x10",
    "",
    " ",
    "5ss",
    "1d",
    5.5,
    Number.NaN,
    true,
    [5000],
    {},
  ];
  for (const raw of refused) assert.equal(timeout.read(raw, ""), undefined, String(raw));
});

test("property: whatever is given, loading succeeds or answers with a catalogue error", async (t) => {
  const cwd = await folder(t);
  const variables = fc.dictionary(fc.constantFrom(...settingNames.map(variableOf)), fc.string(), {
    maxKeys: 5,
  });
  await fc.assert(
    fc.asyncProperty(
      variables,
      fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }),
      async (env, flags) => {
        await load({ cwd, env, flags }).catch((error) =>
          assert(error instanceof HotSwapError, String(error)),
        );
      },
    ),
    { numRuns: 200 },
  );
});
