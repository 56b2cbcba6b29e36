/** `hotswap config sync` with real repositories: both ways, rollbacks, and everything that may not be written over. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { type Finished, hotswap, spawnHotswap } from "../e2e/hotswap.ts";
import { type Caller, TestServer } from "../server.ts";

const run = promisify(execFile);
let server: TestServer;
before(async () => {
  server = await TestServer.start();
});
after(() => server?.remove());

const identity = {
  ...{ GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" },
  ...{ GIT_AUTHOR_NAME: "Sam", GIT_AUTHOR_EMAIL: "sam@example.org" },
  ...{ GIT_COMMITTER_NAME: "Sam", GIT_COMMITTER_EMAIL: "sam@example.org" },
};

/** A repository with a folder `conf` for the sync, and a tenant of its own. */
class Work {
  readonly root: string;
  readonly caller: Caller;

  private constructor(root: string, caller: Caller) {
    this.root = root;
    this.caller = caller;
  }

  static async open(tenant: string): Promise<Work> {
    const root = await mkdtemp(join(tmpdir(), "hotswap-sync-"));
    after(() => rm(root, { recursive: true, force: true }));
    const work = new Work(root, await server.as({ tenant }));
    await work.git("init", "--quiet", "--initial-branch=main");
    await work.write("conf/README.md", "no document");
    return work;
  }

  async git(...args: string[]): Promise<string> {
    const { stdout } = await run("git", args, { cwd: this.root, env: { ...process.env, ...identity } });
    return stdout.trim();
  }

  async write(path: string, text: string): Promise<void> {
    const file = join(this.root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }

  async commit(path: string, text: string, message: string): Promise<void> {
    await this.write(path, text);
    await this.git("add", "--", path);
    await this.git("commit", "--quiet", "-m", message);
  }

  read = (path: string) => readFile(join(this.root, path), "utf8");

  get env() {
    return { ...identity, HOTSWAP_URL: server.url, HOTSWAP_TOKEN: this.caller.token! };
  }

  sync(...flags: string[]): Promise<Finished> {
    return hotswap(["config", "sync", join(this.root, "conf"), ...flags], this.env);
  }

  /** What it did, by name. */
  async synced(...flags: string[]): Promise<string[]> {
    const { code, stdout, stderr } = await this.sync("--json", ...flags);
    assert.equal(code, 0, stderr);
    const { done } = JSON.parse(stdout) as { done: { name: string; what: string; version: number }[] };
    return done.map(({ name, what, version }) => `${what} ${name} ${version}`);
  }

  async drifts(...flags: string[]): Promise<string> {
    const { code, stderr } = await this.sync(...flags);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /^hotswap: config_drift: /);
    return stderr;
  }

  version = (name: string, version: number) =>
    this.caller.ok(this.caller.get(`/configs/${name}/versions/${version}`));
  put = (name: string, text: string, note = "") =>
    this.caller.ok(this.caller.post(`/configs/${name}/versions`, { text, note }), 201);
}

const limits = "conf/checkout/staging/limits.yaml";

describe("a sync", { concurrency: 2, timeout: 300_000 }, () => {
  test("makes versions of committed files and commits of versions, until both are in line", async () => {
    const work = await Work.open("both");
    await work.commit(limits, "# how many\nmax: 1\n", "Limit the checkout\n\nAs agreed.");
    assert.deepEqual(await work.synced("--dry-run"), ["pushed limits 1"]);
    assert.deepEqual((await work.caller.ok(work.caller.get("/configs"))).items, []);
    assert.deepEqual(await work.synced(), ["pushed limits 1"]);
    const { text, note } = await work.version("limits", 1);
    assert.deepEqual([text, note], ["# how many\nmax: 1\n", "Limit the checkout"]);
    const { service, environment, format } = await work.caller.ok(work.caller.get("/configs/limits"));
    assert.deepEqual([service, environment, format], ["checkout", "staging", "yaml"]);

    await work.put("limits", "# how many\nmax: 2\n", "Twice as many");
    const mail = { name: "mail", service: "mailer", environment: "production", format: "properties" };
    await work.caller.ok(work.caller.post("/configs", mail), 201);
    await work.put("mail", "from=shop@example.org\n");
    await work.write("staged.txt", "of somebody's next commit");
    await work.git("add", "staged.txt");
    assert.deepEqual(await work.synced(), ["written limits 2", "written mail 1"]);
    assert.equal(await work.read(limits), "# how many\nmax: 2\n");
    assert.equal(await work.read("conf/mailer/production/mail.properties"), "from=shop@example.org\n");
    assert.equal(
      await work.git("log", "--format=%s", "-3"),
      "mail version 1\nTwice as many\nLimit the checkout",
    );
    assert.match(await work.git("log", "--format=%b", "-1", "--", limits), /^Version 2 of limits, by ann\.$/);
    assert.equal(
      await work.git("diff", "--cached", "--name-only"),
      "staged.txt",
      "what was staged is left alone",
    );

    await work.commit(limits, "# how many, at most\nmax: 2\n", "Say it better");
    assert.deepEqual(await work.synced(), [], "comments alone make no version, and stay in the file");
    assert.equal(await work.read(limits), "# how many, at most\nmax: 2\n");
    assert.equal((await work.sync()).stdout, "in line\n");
  });

  test("writes a rollback back, as a commit that says so", async () => {
    const work = await Work.open("back");
    await work.commit(limits, "max: 1\n", "One");
    await work.synced();
    const { caller } = work;
    const deploy = async (version: number, how: object): Promise<string> =>
      (
        await caller.ok(
          caller.post("/deployments", { kind: "config", config: "limits", version, ...how }),
          201,
        )
      ).id;
    /** The stream of its events ends with it. */
    const end = async (id: string) => {
      await caller.ok(caller.get(`/deployments/${id}/events`));
      return (await caller.ok(caller.get(`/deployments/${id}`))).status;
    };
    assert.equal(await end(await deploy(1, { strategy: "direct", bakeSeconds: 0 })), "succeeded");
    await work.commit(limits, "max: 1000\n", "Many more");
    assert.deepEqual(await work.synced(), ["pushed limits 2"]);
    const canary = await deploy(2, { strategy: "canary", phases: [50, 100], bakeSeconds: 3_600 });
    const headers = { authorization: `Bearer ${caller.token}` };
    const events = await fetch(`${server.url}/api/v1/deployments/${canary}/events`, { headers });
    let seen = "";
    for await (const chunk of events.body!.pipeThrough(new TextDecoderStream())) {
      seen += chunk;
      if (seen.includes("event: exposed\n")) break;
    }
    await caller.ok(caller.post(`/deployments/${canary}/rollback`, { reason: "too many" }));
    assert.equal(await end(canary), "rolled_back");
    assert.deepEqual(await work.synced(), ["written limits 1"]);
    assert.equal(await work.read(limits), "max: 1\n");
    assert.equal(await work.git("log", "-1", "--format=%s"), "Roll limits back to version 1");
    assert.match(await work.git("log", "-1", "--format=%b"), /^Version 2 was taken back/);
    assert.deepEqual(await work.synced(), []);
    await work.commit(limits, "max: 2\n", "Two");
    assert.deepEqual(await work.synced(), ["pushed limits 3"]);
  });

  test("writes over nothing: where both have changed it names them and stops before anything is done", async () => {
    const work = await Work.open("drift");
    await work.commit(limits, "max: 1\n", "One");
    await work.commit("conf/checkout/staging/other.json", "{}", "Other");
    await work.synced();
    await work.commit(limits, "max: 2\n", "Two here");
    await work.put("limits", "max: 3\n", "Three there");
    await work.put("other", '{"a": 1}');
    const before = await work.git("rev-parse", "HEAD");
    assert.match(await work.drifts(), /limits: both have changed since they were in line/);
    assert.equal(await work.git("rev-parse", "HEAD"), before, "other was not written either");
    assert.equal((await work.caller.ok(work.caller.get("/configs/limits"))).latestVersion, 2);
    assert.deepEqual(await work.synced("--prefer", "git"), ["pushed limits 3", "written other 2"]);
    assert.equal((await work.version("limits", 3)).text, "max: 2\n");
    assert.deepEqual(await work.synced(), []);

    await work.write(limits, "max: 5 # not yet\n");
    await work.put("limits", "max: 4\n");
    assert.match(
      await work.drifts(),
      /limits: HotSwap has another version, and conf\/.*limits\.yaml is not committed/,
    );
    assert.match(await work.drifts("--prefer", "hotswap"), /is not committed/, "not even then");
    assert.equal(await work.read(limits), "max: 5 # not yet\n");
    await work.git("checkout", "--quiet", "--", limits);
    assert.deepEqual(await work.synced(), ["written limits 4"]);
  });

  test("deletes nothing, on neither side", async () => {
    const work = await Work.open("gone");
    await work.commit(limits, "max: 1\n", "One");
    await work.synced();
    await work.git("rm", "--quiet", limits);
    await work.git("commit", "--quiet", "-m", "Gone");
    assert.match(await work.drifts(), /limits: its file is deleted in Git/);
    await work.git("revert", "--no-edit", "HEAD");
    assert.deepEqual(await work.synced(), []);
    await work.caller.ok(work.caller.delete("/configs/limits"));
    assert.match(await work.drifts(), /limits: HotSwap has it no more/);
  });

  test("a second clone that differs is told apart from nothing, and one that is the same just goes on", async () => {
    const work = await Work.open("clone");
    await work.commit(limits, "max: 1\n", "One");
    await work.synced();
    await work.git(
      "update-ref",
      "-d",
      (await work.git("for-each-ref", "--format=%(refname)", "refs/hotswap")).trim(),
    );
    assert.deepEqual(await work.synced(), [], "the same: the base is set anew");
    await work.put("limits", "max: 2\n");
    assert.deepEqual(await work.synced(), ["written limits 2"]);
    await work.git(
      "update-ref",
      "-d",
      (await work.git("for-each-ref", "--format=%(refname)", "refs/hotswap")).trim(),
    );
    await work.put("limits", "max: 3\n");
    assert.match(await work.drifts(), /limits: Git and HotSwap differ, and were never in line/);
    assert.deepEqual(await work.synced("--prefer", "hotswap"), ["written limits 3"]);
  });

  test("what cannot be a version is refused as everywhere, and a folder outside of Git is none", async () => {
    const work = await Work.open("bad");
    await work.commit(limits, "max: [\n", "Oops");
    const { code, stderr } = await work.sync();
    assert.equal(code, 1);
    assert.match(stderr, /^hotswap: config_invalid: .*line \d+, column \d+/);
    await work.commit("conf/other/staging/limits.toml", "a = 1\n", "Twice");
    assert.match(await work.drifts(), /limits\.yaml and .*limits\.toml have one name/);
    const bare = await mkdtemp(join(tmpdir(), "hotswap-nogit-"));
    const nowhere = await hotswap(["config", "sync", bare], {
      ...work.env,
      GIT_CEILING_DIRECTORIES: tmpdir(),
    });
    await rm(bare, { recursive: true });
    assert.match(nowhere.stderr, /^hotswap: git_failed: git rev-parse: fatal: not a git repository/);
  });

  test("goes on with --watch, and stops when something drifts apart", async () => {
    const work = await Work.open("watch");
    await work.commit(limits, "max: 1\n", "One");
    const child = spawnHotswap(
      ["config", "sync", join(work.root, "conf"), "--watch", "--interval", "1s"],
      work.env,
    );
    let out = "";
    let wake = () => {};
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        out += text;
        wake();
      });
    }
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    let isOver = false;
    void ended.then(() => {
      isOver = true;
      wake();
    });
    const said = async (pattern: RegExp) => {
      while (!pattern.test(out)) {
        assert.ok(!isOver, `it ended: ${out}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
    await said(/limits\.yaml → limits version 1/);
    await work.put("limits", "max: 2\n");
    await said(/limits version 2 → conf\/checkout/);
    await work.commit(limits, "max: 3\n", "Three");
    await said(/limits\.yaml → limits version 3/);
    await work.git("rm", "--quiet", limits);
    await work.git("commit", "--quiet", "-m", "Gone");
    assert.equal(await ended, 1);
  });
});
