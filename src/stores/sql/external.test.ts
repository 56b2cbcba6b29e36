import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { type SqlFixture, sqlConformance, untilAvailable } from "./conformance.ts";
import {
  type ExternalServer,
  missingBouncer,
  missingServer,
  missingTls,
  startBehindBouncer,
  startDebianServer,
} from "./external.fixture.ts";
import { connectionTo } from "./external.ts";
import { openSql } from "./index.ts";
import { refuseUnfit } from "./inspection.ts";
import { asSuperuser, testDatabase } from "./testing.ts";

async function fixtureOn(server: ExternalServer): Promise<SqlFixture> {
  const another: SqlFixture["another"] = (options) => openSql({ sql: server.url, data: "", ...options });
  const store = another();
  await untilAvailable(() => store.start());
  return {
    sql: store,
    another,
    crash: () => server.postgres.stop(),
    recover: () => server.postgres.start(),
    async close() {
      await store.stop();
      await server.close();
    },
  };
}

sqlConformance("external PostgreSQL 15", async () => fixtureOn(await startDebianServer()), missingServer);
sqlConformance(
  "external PostgreSQL 15 behind PgBouncer",
  async () => fixtureOn(await startBehindBouncer()),
  missingBouncer,
);

const start = async (sql: string) => {
  const store = openSql({ sql, data: "", connectTimeoutMs: 2_000 });
  await store.start();
  await store.stop();
};

describe("the URL of an external server", () => {
  it("asks for a verified certificate from every host but this one", () => {
    const modeOf = (url: string) =>
      new URL(connectionTo(url).connectionString!).searchParams.get("sslmode") ?? "none";
    for (const host of ["db.example.org", "10.0.0.1", "127.example.org", "[2001:db8::1]"]) {
      assert.equal(modeOf(`postgres://u:p@${host}:5432/d`), "verify-full", host);
    }
    for (const host of ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"]) {
      assert.equal(modeOf(`postgresql://u:p@${host}/d`), "none", host);
    }
    assert.equal(modeOf("postgres://u@localhost/d?host=/run/postgresql"), "none");
    assert.equal(modeOf("postgres://u@localhost/d?host=db.example.org"), "verify-full");
    assert.equal(modeOf("postgres://u@db.example.org/d?sslmode=require"), "verify-full");
    for (const mode of ["disable", "no-verify", "verify-full"]) {
      assert.equal(modeOf(`postgres://u@db.example.org/d?sslmode=${mode}`), mode);
    }
  });

  it("is refused when it is wrong, without being repeated", async () => {
    for (const url of [
      "",
      "nonsense hunter2",
      "mysql://u:hunter2@h/d",
      "postgres://u:hunter2@h/d?sslmode=prefer",
    ]) {
      const error = await start(url).catch((caught) => caught);
      assert.equal(error.code, "setting_invalid", url);
      assert.doesNotMatch(error.message, /hunter2/);
    }
  });

  it("leads to store_unavailable when nobody listens there, without the password", async () => {
    const url = `postgres://u:hunter2@127.0.0.1:${await freePort()}/d`;
    const error = await start(url).catch((caught) => caught);
    assert.equal(error.code, "store_unavailable");
    assert.equal(error.message, "PostgreSQL did not answer (ECONNREFUSED).");
  });
});

describe("a server that does not fit", () => {
  it("is refused when it is older than 15, not in UTF8, or when the role would pass by row-level security", () => {
    const fit = { version: 150_000, encoding: "UTF8", bypass: false };
    refuseUnfit(fit);
    assert.throws(() => refuseUnfit({ ...fit, version: 140_099 }), {
      code: "setting_invalid",
      message: /is PostgreSQL 14/,
    });
    assert.throws(() => refuseUnfit({ ...fit, encoding: "SQL_ASCII" }), { code: "setting_invalid" });
    assert.throws(() => refuseUnfit({ ...fit, bypass: true }), { code: "setting_invalid" });
  });

  it("is found out at the start", async () => {
    const { url, close } = await testDatabase();
    const socket = { host: new URL(url).searchParams.get("host")!, port: 5432, ssl: false } as const;
    await asSuperuser(socket, "create role passer login bypassrls");
    await asSuperuser(
      socket,
      "create database ascii template template0 encoding 'SQL_ASCII' locale_provider libc locale 'C'",
    );
    const invalid = (message: RegExp) => ({ code: "setting_invalid", message });
    await assert.rejects(start(url.replace("hotswap@", "postgres@")), invalid(/superuser or has BYPASSRLS/));
    await assert.rejects(start(url.replace("hotswap@", "passer@")), invalid(/superuser or has BYPASSRLS/));
    await assert.rejects(start(url.replace(/test_\d+/, "ascii")), invalid(/encoded in SQL_ASCII/));
    await assert.rejects(start(url.replace(/test_\d+/, "nowhere")), invalid(/refuses/));
    await assert.rejects(start(url.replace("hotswap@", "nobody@")), invalid(/refuses/));
    await close();
  });
});

describe("TLS", { skip: missingTls ? `${missingTls} is not installed` : false }, () => {
  let server: ExternalServer;
  let url: string;
  before(async () => {
    const port = String(await freePort());
    server = await startDebianServer(async (home) => {
      const [key, cert, hba] = ["server.key", "server.crt", "hba.conf"].map((name) => join(home, name));
      const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
      const made = [
        "req",
        "-x509",
        "-nodes",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-days",
        "1",
      ];
      await promisify(execFile)("openssl", [...made, ...subject, "-keyout", key!, "-out", cert!]);
      await writeFile(hba!, "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n");
      const files = { ssl: "on", ssl_key_file: key!, ssl_cert_file: cert!, hba_file: hba! };
      return { ...files, listen_addresses: "127.0.0.1", port };
    });
    await asSuperuser(server.postgres.connection, "alter role hotswap password 'hunter2'");
    url = `postgres://hotswap:hunter2@localhost:${port}/hotswap`;
  });
  after(() => server?.close());

  it("is refused when nobody known has signed the certificate", async () => {
    for (const mode of ["verify-full", "require"]) {
      const error = await start(`${url}?sslmode=${mode}`).catch((caught) => caught);
      assert.equal(error.code, "store_unavailable");
      assert.match(error.message, /DEPTH_ZERO_SELF_SIGNED_CERT/);
    }
  });

  it("holds with the authority that the URL names, and only under the name of the certificate", async () => {
    const verified = `${url}?sslmode=verify-full&sslrootcert=${join(server.home, "server.crt")}`;
    await start(verified);
    await assert.rejects(start(verified.replace("@localhost", "@127.0.0.1")), { code: "store_unavailable" });
    await assert.rejects(start(`${verified}.missing`), { code: "setting_invalid" });
  });

  it("can be left unverified or off, where the server allows it", async () => {
    await start(`${url}?sslmode=no-verify`);
    await assert.rejects(start(`${url}?sslmode=disable`), { code: "setting_invalid" });
    await assert.rejects(start(`${url.replace("hunter2", "wrong")}?sslmode=no-verify`), {
      code: "setting_invalid",
    });
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
