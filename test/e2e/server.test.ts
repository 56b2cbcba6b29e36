/** Starting, finding and ending a server, as a person or a supervisor does it. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile, realpath, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type ConnectionOptions, connect } from "node:tls";
import { makeCertificate, root } from "../../src/gateway/proxy/certificate.testing.ts";
import { processesOn } from "../../src/stores/sql/embedded/orphans.ts";
import { eventually, startBackend } from "../gateway/backends.ts";
import {
  type Folder,
  hotswap,
  Server,
  serverFolder,
  spawnHotswap,
  temporaryFolder,
  type Variables,
} from "./hotswap.ts";
import { type OidcIssuer, startIssuer } from "./issuer.ts";

const masterKey = Buffer.alloc(32, 7).toString("base64");

suite("hotswap dev", () => {
  test("says on its first line where it is, leaves a marker, drains on SIGTERM and exits 0", async () => {
    await using folder = await temporaryFolder();
    await using server = await Server.start({ data: folder.path });
    const { api, console: page, token, mode } = server.facts;
    assert.match(api, /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.equal(page, `${api}/#token=${token}`);
    assert.equal(mode, "development");
    const marker = `${folder.path}/server.json`;
    assert.equal((await stat(marker)).mode & 0o777, 0o600);
    const { stdout } = await hotswap(["topic", "create", "orders", "--json"], server.env);
    assert.equal(JSON.parse(stdout).name, "orders");

    const authorization = `Bearer ${token}`;
    const waiting = fetch(`${api}/api/v1/messages/consume/orders?wait=30`, { headers: { authorization } });
    const busy = await fetch(`${api}/api/v1/topics`, { headers: { authorization } });
    assert.equal(busy.status, 200);
    assert.equal(await server.stop(), 0);
    assert.ok([200, 503].includes((await waiting).status), "the request that waited got an answer");
    assert.equal(existsSync(marker), false);
  });

  test("its screen is at most twelve lines and names the next step", async () => {
    await using folder = await serverFolder();
    const child = spawnHotswap(["dev", "--data", folder.path, "--port", "0"]);
    let text = "";
    child.stdout.setEncoding("utf8");
    for await (const part of child.stdout) {
      text += part;
      if (/pub orders.*\n/.test(text)) break;
    }
    child.kill("SIGTERM");
    await once(child, "close");
    assert.ok(text.trimEnd().split("\n").length <= 12, text);
    for (const word of [
      "ready in",
      "Console",
      "API",
      "/docs",
      "/openapi.json",
      "Metrics",
      "Data",
      "Token",
      "Next",
    ]) {
      assert.ok(text.includes(word), word);
    }
    assert.ok(!text.includes("\x1b"), "no colours where there is no terminal");
  });

  test("a port that is taken is named with its owner, before anything else is touched", async () => {
    await using folder = await temporaryFolder();
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const data = `${folder.path}/data`;
    const { code, stdout, stderr } = await hotswap(["dev", "--data", data, "--port", String(port)]);
    taken.close();
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, new RegExp(`^hotswap: port_in_use: 127\\.0\\.0\\.1:${port} is taken`));
    if (process.platform === "linux") assert.ok(stderr.includes(`by process ${process.pid} (`), stderr);
    assert.match(stderr, /--port/);
    assert.equal(existsSync(data), false);
  });

  test("a second server on the same folder is refused and leaves the first alone", async () => {
    await using folder = await serverFolder();
    await using server = await Server.start({ data: folder.path });
    const { code, stderr } = await hotswap(["dev", "--data", folder.path, "--port", "0"]);
    assert.equal(code, 1);
    assert.match(stderr, /^hotswap: data_folder_in_use: .*process \d+/);
    assert.equal((await hotswap(["status"], server.env)).code, 0);
    assert.equal(existsSync(`${folder.path}/server.json`), true);
  });

  test("after kill -9 nothing of it runs on, and it starts again", async () => {
    await using folder = await serverFolder();
    const data = await realpath(folder.path);
    const server = await Server.start({ data });
    await hotswap(["topic", "create", "orders"], server.env);
    assert.ok((await processesOn(`${data}/postgres`)).length > 0, "the database's processes are not seen");
    await server.kill();
    while ((await processesOn(`${data}/postgres`)).length > 0) await sleep(20); // the test's time-out ends it
    await using again = await Server.start({ data });
    const { stdout } = await hotswap(["topic", "list", "--json"], again.env);
    assert.deepEqual(
      JSON.parse(stdout).map(({ name }: { name: string }) => name),
      ["orders"],
    );
  });
});

suite("hotswap start", () => {
  const env: Variables = { HOTSWAP_SECRETS_MASTER_KEY: masterKey };
  let folder: Folder;
  let data: string;
  let certificates: Folder;
  let issuer: OidcIssuer;
  let development: Server;
  let server: Server;
  before(async () => {
    [folder, certificates, issuer] = [await serverFolder(), await temporaryFolder(), await startIssuer()];
    data = folder.path;
    development = await Server.start({ data, env });
    assert.equal(await development.stop(), 0);
    for (const name of ["a.example", "b.example"]) await writeCertificate(certificates.path, name);
    await writeFile(`${certificates.path}/client-ca.pem`, root);
    const gateway = {
      HOTSWAP_GATEWAY_TLS_PORT: "0",
      HOTSWAP_GATEWAY_TLS_FOLDER: certificates.path,
      HOTSWAP_GATEWAY_TLS_CLIENT_CERTIFICATES: "required",
      HOTSWAP_GATEWAY_ACCESS_LOG: "file",
      HOTSWAP_GATEWAY_ACCESS_LOG_FORMAT: "combined",
      HOTSWAP_AUTH_ISSUER_URL: issuer.url,
    };
    server = await Server.start({ data, command: "start", env: { ...env, ...gateway } });
  });
  after(async () => {
    await server?.kill();
    for (const one of [issuer, folder, certificates]) await one?.[Symbol.asyncDispose]();
  });

  test("without a master key it refuses, names the setting, and makes nothing", async () => {
    await using folder = await temporaryFolder();
    const data = `${folder.path}/data`;
    const { code, stdout, stderr } = await hotswap(["start", "--data", data, "--port", "0"]);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^hotswap: setting_missing: secrets\.masterKey: .*HOTSWAP_SECRETS_MASTER_KEY/);
    assert.equal(existsSync(data), false);
  });

  test("it prints no token, takes none of development, and those that `hotswap token` makes", async () => {
    assert.equal(server.facts.mode, "production");
    assert.equal(server.facts.token, undefined);

    const HOTSWAP_URL = server.facts.api;
    const refused = await hotswap(["status"], { HOTSWAP_URL, HOTSWAP_TOKEN: development.facts.token });
    assert.match(refused.stderr, /^hotswap: token_invalid/);
    const none = await hotswap(["status", "--data", data], env);
    assert.match(none.stderr, /^hotswap: token_missing/, "no token is made for a person unasked");

    const made = await hotswap(["token", "--role", "viewer", "--data", data, "--json"], env);
    const { token, mode } = JSON.parse(made.stdout);
    assert.equal(mode, "production");
    const status = await hotswap(["status", "-o", "json"], { HOTSWAP_URL, HOTSWAP_TOKEN: token });
    assert.equal(JSON.parse(status.stdout).mode, "production");

    const keyless = await hotswap(["token", "--role", "viewer", "--data", data]);
    assert.match(keyless.stderr, /^hotswap: setting_missing: secrets\.masterKey/);
    const explicit = await hotswap(
      ["token", "--role", "viewer", "--data", data, "--mode", "development"],
      env,
    );
    const old = await hotswap(["status"], { HOTSWAP_URL, HOTSWAP_TOKEN: explicit.stdout.trim() });
    assert.match(old.stderr, /^hotswap: token_invalid/);
  });

  test("its gateway serves TLS by name to clients with a certificate, with tokens of the issuer, and follows what changes", async (t) => {
    const backend = await startBackend("secure");
    t.after(() => backend.stop());
    const admin = await issuer.sign({ tenant: "shop", roles: ["admin"] });
    const api = async (method: string, path: string, body?: object) => {
      const headers = { authorization: `Bearer ${admin}`, "content-type": "application/json" };
      const sent = { method, headers, ...(body && { body: JSON.stringify(body) }) };
      return (await fetch(`${server.facts.api}/api/v1${path}`, sent)).json() as Promise<
        Record<string, string>
      >;
    };
    const auth = { jwt: { anyRole: ["buyer"], claimHeaders: { sub: "x-user" } } };
    const route = { name: "secure", match: { path: { prefix: "/secure" } }, auth };
    const made = await api("POST", "/gateway/routes", { ...route, backends: [{ url: backend.url }] });
    assert.equal(made.name, "secure", JSON.stringify(made));
    const { port } = new URL((await api("GET", "/gateway/status")).tlsUrl!);
    const client = makeCertificate("client-7");
    const get = (token: string, servername = "a.example", shown: object = client) =>
      askTls({ port: Number(port), host: "127.0.0.1", servername, ca: root, ...shown }, token);
    const token = await issuer.sign({ tenant: "shop", roles: ["buyer"] });

    for (const name of ["a.example", "b.example"]) {
      const { answer, certificate } = await get(token, name);
      assert.match(answer, /^HTTP\/1\.1 200 .*"x-user":"eve"/s);
      assert.match(answer, /"x-client-certificate":"Hash=[0-9a-f]{64};Subject=\\"client-7\\""/);
      assert.equal(certificate.subject.CN, name);
    }
    await assert.rejects(get(token, "a.example", {}), "a client without a certificate");
    const foreign = await issuer.sign({ tenant: "other", roles: ["buyer"] });
    assert.match((await get(foreign)).answer, /^HTTP\/1\.1 401 /);
    assert.match((await get(await issuer.sign({ tenant: "shop", roles: [] }))).answer, /^HTTP\/1\.1 403 /);

    await issuer.rotate();
    const later = await issuer.sign({ tenant: "shop", roles: ["buyer"] });
    const renewed = await writeCertificate(certificates.path, "a.example");
    await Promise.all([
      eventually(
        () => get(later),
        ({ answer }) => answer.startsWith("HTTP/1.1 200 "),
      ),
      eventually(
        () => get(token),
        ({ certificate }) => certificate.raw.equals(new X509Certificate(renewed.cert).raw),
      ),
    ]);
    assert.match((await get(token)).answer, /^HTTP\/1\.1 401 /, "its key is no longer one of the issuer's");
    await eventually(
      () => readFile(`${data}/gateway/access.log`, "utf8"),
      (lines) => /^127\.0\.0\.1 - eve \[.*\] "GET \/secure HTTP\/1\.1" 200 /m.test(lines),
    );
  });
});

/** A pair in the folder that the gateway takes its certificates from. */
async function writeCertificate(folder: string, name: string) {
  const pair = makeCertificate(name);
  await writeFile(`${folder}/${name}.key`, pair.key);
  await writeFile(`${folder}/${name}.crt`, pair.cert);
  return pair;
}

/** One request; rejects when the handshake is refused. */
async function askTls(options: ConnectionOptions, token: string) {
  const socket = connect(options);
  let answer = "";
  socket.setEncoding("utf8").on("data", (text: string) => (answer += text));
  const ended = once(socket, "end");
  ended.catch(() => {}); // told below
  await once(socket, "secureConnect");
  const certificate = socket.getPeerCertificate();
  socket.write(
    `GET /secure HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
  );
  await ended;
  socket.destroy();
  return { answer, certificate };
}
