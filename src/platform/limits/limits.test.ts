import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { ManualClock, sleep, systemClock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import { seededRandom, systemRandom } from "../../core/random.ts";
import { type GcraLimit, type GcraResult, type Kv, openKv } from "../../stores/kv/index.ts";
import { MemoryKv } from "../../stores/kv/memory.ts";
import { redisServerMissing, startRedisServer } from "../../stores/redis.server.ts";
import { Limits, type LimitsEvent, limitPolicy } from "./index.ts";

/** A store that other nodes see too: the one in this process, behind a network that takes `delayMs`. */
function overNetwork(kv: MemoryKv, clock: ManualClock, delayMs: () => number) {
  const network = { up: true, asked: 0 };
  const gcra = async (key: string, limit: GcraLimit): Promise<GcraResult> => {
    network.asked++;
    await sleep(clock, delayMs());
    if (!network.up) throw new HotSwapError("store_unavailable");
    const result = kv.gcra(key, limit);
    await sleep(clock, delayMs());
    return result;
  };
  const shared: Kv = Object.assign(Object.create(kv), { shared: true, gcra });
  return { shared, network };
}

/** Runs time until all of it has happened. */
async function run(clock: ManualClock, work: Promise<unknown>): Promise<void> {
  let running = true;
  const end = () => {
    running = false;
  };
  work.then(end, end);
  for (await turn(); running; await turn())
    clock.advance(clock.nextTimer() ?? assert.fail("nothing to wait for"));
  await work;
}

suite("limits", () => {
  test("with the store in this process a check is synchronous and exact", () => {
    const clock = new ManualClock();
    const limits = new Limits({ kv: new MemoryKv({ clock }), clock });
    const policy = limitPolicy({ name: "default", burst: 3, perSecond: 1 });
    const check = (key: string) => {
      const result = limits.check(policy, key);
      assert.ok(!(result instanceof Promise));
      return result.allowed;
    };
    assert.deepEqual(
      [1, 2, 3, 4].map(() => check("a")),
      [true, true, true, false],
    );
    assert.equal(check("b"), true);
    clock.advance(1000);
    assert.deepEqual(
      [1, 2].map(() => check("a")),
      [true, false],
    );
    const other = limitPolicy({ name: "other", burst: 1, perSecond: 1 });
    assert.equal((limits.check(other, "a") as GcraResult).allowed, true);
  });

  test("nodes together allow no more than the limit and what they held, and hardly less", async (t) => {
    const first = systemRandom.below(1_000_000_000);
    t.diagnostic(`seeds from ${first}`);
    for (let seed = first; seed < first + 25; seed++) await crowd(seed);
  });

  test("a busy key costs few round trips, a refused one hardly any", async () => {
    const clock = new ManualClock();
    const { shared, network } = overNetwork(new MemoryKv({ clock }), clock, () => 0.1);
    const limits = new Limits({ kv: shared, clock });
    const policy = limitPolicy({ name: "default", burst: 20_000, perSecond: 20_000 });
    const allowed = await offer(clock, limits, policy, 19_000, 1000);
    assert.equal(allowed, 19_000);
    assert.ok(network.asked < 30, `${network.asked} round trips`);
    network.asked = 0;
    await offer(clock, limits, policy, 80_000, 1000); // empties what is left of the burst
    const busy = await offer(clock, limits, policy, 40_000, 1000);
    assert.ok(busy > 19_000 && busy <= 22_000, `${busy} allowed of a limit of 20,000`);
    assert.ok(network.asked < 500, `${network.asked} round trips`);
  });

  test("a client with little traffic loses nothing to nodes that keep what they do not need", async () => {
    const clock = new ManualClock();
    const kv = new MemoryKv({ clock });
    const nodes = Array.from({ length: 10 }, () => {
      const { shared } = overNetwork(kv, clock, () => 0);
      return new Limits({ kv: shared, clock });
    });
    const policy = limitPolicy({ name: "default", burst: 100, perSecond: 0.0001 });
    const random = seededRandom(1);
    let allowed = 0;
    const client = async () => {
      for (let i = 0; i < 110; i++) {
        const node = nodes[random.below(nodes.length)]!;
        if ((await node.check(policy, "key")).allowed) allowed++;
        await sleep(clock, 200);
      }
    };
    await run(clock, client());
    assert.equal(allowed, 100);
  });

  test("while the store is away each node limits by itself, says so once, and returns", async () => {
    const clock = new ManualClock();
    const { shared, network } = overNetwork(new MemoryKv({ clock }), clock, () => 1);
    const events: LimitsEvent["kind"][] = [];
    const limits = new Limits({ kv: shared, clock, report: ({ kind }) => events.push(kind) });
    const policy = limitPolicy({ name: "default", burst: 5, perSecond: 0.001 });
    const check = async () => {
      const results: boolean[] = [];
      for (let i = 0; i < 7; i++) results.push((await limits.check(policy, "key")).allowed);
      return results;
    };
    network.up = false;
    const several = Promise.all([check(), check(), check(), check()]);
    await run(clock, several);
    assert.equal((await several).flat().filter(Boolean).length, 5, "away is not without limit");
    assert.equal(network.asked, 1, "a store that is away is left alone");
    assert.deepEqual([events, limits.degraded, limits.checkedAlone], [["degraded"], true, 28]);
    network.up = true;
    clock.advance(250);
    const again = check();
    await run(clock, again);
    assert.equal((await again).filter(Boolean).length, 5);
    assert.deepEqual([events, limits.degraded], [["degraded", "restored"], false]);
  });
});

/** Offers `count` requests evenly over `ms`; resolves to how many were allowed. None may wait for long. */
async function offer(
  clock: ManualClock,
  limits: Limits,
  policy: ReturnType<typeof limitPolicy>,
  count: number,
  ms: number,
): Promise<number> {
  let allowed = 0;
  const perStep = count / ms;
  const one = async () => {
    const start = clock.monotonic();
    if ((await limits.check(policy, "key")).allowed) allowed++;
    assert.ok(clock.monotonic() - start < 5, "a request waited");
  };
  const requests: Promise<void>[] = [];
  const arrivals = async () => {
    for (let step = 0; step < ms; step++) {
      for (let i = 0; i < perStep; i++) requests.push(one());
      await sleep(clock, 1);
    }
  };
  await run(clock, arrivals());
  await run(clock, Promise.all(requests));
  return allowed;
}

/**
 * Several nodes, bursts of requests of several costs, slow answers; every grant is written down and
 * counted.
 */
async function crowd(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const clock = new ManualClock();
  const kv = new MemoryKv({ clock });
  const policy = limitPolicy({
    name: "default",
    burst: 1 + random.below(200),
    perSecond: 1 + random.below(500),
  });
  const nodeCount = 1 + random.below(4);
  const granted: { at: number; cost: number }[] = [];
  const node = async () => {
    const { shared } = overNetwork(kv, clock, () => random.number() * 3);
    const limits = new Limits({ kv: shared, clock });
    const request = async (cost: number) => {
      if ((await limits.check(policy, "key", cost)).allowed) granted.push({ at: clock.monotonic(), cost });
    };
    const requests: Promise<void>[] = [];
    for (let i = 0; i < 200; i++) {
      const cost = Math.min(policy.burst, random.below(8) ? 1 : 1 + random.below(10));
      requests.push(request(cost));
      if (random.below(3) === 0) await sleep(clock, random.number() ** 3 * 200);
    }
    await Promise.all(requests);
  };
  await run(clock, Promise.all(Array.from({ length: nodeCount }, node)));
  // Over every window that begins with a grant. Answers are up to 6 ms late, so a window is that much
  // longer.
  const held = nodeCount * Math.floor(policy.burst / 10);
  for (const [first, { at: from }] of granted.entries()) {
    let sum = 0;
    for (const { at, cost } of granted.slice(first)) {
      sum += cost;
      const most = policy.burst + held + (at - from + 6) / policy.intervalMs + 1;
      assert.ok(sum <= most, `seed ${seed}: ${sum} allowed where at most ${most} may be`);
    }
  }
  assert.ok(granted.reduce((sum, { cost }) => sum + cost, 0) >= policy.burst * 0.8, `seed ${seed}: too few`);
}

const skip = redisServerMissing();
test("two nodes on a real Redis share one limit, and go on when it is killed", { skip }, async () => {
  const server = await startRedisServer();
  const clock = systemClock;
  const degraded = Promise.withResolvers<void>();
  const open = async () => {
    const kv = await openKv({ url: server.url, clock, timeoutMs: 10_000 });
    await kv.start();
    return { kv, limits: new Limits({ kv, clock, report: () => degraded.resolve() }) };
  };
  const nodes = [await open(), await open()];
  const policy = limitPolicy({ name: "default", burst: 1000, perSecond: 0.01 });
  const check = async (count: number, key = "key") => {
    const results = Array.from({ length: count }, (_, i) => nodes[i % 2]!.limits.check(policy, key));
    return (await Promise.all(results)).filter((result) => result.allowed).length;
  };
  let allowed = 0;
  for (let i = 0; i < 20; i++) allowed += await check(100);
  assert.ok(allowed >= 900 && allowed <= 1000, `${allowed} of 1000`);
  for (const { limits } of nodes) {
    while ((await limits.check(policy, "key")).retryAfterMs < 1000) await sleep(clock, 1); // asked by itself
  }
  await server.kill();
  assert.equal(await check(10), 0, "what is known to be used up stays so");
  assert.equal(await check(10, "another key"), 10);
  await degraded.promise;
  await Promise.all(nodes.map(({ kv }) => kv.stop()));
  await server.stop();
});
