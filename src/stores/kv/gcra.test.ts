import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import fc from "fast-check";
import { createClient } from "redis";
import { ManualClock } from "../../core/clock.ts";
import { type RedisServer, redisServerMissing, startRedisServer } from "../redis.server.ts";
import { gcra } from "./gcra.ts";
import { MemoryKv } from "./memory.ts";
import type { GcraResult } from "./port.ts";
import { gcraOf } from "./redis.scripts.ts";
import { gcraReply } from "./redis.ts";

/** Whole numbers of microseconds, so that the model can count exactly. */
const histories = fc.record({
  burst: fc.integer({ min: 1, max: 50 }),
  intervalUs: fc.oneof(fc.integer({ min: 20, max: 2000 }), fc.integer({ min: 1000, max: 10_000_000 })),
  steps: fc.array(
    fc.record({
      waitUs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 20_000_000 })),
      cost: fc.nat(70),
    }),
    { minLength: 1, maxLength: 40 },
  ),
});
type History = typeof histories extends fc.Arbitrary<infer H> ? H : never;

/** The same rule told another way: a bucket of tokens, in integers. Tokens may be owed. */
function model({ burst, intervalUs, steps }: History): GcraResult[] {
  let tokensUs = burst * intervalUs;
  return steps.map(({ waitUs, cost }) => {
    tokensUs = Math.min(burst * intervalUs, tokensUs + waitUs);
    const neededUs = Math.min(cost, burst) * intervalUs;
    const allowed = tokensUs >= neededUs;
    const retryAfterMs = allowed ? 0 : (neededUs - tokensUs) / 1000;
    if (allowed) tokensUs -= cost * intervalUs;
    return {
      allowed,
      remaining: Math.max(0, Math.floor(tokensUs / intervalUs)),
      retryAfterMs,
      resetMs: (burst * intervalUs - tokensUs) / 1000,
    };
  });
}

function assertSame(actual: GcraResult, expected: GcraResult): void {
  assert.equal(actual.allowed, expected.allowed);
  assert.equal(actual.remaining, expected.remaining);
  assert.ok(Math.abs(actual.retryAfterMs - expected.retryAfterMs) < 0.01, "retryAfterMs");
  assert.ok(Math.abs(actual.resetMs - expected.resetMs) < 0.01, "resetMs");
}

test("the memory store counts as the model does", () => {
  fc.assert(
    fc.property(histories, (history) => {
      const clock = new ManualClock();
      const kv = new MemoryKv({ clock });
      const expected = model(history);
      history.steps.forEach(({ waitUs, cost }, i) => {
        clock.advance(waitUs / 1000);
        const result = kv.gcra("key", { burst: history.burst, intervalMs: history.intervalUs / 1000, cost });
        assertSame(result, expected[i]!);
      });
    }),
    { numRuns: 500 },
  );
});

test("over any window no more is allowed than the burst and what the window refills", () => {
  fc.assert(
    fc.property(histories, ({ burst, intervalUs, steps }) => {
      const intervalMs = intervalUs / 1000;
      let now = 0;
      let wholeAt: number | undefined;
      const taken: { at: number; cost: number }[] = [];
      for (const step of steps) {
        now += step.waitUs / 1000;
        const cost = Math.min(step.cost, burst);
        const outcome = gcra(wholeAt, now, { burst, intervalMs, cost });
        wholeAt = outcome.wholeAt;
        if (outcome.result.allowed) taken.push({ at: now, cost });
      }
      for (const [first, { at: from }] of taken.entries()) {
        let sum = 0;
        for (const { at, cost } of taken.slice(first)) {
          sum += cost;
          assert.ok(sum <= burst + (at - from) / intervalMs + 0.1);
        }
      }
    }),
    { numRuns: 300 },
  );
});

const skip = redisServerMissing();
suite("gcra in Redis", { skip }, () => {
  let server: RedisServer;
  const client = () => createClient({ url: server.url });
  let redis: ReturnType<typeof client>;
  before(async () => {
    server = await startRedisServer();
    redis = client();
    redis.on("error", () => {});
    await redis.connect();
  });
  after(async () => {
    redis.destroy();
    await server.stop();
  });

  test("the script counts as the model does, time being an argument", async () => {
    const script = gcraOf("tonumber(ARGV[4])");
    let run = 0;
    await fc.assert(
      fc.asyncProperty(histories, async (history) => {
        const key = `run ${run++}`;
        const expected = model(history);
        let nowMs = 80_000_000_000; // as far from the script's epoch as a server of 2026 is
        const results = history.steps.map(({ waitUs, cost }) => {
          nowMs += waitUs / 1000;
          const { burst, intervalUs } = history;
          return redis.eval(script.replace("'PX', math.ceil(after - now)", "'PX', 60000"), {
            keys: [key],
            arguments: [burst, intervalUs / 1000, cost, nowMs].map(String),
          });
        });
        for (const [i, reply] of (await Promise.all(results)).entries()) {
          assertSame(gcraReply(reply), expected[i]!);
        }
      }),
      { numRuns: 150 },
    );
  });

  test("the state of a limit is gone when the limit is whole", async () => {
    const script = gcraOf("tonumber(ARGV[4])");
    await redis.eval(script, { keys: ["ttl"], arguments: ["5", "1000.5", "2", "100"] });
    const ttlMs = await redis.pTTL("ttl");
    assert.ok(ttlMs > 1000 && ttlMs <= 2001, `${ttlMs}`);
    await redis.eval(script, { keys: ["look"], arguments: ["5", "1000", "0", "100"] });
    assert.equal(await redis.exists("look"), 0);
  });
});
