import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../core/clock.ts";
import { hasCode } from "../../core/errors.ts";
import { MemoryKv } from "../../stores/kv/memory.ts";
import { addressKey, Limits, limitPolicy, rateLimitHeaders, requestLimit, subjectKey } from "./index.ts";

const perMinute = limitPolicy({ name: "default", burst: 1000, perSecond: 1000 / 60 });

test("the fields are those of the draft, seconds rounded up", () => {
  const limits = new Limits({ kv: new MemoryKv({ clock: new ManualClock() }), clock: new ManualClock() });
  const headers = (cost: number) => {
    const result = limits.check(perMinute, "key", cost);
    assert.ok(!(result instanceof Promise));
    return rateLimitHeaders(perMinute, result);
  };
  const policy = { "ratelimit-policy": '"default";q=1000;w=60' };
  assert.deepEqual(headers(0), { ...policy, ratelimit: '"default";r=1000;t=0' });
  assert.deepEqual(headers(1), { ...policy, ratelimit: '"default";r=999;t=1' });
  assert.deepEqual(headers(999), { ...policy, ratelimit: '"default";r=0;t=1' });
  assert.deepEqual(headers(1), { ...policy, ratelimit: '"default";r=0;t=1', "retry-after": "1" });
  assert.deepEqual(headers(500), { ...policy, ratelimit: '"default";r=0;t=1', "retry-after": "30" });
});

test("the time in RateLimit is when the next one becomes available", () => {
  const policy = limitPolicy({ name: "slow", burst: 5, perSecond: 0.1 });
  assert.equal(policy.field, '"slow";q=5;w=50');
  const clock = new ManualClock();
  const limits = new Limits({ kv: new MemoryKv({ clock }), clock });
  const field = (cost: number) =>
    rateLimitHeaders(policy, limits.check(policy, "key", cost) as never).ratelimit;
  assert.equal(field(3), '"slow";r=2;t=10');
  clock.advance(4_000);
  assert.equal(field(0), '"slow";r=2;t=6');
  clock.advance(6_001);
  assert.equal(field(0), '"slow";r=3;t=10');
});

test("a policy that cannot be meant is refused", () => {
  for (const numbers of [{ burst: 0 }, { burst: 1.5 }, { perSecond: 0 }, { perSecond: Number.NaN }]) {
    assert.throws(
      () => limitPolicy({ name: "default", burst: 1, perSecond: 1, ...numbers }),
      (error) => hasCode(error, "setting_invalid"),
    );
  }
  assert.throws(() => limitPolicy({ name: 'a"', burst: 1, perSecond: 1 }), RangeError);
});

test("an address counts as the network that its owner can choose from", () => {
  const keys: Record<string, string> = {
    "192.0.2.7": "192.0.2.7",
    "::ffff:192.0.2.7": "192.0.2.7",
    "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
    "2001:DB8:0001:2::": "2001:db8:1:2::/64",
    "2001:db8::1": "2001:db8:0:0::/64",
    "2001:db8::1:2:3:4:5": "2001:db8:0:1::/64",
    "fe80::1%eth0": "fe80:0:0:0::/64",
    "::1": "0:0:0:0::/64",
    "64:ff9b::192.0.2.7": "64:ff9b:0:0::/64",
    "1:2:3::4:5:192.0.2.7": "1:2:3:0::/64",
  };
  for (const [address, key] of Object.entries(keys)) assert.equal(addressKey(address), key, address);
  assert.equal(addressKey(undefined), "unknown");
});

test("no two principals share a key, whatever is in their names", () => {
  const names = ["", "a", "b", "a/b", "1:a", "/", "x".repeat(300), `${"x".repeat(299)}y`];
  const keys = names.flatMap((tenant) => names.map((subject) => subjectKey(tenant, subject)));
  assert.equal(new Set(keys).size, keys.length);
  assert.ok(keys.every((key) => key.length <= 300));
  assert.ok(subjectKey("a", "\ud800").isWellFormed());
});

test("a request counts for its principal, or for its address when it has none", () => {
  const clock = new ManualClock();
  const policy = limitPolicy({ name: "default", burst: 2, perSecond: 1 });
  const limit = requestLimit(new Limits({ kv: new MemoryKv({ clock }), clock }), policy);
  const request = (remoteAddress: string) => ({ socket: { remoteAddress } });
  const ann = { tenant: "acme", subject: "ann" };
  const allowed = (principal: typeof ann, address: string) => {
    const outcome = limit(principal, request(address));
    return !(outcome instanceof Promise) && outcome.result.allowed;
  };
  assert.deepEqual(
    ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map((address) => allowed(ann, address)),
    [true, true, false],
  );
  assert.equal(allowed({ tenant: "other", subject: "ann" }, "192.0.2.1"), true);
  const anonymous = { tenant: "", subject: "anonymous" };
  assert.deepEqual(
    [1, 2, 3].map(() => allowed(anonymous, "192.0.2.1")),
    [true, true, false],
  );
  assert.equal(allowed(anonymous, "192.0.2.2"), true);
});
