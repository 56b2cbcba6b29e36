/** Configurations as a target of deployments, as the engine calls it: over one database, with one node or two. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { isExposed, SPAN } from "../../src/core/cohort.ts";
import { hasCode } from "../../src/core/errors.ts";
import { decide, type Gates, type Rules } from "../../src/deployment/decide.ts";
import { planOf, type StrategySpec } from "../../src/deployment/plan.ts";
import { fold, initial, isEnded } from "../../src/deployment/state.ts";
import type { Counts, Sample } from "../../src/deployment/target.ts";
import type { Actor } from "../../src/platform/http/change.ts";
import type { AnyTx } from "../../src/stores/sql/port.ts";
import { ann, Fleet, heartbeatMs, ref, wanted } from "./fleet.ts";

const fleets: Fleet[] = [];
async function open(nodes = 1, current: number | null = 1): Promise<Fleet> {
  const fleet = await Fleet.open(nodes, 2, current);
  fleets.push(fleet);
  return fleet;
}
after(async () => {
  for (const fleet of fleets) await fleet.close();
  assert.deepEqual(
    fleets.flatMap(({ errors }) => errors),
    [],
  );
});
const counts = ({ units, exposed, applied, restored, failed }: Record<string, unknown>) =>
  [units, exposed, applied, restored, failed].join();
const gates: Gates = {
  ...{ approval: "given", schedule: undefined, freeze: undefined, queue: undefined, mayRollBack: true },
  ...{ dependency: { state: "met", detail: "" }, group: { state: "end", detail: "" } },
};
/** A budget that would let others follow, and less time to answer than silence takes to be known. */
const rules: Rules = { failureBudget: 0.5, minFailures: 1, onInsufficient: "pass", onInconclusive: "pass" };
const spec: StrategySpec = {
  ...{ strategy: "direct", phases: [100], concurrency: 100, probeSeconds: 2, ackTimeoutSeconds: 15 },
  ...{ bakeSeconds: 0, bakeMaxSeconds: 0, batchSize: 1, maxUnavailable: 1, intervalSeconds: 0 },
  ...{ smoke: undefined, verifySeconds: 0, keepWarmSeconds: 0, split: 50, isManual: false },
};
const isFenced = (error: unknown) => hasCode(error, "deployment_fenced");

test("resolve says what a request comes to, and where it is wrong", async () => {
  const fleet = await open();
  const actor: Actor = { principal: ann, requestId: "r" };
  const resolve = (body: object) =>
    fleet.database.sql.tenant("acme", (tx: AnyTx) =>
      fleet.target.resolve(tx, actor, { kind: "config", ...body }),
    );
  const found = await resolve({ config: "limits", version: 2 });
  assert.deepEqual([found.from?.id, found.to.id, found.inventory], ["1", "2", "counted"]);
  assert.deepEqual(
    [found.phases, found.needsApproval, found.environment],
    [[10, 30, 50, 100], false, "staging"],
  );
  const wrong: [object, string, string][] = [
    [{ config: 1, version: 2 }, "validation_failed", "/config"],
    [{ config: "limits", version: "2" }, "validation_failed", "/version"],
    [{ config: "none", version: 2 }, "config_not_found", "/config"],
    [{ config: "limits", version: 9 }, "config_version_not_found", "/version"],
    [{ config: "limits", version: 1 }, "config_version_current", "/version"],
  ];
  for (const [body, code, pointer] of wrong) {
    await assert.rejects(
      resolve(body),
      (error) => hasCode(error, code as never) && error.fields[0]?.pointer === pointer,
    );
  }
});

test("a canary is exposed, applies, and is settled; the control stays", async () => {
  const fleet = await open();
  const { target } = fleet;
  const ids = await fleet.registerAll(20);
  for (const id of ids) assert.equal(wanted(await fleet.runs(id, 1)), 1);
  const bound = await target.boundOf(ref, "seed", { share: 0.1 }, 0);
  const canary = ids.filter((id) => isExposed("seed", id, bound));
  assert.equal(canary.length, 2);
  await target.apply(ref, fleet.assignment(bound, 1));
  const observe = async (at = bound, cursor?: unknown) =>
    target.observe(ref, fleet.assignment(at, 1), cursor);
  assert.equal(counts({ ...(await observe()) }), "20,2,0,18,0");
  for (const id of ids) assert.equal(wanted(await fleet.beat(id)), canary.includes(id) ? 2 : 1);
  for (const id of canary) await fleet.runs(id, 2);
  assert.equal(counts({ ...(await observe()) }), "20,2,2,18,0");

  const next = await target.boundOf(ref, "seed", { share: 0.3 }, bound);
  assert.ok(
    canary.every((id) => isExposed("seed", id, next)),
    "who is exposed stays so",
  );
  await target.apply(ref, fleet.assignment(next, 2));
  assert.equal(await target.boundOf(ref, "seed", { share: 1 }, next), SPAN);
  await target.apply(ref, fleet.assignment(SPAN, 3));
  for (const id of ids) await fleet.runs(id, 2);
  const all = await target.observe(ref, fleet.assignment(SPAN, 3), undefined);
  assert.equal(counts({ ...all }), "20,20,20,0,0");
  assert.equal(all.generation, 3);

  await target.settle(ref, fleet.assignment(SPAN, 3), "to");
  await target.settle(ref, fleet.assignment(SPAN, 3), "to");
  assert.deepEqual(
    fleet.audited.map(({ action, detail }) => [action, detail]),
    [["config.current", { deployment: "d1", from: 1, to: 2 }]],
  );
  assert.equal(wanted(await fleet.beat(ids[0]!)), 2);
  await assert.rejects(target.apply(ref, fleet.assignment(0, 2)), isFenced);
  await assert.rejects(target.settle(ref, fleet.assignment(0, 2), "from"), isFenced);
  assert.equal(wanted(await fleet.beat(ids[0]!)), 2);
});

test("an engine that is late changes nothing", async () => {
  const fleet = await open();
  await fleet.registerAll(4);
  await fleet.target.apply(ref, fleet.assignment(SPAN, 5));
  await fleet.target.apply(ref, fleet.assignment(SPAN, 5));
  await assert.rejects(fleet.target.apply(ref, fleet.assignment(0, 4)), isFenced);
  await fleet.target.apply(ref, fleet.assignment(0, 6));
  const seen = await fleet.target.observe(ref, fleet.assignment(0, 6), undefined);
  assert.deepEqual([seen.generation, seen.exposed], [6, 0]);
});

test("what instances count belongs to the version that they run", async () => {
  const fleet = await open(2);
  const { target } = fleet;
  const other = fleet.nodes[1]!;
  const ids = await fleet.registerAll(10);
  const bound = await target.boundOf(ref, "seed", { count: 1 }, 0);
  const canary = ids.find((id) => isExposed("seed", id, bound))!;
  const control = ids.filter((id) => id !== canary);
  for (const id of ids) await fleet.runs(id, 1);
  await target.apply(ref, fleet.assignment(bound, 1));
  await target.observe(ref, fleet.assignment(bound, 1), undefined); // what this node knows is written
  const count = (requests: number, errors: number) => ({ requests, errors, custom: { carts: errors } });
  await fleet.runs(canary, 1, count(50, 9)); // still the old one: on neither side
  await fleet.runs(canary, 2, count(50, 9)); // changed: on neither side
  await fleet.runs(canary, 2, count(100, 5));
  for (const id of control) await fleet.runs(id, 1, count(10, 1), other);
  await other.target.observe(ref, fleet.assignment(bound, 1), undefined); // writes what that node knows
  const first = await target.observe(ref, fleet.assignment(bound, 1), undefined);
  const [{ at, ...cohorts }] = first.samples as [Sample];
  const sums = ({ units: _, unitEvents: __, ...counts }: Counts) => counts;
  const ofUnits = ({ units = [] }: Counts) => units.filter(([requests]) => requests > 0);
  assert.equal(at, fleet.clock.now());
  assert.deepEqual(sums(cohorts.canary), { requests: 100, errors: 5, custom: { carts: 5 } });
  assert.deepEqual(sums(cohorts.control), { requests: 90, errors: 9, custom: { carts: 9 } });
  assert.deepEqual(ofUnits(cohorts.canary), [[100, 5]], "and to the instance that counted it");
  const carts = cohorts.canary.units!.map(([, errors]) => errors);
  assert.deepEqual(cohorts.canary.unitEvents, { "custom.carts": carts }, "whatever it is");
  assert.ok(ofUnits(cohorts.control).length > 1);
  assert.ok(ofUnits(cohorts.control).every(([requests, errors]) => requests === 10 * errors));
  const cursor = JSON.parse(JSON.stringify(first.cursor));
  const still = await target.observe(ref, fleet.assignment(bound, 1), cursor);
  assert.deepEqual([still.samples, still.cursor], [[], cursor]);
  await fleet.runs(canary, 2, { requests: 7, errors: 0, slow: 3 });
  const second = await target.observe(ref, fleet.assignment(bound, 1), cursor);
  const later = second.samples[0]!.canary;
  assert.deepEqual(sums(later), { requests: 7, errors: 0, slow: 3, custom: { carts: 0 } });
  const placeOf = ({ units = [] }: Counts) => units.findIndex(([requests]) => requests > 0);
  assert.equal(placeOf(later), placeOf(cohorts.canary), "in the same place each time");
  assert.equal(later.unitEvents!.slow![placeOf(later)], 3);
});

test("who rejects, starts anew or goes silent just after applying has failed", async () => {
  const fleet = await open();
  const { target } = fleet;
  const ids = await fleet.registerAll(10);
  const [rejecting, restarting, silent, gone] = ids as [string, string, string, string];
  await fleet.register(restarting, { process: "a" });
  for (const id of ids) await fleet.runs(id, 1);
  // From now on its silence would be its own: nothing has kept heartbeats from being written for long enough.
  for (let n = 0; n < 4; n++) {
    fleet.clock.advance(heartbeatMs);
    for (const id of ids) if (id !== gone) await fleet.beat(id);
    await target.observe(ref, fleet.assignment(0, 0), undefined);
  }
  await target.apply(ref, fleet.assignment(SPAN, 1));
  await fleet.rejects(rejecting, 2, "too large");
  for (const id of ids) if (id !== rejecting && id !== gone) await fleet.runs(id, 2);
  await target.observe(ref, fleet.assignment(SPAN, 1), undefined);
  await fleet.register(restarting, { process: "b" });
  for (let n = 0; n < 4; n++) {
    fleet.clock.advance(heartbeatMs);
    for (const id of ids) if (id !== silent && id !== gone) await fleet.beat(id);
    await target.observe(ref, fleet.assignment(SPAN, 1), undefined);
  }
  const seen = await target.observe(ref, fleet.assignment(SPAN, 1), undefined);
  assert.equal(counts({ ...seen }), "9,9,6,0,3", "one was silent before, and is no unit");
  assert.deepEqual(
    new Map(seen.failures.map(({ unit, reason }) => [unit, reason])),
    new Map([
      [rejecting, "rejected: too large"],
      [restarting, "started anew just after it had applied the version"],
      [silent, "went silent just after it had applied the version"],
    ]),
  );

  // The way back, and another attempt with the same version: what was said in the first does not count.
  await target.apply(ref, fleet.assignment(0, 2));
  for (const id of ids) if (id !== silent && id !== gone) await fleet.runs(id, 1);
  assert.equal(counts({ ...(await target.observe(ref, fleet.assignment(0, 2), undefined)) }), "8,0,0,8,0");
  await target.settle(ref, fleet.assignment(0, 2), "from");
  const again = fleet.assignment(SPAN, 3, { deployment: "d2" });
  await target.apply(ref, again);
  assert.equal(counts({ ...(await target.observe(ref, again, undefined)) }), "8,8,0,0,0");
});

/** What an engine does with the target, second by second, until the deployment has ended. */
async function deploy(fleet: Fleet, spec: StrategySpec, eachSecond: (second: number) => Promise<void>) {
  const { target, clock } = fleet;
  const plan = planOf(spec, { kind: "counted", units: 10 });
  let state = fold(initial, { type: "created" }, clock.now());
  const assignment = () => fleet.assignment(state.bound, state.generation);
  for (let second = 1; !isEnded(state); second++) {
    assert.ok(second < 300, "it does not end");
    clock.advance(1_000);
    await eachSecond(second);
    const observed = await target.observe(ref, assignment(), undefined);
    const now = clock.now();
    const { events, effect } = decide(state, { now, gates, observed, verdict: undefined, rules, plan });
    for (const event of events) state = fold(state, event, now);
    if (effect?.type === "expose") {
      const back = state.rollback !== undefined;
      const bound = back ? 0 : await target.boundOf(ref, "seed", effect.wanted, state.bound);
      state = fold(state, { type: "exposed", bound, generation: state.generation + 1 }, now);
    }
    if (effect?.type === "expose" || effect?.type === "apply") await target.apply(ref, assignment());
    if (effect?.type === "settle") {
      await target.settle(ref, assignment(), effect.version);
      const status = effect.version === "to" ? "succeeded" : "rolled_back";
      state = fold(state, { type: "ended", status }, now);
    }
  }
  return state;
}

/** Ten instances run version 1 and read what they are told; what `read` resolves to is whether they live on. */
async function deployToReaders(read: (fleet: Fleet, id: string) => Promise<boolean>) {
  const fleet = await Fleet.open(1, 2, 1);
  const alive = new Set(await fleet.registerAll(10));
  const readers = new Set<string>();
  const beat = async () => {
    for (const id of alive) {
      const version = readers.has(id) ? 2 : 1;
      if (wanted(await fleet.runs(id, version)) !== 2 || version === 2) continue;
      readers.add(id);
      if (!(await read(fleet, id))) alive.delete(id);
    }
  };
  // From now on silence is an instance's own: nothing has kept heartbeats from being written for long enough.
  for (let n = 0; n < 4; n++) {
    fleet.clock.advance(heartbeatMs);
    await beat();
    await fleet.target.observe(ref, fleet.assignment(0, 0), undefined);
  }
  const state = await deploy(fleet, spec, (second) => (second % 10 === 0 ? beat() : Promise.resolve()));
  await fleet.close();
  assert.deepEqual(fleet.errors, []);
  return { state, readers };
}

test("nobody follows a reader that ends without a word, or just after it said that it runs the version", async () => {
  const silent = await deployToReaders(async () => false);
  const late = await deployToReaders(async (fleet, id) => {
    await fleet.runs(id, 2);
    return false;
  });
  for (const { state, readers } of [silent, late]) {
    assert.deepEqual([state.status, state.rollback?.cause, readers.size], ["rolled_back", "failures", 1]);
    assert.match(state.rollback!.reason, /went silent/);
  }
  const asked: number[] = [];
  const sound = await deployToReaders(async (fleet, id) => {
    asked.push((await fleet.runs(id, 2)).heartbeatSeconds);
    return true;
  });
  assert.deepEqual([sound.state.status, sound.readers.size], ["succeeded", 10]);
  assert.deepEqual(asked, [1, ...Array(9).fill(10)], "the one that goes first is to be heard of soon");
});

test("who starts anew before it has applied what it was told has ended by it", async () => {
  const fleet = await open();
  const [id] = await fleet.registerAll(1);
  await fleet.register(id!, { process: "a" });
  await fleet.runs(id!, 1);
  await fleet.target.apply(ref, fleet.assignment(SPAN, 1));
  const observe = () => fleet.target.observe(ref, fleet.assignment(SPAN, 1), undefined);
  assert.deepEqual([(await observe()).failed, (await observe()).unproven], [0, 1]);
  fleet.clock.advance(1_000);
  await fleet.register(id!, { process: "b" });
  const { failed, crashed, failures } = await observe();
  assert.deepEqual([failed, crashed], [1, 1]);
  assert.match(failures[0]!.reason, /^started anew/);
  await fleet.runs(id!, 2);
  assert.equal((await observe()).failed, 0);
});

test("the first version can be taken back to none", async () => {
  const fleet = await open(1, null);
  const [id] = await fleet.registerAll(1);
  const [to] = fleet.versions;
  const first = { ...fleet.assignment(SPAN, 1), from: undefined, to: to! };
  await fleet.target.apply(ref, first);
  assert.equal(wanted(await fleet.runs(id!, 1)), 1);
  const back = { ...first, bound: 0, generation: 2 };
  await fleet.target.apply(ref, back);
  assert.equal(wanted(await fleet.beat(id!)), null);
  await fleet.runs(id!, null);
  assert.equal(counts({ ...(await fleet.target.observe(ref, back, undefined)) }), "1,0,0,1,0");
  await fleet.target.settle(ref, back, "from");
  assert.deepEqual([fleet.audited, wanted(await fleet.beat(id!))], [[], undefined]);
});

test("silent instances are swept, but not those whose heartbeats were not taken", async () => {
  const fleet = await open();
  await fleet.registerAll(2);
  for (let n = 0; n < 40; n++) {
    fleet.clock.advance(heartbeatMs);
    await fleet.beat("i-0");
    await fleet.target.observe(ref, fleet.assignment(0, 0), undefined);
  }
  const list = async (node = fleet.nodes[0]!) =>
    (await node.instances.list(ann, {}, { limit: 9 })).items.map((one) => one.instanceId);
  while ((await list()).length > 1) fleet.clock.advance(5_000);
  assert.deepEqual(await list(), ["i-0"]);
});
