import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { selectDeployment } from "./deployments.sql.ts";
import { selectEvents } from "./history.sql.ts";
import { Fleet, setUp } from "./stage.testing.ts";
import { fold, initial } from "./state.ts";
import type { DeploymentTx } from "./tables.ts";

const quick = { bakeSeconds: 0.05, bakeMaxSeconds: 0.1, probeSeconds: 0.05 };

// Each test has a database and an engine of its own, and spends its time waiting.
describe("the engine", { concurrency: 6 }, () => {
  test("a canary goes through its phases to the end, and the row is the fold of its events", async (t) => {
    const { fleet, deploy, ended, sql, audited, metrics } = await setUp(t);
    const { id, plan } = await deploy({ version: 1, ...quick });
    assert.ok(plan.length > 0);
    const done = await ended(id);
    assert.deepEqual([done.status, done.share, done.phase], ["succeeded", 100, done.phases]);
    assert.ok(fleet.units.every((unit) => fleet.runs.get(unit) === "1"));
    const counts = fleet.applied.map(({ bound }) => bound);
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
      "who is exposed stays so",
    );
    assert.deepEqual(fleet.settled, ["shop 1"]);
    await sql.tenant("acme", async (tx: DeploymentTx) => {
      const row = await selectDeployment(tx, "acme", id);
      const events = await selectEvents(tx, "acme", id, { limit: 1_000 });
      const folded = events.reduce(
        (state, { type, payload, at }) => fold(state, { type, ...payload } as never, at.getTime()),
        initial,
      );
      assert.deepEqual(JSON.parse(JSON.stringify(folded)), JSON.parse(JSON.stringify(row!.state)));
      assert.deepEqual(
        events.map(({ seq }) => seq),
        events.map((_, index) => index + 1),
      );
      const automatic = (await audited(id)).filter((entry) => entry.startsWith("system:deployment"));
      assert.equal(
        automatic.length,
        events.length - 1,
        "each event but the first, which a person made, is audited",
      );
    });
    assert.match(await metrics.text(), /deployments_completed_total\{kind="config",strategy="canary"\} 1\n/);
  });

  test("a version that one unit refuses comes to that unit alone", async (t) => {
    const { fleet, deploy, ended } = await setUp(t);
    fleet.refused.add("2");
    await ended((await deploy({ version: 1, strategy: "direct", ...{ bakeSeconds: 0 } })).id);
    const { id } = await deploy({ version: 2, strategy: "direct", failureBudget: 0.02 });
    const done = await ended(id);
    assert.deepEqual([done.status, done.rollback.cause], ["rolled_back", "failures"]);
    assert.match(done.detail, /^unit-\d+: refused$/);
    assert.ok(fleet.units.every((unit) => fleet.runs.get(unit) === "1"));
  });

  test("errors of the new version take it back by the judge, and the history says why", async (t) => {
    const { fleet, deploy, until, ended, call } = await setUp(t);
    fleet.requests = 2_000;
    await ended((await deploy({ version: 1, strategy: "direct" })).id);
    const analysis = { warmUpSeconds: 0, minRequests: 100 };
    const { id } = await deploy({ version: 2, bakeSeconds: 30, probeSeconds: 0.01, analysis });
    await until(id, ({ verdicts }) => verdicts.at(-1)?.evidence[0].canary.requests > 500);
    fleet.errors.set("2", 0.2);
    const done = await ended(id);
    assert.deepEqual([done.status, done.rollback.cause], ["rolled_back", "judge"]);
    assert.ok(done.share < 100);
    assert.equal(done.verdicts.at(-1).outcome, "fail");
    const health = async (query = "") =>
      (await call("GET", `/api/v1/deployments/${id}/health${query}`)).json as {
        items: { number: number; verdict: { outcome: string } }[];
        next: string | null;
      };
    const { items } = await health();
    assert.ok(items.some(({ verdict }) => verdict.outcome === "fail"));
    const numbers = items.map(({ number }) => number);
    assert.deepEqual(
      numbers,
      numbers.map((_, index) => index + 1),
    );
    const last = numbers.length;
    const numbersOf = async (query: string) => (await health(query)).items.map(({ number }) => number);
    assert.deepEqual(await numbersOf(`?after=${last - 1}`), [last], "what came since");
    assert.deepEqual(await numbersOf(`?after=${last}`), []);
    const newest = await health("?order=newest&limit=1");
    assert.equal(newest.items[0]!.number, last);
    assert.deepEqual(await numbersOf(`?order=newest&cursor=${newest.next}`), numbers.toReversed().slice(1));
    const { canary, control } = (await call("GET", `/api/v1/deployments/${id}/metrics`)).json;
    assert.ok(canary.errorRate > 0 && control.errorRate === 0, JSON.stringify({ canary, control }));
  });

  test("paused, resumed, promoted and rolled back by people, with their names in the audit", async (t) => {
    const { fleet, deploy, until, ended, post, audited, get } = await setUp(t);
    const { id } = await deploy({ version: 1, ...quick, phases: [10, 100], manual: true });
    await until(id, ({ holdReasons }) => holdReasons.includes("manual"));
    assert.equal((await post(id, "promote", { reason: "looks good" })).status, 200);
    const first = await ended(id);
    assert.equal(first.status, "succeeded");

    const second = await deploy({ version: 2, bakeSeconds: 3_600, bakeMaxSeconds: 3_600, probeSeconds: 0 });
    await until(second.id, ({ phase }) => phase === 2);
    assert.equal((await post(second.id, "pause", { reason: "lunch" })).json.status, "held");
    assert.equal((await post(second.id, "resume")).json.status, "running");
    await post(second.id, "rollback", { reason: "no" });
    const back = await ended(second.id);
    assert.deepEqual([back.status, back.rollback.by], ["rolled_back", "ann"]);
    assert.ok(fleet.units.every((unit) => fleet.runs.get(unit) === "1"));
    const again = await post(second.id, "rollback", { reason: "no" });
    assert.deepEqual(
      [again.status, again.json.status],
      [200, "rolled_back"],
      "nothing runs any more, and that is said",
    );
    assert.equal((await post(second.id, "promote")).json.code, "deployment_state_refused");
    const entries = (await audited(second.id)).filter((entry) => entry.startsWith("ann"));
    assert.deepEqual(entries, [
      ...["ann deployments.create", "ann deployments.pause", "ann deployments.resume"],
      ...["ann deployments.rollback", "ann deployments.rollback"],
    ]);
    assert.equal((await get(second.id)).from.id, "1");
  });

  test("one deployment of a target at a time: others queue, and go back to what the one before left", async (t) => {
    const { deploy, until, ended, post, get } = await setUp(t);
    const long = { bakeSeconds: 3_600, bakeMaxSeconds: 3_600, probeSeconds: 0 };
    const first = await deploy({ version: 1, ...long });
    const second = await deploy({ version: 2, ...quick });
    const { summary } = await until(second.id, ({ holdReasons }) => holdReasons.includes("queue"));
    assert.equal(summary, "configuration shop, version 2", "what it will replace is not known yet");
    await post(first.id, "promote", { full: true });
    assert.equal((await ended(first.id)).status, "succeeded");
    const done = await ended(second.id);
    assert.deepEqual([done.status, done.from.id], ["succeeded", "1"]);
    assert.equal(done.summary, "configuration shop, version 1 to 2");

    const third = await deploy({ version: 3, ...long });
    await until(third.id, ({ share }) => share > 0);
    const fourth = await deploy({ version: 4, ...quick, onConflict: "supersede" });
    assert.equal((await ended(fourth.id)).status, "succeeded");
    const superseded = await get(third.id);
    assert.deepEqual([superseded.status, superseded.rollback.cause], ["rolled_back", "superseded"]);
    assert.equal((await get(fourth.id)).from.id, "2");
  });

  test("a target that fails is tried again, and the deployment says so", async (t) => {
    const { fleet, deploy, until, ended, errors } = await setUp(t);
    const { id } = await deploy({ version: 1, bakeSeconds: 0.5, bakeMaxSeconds: 0.5, probeSeconds: 0.1 });
    await until(id, ({ phase }) => phase > 0);
    fleet.broken = "The fleet is away.";
    const { trouble } = await until(id, (deployment) => deployment.trouble !== null);
    assert.equal(trouble.message, "The fleet is away.");
    fleet.broken = undefined;
    const done = await ended(id);
    assert.deepEqual([done.status, done.trouble], ["succeeded", null]);
    assert.equal(errors.length, 1, "the log is told once");
  });

  test("an approval comes before the start, from somebody else, and is used up by it", async (t) => {
    const fleet = new Fleet(3);
    fleet.needsApproval = true;
    const { deploy, until, ended, call } = await setUp(t, fleet);
    const asked = await deploy({ version: 1, ...quick });
    await until(asked.id, ({ holdReasons }) => holdReasons.includes("approval"));
    const decide = (id: string, verb: string, subject: string) =>
      call("POST", `/api/v1/approvals/${id}/${verb}`, { subject, body: { reason: "because" } });
    assert.equal((await decide(asked.approvalId, "approve", "ann")).json.code, "approval_self");
    assert.equal((await decide(asked.approvalId, "approve", "bob")).status, 200);
    assert.equal((await ended(asked.id)).status, "succeeded");
    assert.equal((await call("GET", `/api/v1/approvals/${asked.approvalId}`)).json.state, "used");

    const refused = await deploy({ version: 2, ...quick });
    await decide(refused.approvalId, "reject", "bob");
    assert.equal((await ended(refused.id)).status, "cancelled");

    const edited = await deploy({ version: 3, ...quick });
    await decide(edited.approvalId, "approve", "bob");
    fleet.needsApproval = false;
    const other = { kind: "deployment", resource: `deployments/${edited.id}`, content: { other: true } };
    const { status } = await ended(edited.id); // it was approved, and began at once
    assert.equal(status, "succeeded");
    assert.equal((await call("POST", "/api/v1/approvals", { body: other })).status, 201);
  });

  test("a freeze holds what would expose more; a rollback goes through, and another person can break the glass", async (t) => {
    const { deploy, until, ended, post, call } = await setUp(t);
    const freeze = {
      environment: "test",
      to: new Date(Date.now() + 3_600_000).toISOString(),
      reason: "quarter end",
    };
    const running = await deploy({
      version: 1,
      bakeSeconds: 1,
      bakeMaxSeconds: 1,
      probeSeconds: 0,
      phases: [10, 100],
    });
    await until(running.id, ({ phase }) => phase === 2);
    const made = await call("POST", "/api/v1/freezes", { body: freeze });
    assert.equal(made.status, 201);
    await until(running.id, ({ holdReasons }) => holdReasons.includes("freeze"));
    await post(running.id, "rollback", { reason: "it can wait" });
    assert.equal((await ended(running.id)).status, "rolled_back");

    const urgent = await deploy({ version: 2, ...quick });
    await until(urgent.id, ({ holdReasons }) => holdReasons.includes("freeze"));
    const asked = (await post(urgent.id, "break-glass", { reason: "the shop is down" })).json;
    const approve = (subject: string) =>
      call("POST", `/api/v1/approvals/${asked.approvalId}/approve`, { subject, body: {} });
    assert.equal((await approve("ann")).json.code, "approval_self");
    assert.equal((await approve("bob")).status, 200);
    assert.equal((await ended(urgent.id)).status, "succeeded");
    const next = await deploy({ version: 3, ...quick });
    await until(next.id, ({ holdReasons }) => holdReasons.includes("freeze"));
    assert.equal((await call("DELETE", `/api/v1/freezes/${made.json.id}`)).status, 204);
    assert.equal((await ended(next.id)).status, "succeeded");
  });

  test("members of a group end together, or roll back together in reverse order", async (t) => {
    const { fleet, deploy, until, ended, post } = await setUp(t);
    const group = { group: "release-1", bakeSeconds: 0.05, bakeMaxSeconds: 0.05, probeSeconds: 0 };
    const first = await deploy({ config: "one", version: 1, ...group });
    const second = await deploy({
      config: "two",
      version: 1,
      ...group,
      bakeSeconds: 3_600,
      bakeMaxSeconds: 3_600,
    });
    await until(first.id, ({ holdReasons }) => holdReasons.includes("dependency"));
    await until(second.id, ({ phase }) => phase > 1);
    await post(second.id, "rollback", { reason: "two is bad" });
    assert.equal((await ended(second.id)).status, "rolled_back");
    const other = await ended(first.id);
    assert.deepEqual([other.status, other.rollback.cause], ["rolled_back", "group"]);
    assert.deepEqual(fleet.settled, ["two undefined", "one undefined"]);
  });

  test("what is required comes first; when it fails, what waits for it is cancelled", async (t) => {
    const { deploy, until, ended, post } = await setUp(t);
    const first = await deploy({
      config: "base",
      version: 1,
      bakeSeconds: 3_600,
      bakeMaxSeconds: 3_600,
      probeSeconds: 0,
    });
    const waits = await deploy({ version: 1, ...quick, requires: [{ deployment: first.id }] });
    const version = await deploy({
      ...{ config: "third", version: 1, ...quick },
      requires: [{ kind: "config", target: "base", version: "1" }],
    });
    await until(waits.id, ({ holdReasons }) => holdReasons.includes("dependency"));
    await until(version.id, ({ holdReasons }) => holdReasons.includes("dependency"));
    await post(first.id, "rollback", { reason: "no" });
    assert.equal((await ended(waits.id)).status, "cancelled");
    assert.equal(
      (await ended((await deploy({ config: "base", version: 2, ...quick })).id)).status,
      "succeeded",
    );
    assert.equal((await ended(version.id)).status, "succeeded");
  });

  test("what comes at its time waits for it", async (t) => {
    const { deploy, until, ended, post } = await setUp(t);
    const at = (ms: number) => new Date(Date.now() + ms).toISOString();
    const far = await deploy({ version: 1, ...quick, startAt: at(3_600_000) });
    const { holds } = await until(far.id, ({ holdReasons }) => holdReasons.includes("schedule"));
    assert.equal(holds[0].reason, "schedule");
    await post(far.id, "rollback", { reason: "not this one" });
    assert.equal((await ended(far.id)).status, "cancelled");
    const near = await deploy({ version: 2, ...quick, startAt: at(500) });
    const done = await ended(near.id);
    assert.ok(done.startedAt >= done.startAt);
  });

  test("a dry run answers with the plan for the units that there are, and keeps nothing", async (t) => {
    const { call } = await setUp(t);
    const body = { kind: "config", config: "shop", version: 1, strategy: "rolling", batchSize: 5 };
    const { status, json } = await call("POST", "/api/v1/deployments?dryRun=true", { body });
    assert.equal(status, 201);
    const shares = json.plan.filter(({ kind }: { kind: string }) => kind === "expose").slice(1);
    assert.deepEqual(
      shares.map(({ share }: { share: number }) => share),
      [0.25, 0.5, 0.75, 1],
    );
    assert.deepEqual((await call("GET", "/api/v1/deployments")).json.items, []);
  });

  test("fields that do not fit the strategy, the kind or one another are refused, with a pointer", async (t) => {
    const { call } = await setUp(t);
    const refused = async (body: object) => {
      const whole = { kind: "config", config: "shop", version: 1, ...body };
      const { status, json } = await call("POST", "/api/v1/deployments", { body: whole });
      assert.equal(status, 400, JSON.stringify(json));
      return json.errors[0].pointer;
    };
    assert.equal(await refused({ strategy: "direct", phases: [10, 100] }), "/phases");
    assert.equal(await refused({ phases: [10, 5, 100] }), "/phases/1");
    assert.equal(await refused({ phases: [10, 50] }), "/phases/1");
    assert.equal(await refused({ curve: { kind: "linear", growth: 10 }, phases: [100] }), "/curve");
    assert.equal(await refused({ route: "x" }), "/route");
    assert.equal(await refused({ config: undefined }), "/config");
    assert.equal(await refused({ bakeSeconds: 20, bakeMaxSeconds: 10 }), "/bakeMaxSeconds");
    assert.equal(await refused({ surprise: 1 }), "/surprise");
    assert.equal(await refused({ strategy: "blue-green", smoke: { path: "/" } }), "/smoke");
    assert.equal(await refused({ strategy: "ab", analysis: { goal: "custom.orders" } }), "/analysis/goal");
    assert.equal(await refused({ analysis: { goal: "errors" } }), "/analysis/goal");
    const unknown = "00000000-0000-7000-8000-000000000000";
    assert.equal(await refused({ requires: [{ deployment: unknown }] }), "/requires/0/deployment");
  });

  test("the events come as they happen, from where a reader was, and end with the deployment", async (t) => {
    const { deploy, call, ended } = await setUp(t);
    const { id } = await deploy({ version: 1, ...quick });
    const { text } = await call("GET", `/api/v1/deployments/${id}/events`);
    const ids = [...text.matchAll(/^id: (\d+)$/gm)].map(([, seq]) => Number(seq));
    assert.deepEqual(
      ids,
      ids.map((_, index) => index + 1),
    );
    assert.match(text, /event: ended\ndata: \{.*"status":"succeeded"/);
    assert.match(text, /event: progress\n/);
    await ended(id);
    const events = `/api/v1/deployments/${id}/events`;
    const rest = await call("GET", events, { headers: { "last-event-id": String(ids.at(-2)) } });
    assert.deepEqual(
      [...rest.text.matchAll(/^id: (\d+)$/gm)].map(([, seq]) => Number(seq)),
      [ids.at(-1)],
    );
    assert.equal(
      (await call("GET", events, { headers: { "last-event-id": String(ids.at(-1)) } })).status,
      204,
    );
    const { items } = (await call("GET", events, { headers: { accept: "application/json" } })).json;
    assert.equal(items.length, ids.length);
  });
});
