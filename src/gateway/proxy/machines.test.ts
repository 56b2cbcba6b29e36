/** The state machines of health, breaker, ejection, retry budget and balancing, against their rules. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hash32 } from "../../core/hash.ts";
import { type Asker, Balancer } from "./balance.ts";
import { admit, breakerSettings, failed, mayAdmit, stateOf, succeeded, withdrawn } from "./breaker.ts";
import { afterCheck, HEALTHY, healthSettings } from "./health.ts";
import { LIMIT_BYTES, RateLimits } from "./limits.ts";
import { isEjected, observe, outlierSettings } from "./outlier.ts";
import { backoffMs, RetryBudget, retrySettings } from "./retry.ts";
import { allocateShared, BackendCells, CELL } from "./shared.ts";

const cellsOf = () => new BackendCells(allocateShared(1, 16), 3, 0);

describe("the breaker", () => {
  const settings = breakerSettings({ failures: 3, openMs: 1000, halfOpenRequests: 2 });

  test("opens after failures in a row, lets through as many as may try, closes when all went well", () => {
    const cells = cellsOf();
    failed(cells, settings, 0);
    failed(cells, settings, 0);
    succeeded(cells, settings);
    failed(cells, settings, 0);
    failed(cells, settings, 0);
    assert.equal(stateOf(cells, settings), "closed");
    assert.equal(failed(cells, settings, 0), "open");
    assert.equal(admit(cells, settings, 999), false);
    assert.deepEqual(
      [admit(cells, settings, 1000), admit(cells, settings, 1000), admit(cells, settings, 1000)],
      [true, true, false],
    );
    assert.equal(succeeded(cells, settings), undefined);
    assert.equal(succeeded(cells, settings), "closed");
    assert.equal(admit(cells, settings, 1001), true);
  });

  test("opens again when the trial fails; a caller that left gives its permit back; a lost permit comes back in time", () => {
    const cells = cellsOf();
    for (let i = 0; i < 3; i++) failed(cells, settings, 0);
    assert.equal(admit(cells, settings, 1000), true);
    assert.equal(failed(cells, settings, 1100), "open");
    assert.equal(admit(cells, settings, 2099), false);
    assert.deepEqual(
      [admit(cells, settings, 2100), admit(cells, settings, 2100), admit(cells, settings, 2100)],
      [true, true, false],
    );
    withdrawn(cells);
    assert.deepEqual([admit(cells, settings, 2101), admit(cells, settings, 2102)], [true, false]);
    assert.equal(admit(cells, settings, 3100), true);
  });

  test("by hand it is open or closed whatever happens", () => {
    const cells = cellsOf();
    assert.equal(admit(cells, breakerSettings({ override: "open" }), 0), false);
    const closed = breakerSettings({ failures: 1, override: "closed" });
    failed(cells, closed, 0);
    assert.equal(admit(cells, closed, 0), true);
  });

  const step = fc.record({
    what: fc.constantFrom("ask", "ok", "bad", "left"),
    afterMs: fc.integer({ min: 0, max: 600 }),
  });

  test("never lets more through half-open than it has permits, and says beforehand what it will do", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const cells = cellsOf();
        let now = 0;
        let out = 0;
        let trials = 0;
        for (const { what, afterMs } of steps) {
          now += afterMs;
          if (what === "ask") {
            const before = stateOf(cells, settings);
            const foreseen = mayAdmit(cells, settings, now);
            const admitted = admit(cells, settings, now);
            assert.equal(admitted, foreseen);
            if (before === "closed") assert.ok(admitted);
            if (admitted) out++;
            if (stateOf(cells, settings) !== "half-open") trials = 0;
            else if (admitted) trials++;
          } else if (out > 0) {
            out--;
            if (what === "ok") succeeded(cells, settings);
            else if (what === "bad") failed(cells, settings, now);
            else withdrawn(cells);
          }
          assert.ok(cells.get(CELL.breakerPermits) >= 0);
          assert.ok(trials >= 0);
        }
        // Whatever came before: after a pause, successes close it.
        now += 10_000;
        for (let i = 0; i < 4; i++) if (admit(cells, settings, now)) succeeded(cells, settings);
        assert.equal(stateOf(cells, settings), "closed");
      }),
    );
  });
});

describe("outlier detection", () => {
  const settings = outlierSettings({ consecutiveFailures: 2, ejectMs: 100 });

  test("ejects after failures in a row, for longer each time that follows soon, and never when it may not", () => {
    const cells = cellsOf();
    const fail = (now: number, may = true) => observe(cells, settings, false, now, () => may);
    assert.deepEqual([fail(0), fail(0, false), fail(0)], [false, false, true]);
    assert.equal(isEjected(cells, 99), true);
    assert.equal(isEjected(cells, 100), false);
    assert.deepEqual([fail(100), fail(100)], [false, true]);
    assert.deepEqual([isEjected(cells, 299), isEjected(cells, 300)], [true, false]);
    observe(cells, settings, true, 300, () => true);
    assert.deepEqual(
      [fail(9000), fail(9000), isEjected(cells, 9099), isEjected(cells, 9100)],
      [false, true, true, false],
    );
  });
});

test("health turns after failures, or successes, in a row", () => {
  const settings = healthSettings({ path: "/", unhealthyAfter: 3, healthyAfter: 2 });
  const after = (checks: string) =>
    [...checks].reduce((health, one) => afterCheck(health, settings, one === "+"), HEALTHY).healthy;
  assert.deepEqual(["--", "--+--", "---", "---+", "---+-+", "---++"].map(after), [
    true,
    true,
    false,
    false,
    false,
    true,
  ]);
});

describe("retries", () => {
  test("are at most a share of the requests of ten seconds, and a few a second", () => {
    const settings = retrySettings({ budget: 0.1, budgetFloor: 1 });
    const budget = new RetryBudget();
    for (let i = 0; i < 200; i++) budget.request(5000);
    let taken = 0;
    for (let i = 0; i < 100; i++) if (budget.take(settings, 5500)) taken++;
    assert.equal(taken, 30);
    assert.equal(budget.take(settings, 16_000), true);
  });

  test("an outage of everything is not multiplied, however it is spread", () => {
    const settings = retrySettings();
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 300 }), (gaps) => {
        const budget = new RetryBudget();
        let now = 0;
        let retries = 0;
        for (const gap of gaps) {
          now += gap;
          budget.request(now);
          if (budget.take(settings, now)) retries++;
        }
        const windows = Math.ceil((now + 1) / 10_000) + 1;
        assert.ok(retries <= gaps.length * settings.budget + windows * 10 * settings.budgetFloor);
      }),
    );
  });

  test("back off exponentially, with jitter, within a bound", () => {
    const settings = retrySettings({ backoffMs: 100 });
    assert.deepEqual(
      [1, 2, 3].map((retry) => backoffMs(settings, retry, 0)),
      [50, 100, 200],
    );
    assert.ok(backoffMs(settings, 30, 0.999) <= 2000);
  });
});

class Fake {
  readonly hash: number;
  inFlight = 0;
  fit = true;
  open = true;
  warm = 1;
  readonly id: string;
  constructor(id: string) {
    this.id = id;
    this.hash = hash32(id);
  }
  admits = () => this.open;
  isFit = () => this.fit;
  warmth = () => this.warm;
}

describe("balancing", () => {
  const asker = (client = "1.2.3.4", headers: Record<string, string> = {}): Asker => ({
    client,
    header: (name) => headers[name],
    cookie: (name) => headers[name],
  });
  const fakes = (count: number) => Array.from({ length: count }, (_, index) => new Fake(`b${index}`));
  const over = (
    strategy: ConstructorParameters<typeof Balancer<Fake>>[0],
    backends: Fake[],
    weights: number[] = [],
  ) =>
    new Balancer<Fake>(
      strategy,
      backends.map((backend, i) => ({ backend, weight: weights[i] ?? 1 })),
      () => 0.5,
    );
  const draw = (balancer: Balancer<Fake>, count: number, who = asker()) =>
    Array.from({ length: count }, () => balancer.choose(0, who, [])?.id);
  const tally = (ids: (string | undefined)[]) =>
    Object.fromEntries(
      Map.groupBy(ids, (id) => id ?? "none")
        .entries()
        .map(([id, all]) => [id, all.length]),
    );

  test("round-robin gives each the same, whatever weights of 0 stand between", () => {
    assert.deepEqual(tally(draw(over({ kind: "round-robin" }, fakes(4), [1, 0, 1, 1]), 300)), {
      b0: 100,
      b2: 100,
      b3: 100,
    });
  });

  test("weighted round-robin is exact and smooth", () => {
    const ids = draw(over({ kind: "weighted" }, fakes(3), [5, 1, 1]), 700);
    assert.deepEqual(tally(ids), { b0: 500, b1: 100, b2: 100 });
    assert.ok(!ids.join("").includes("b0b0b0b0b0"), "never five of the heavy one in a row");
  });

  test("any weights, any of them unfit: shares are those of the weights among the fit", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.boolean()), { minLength: 2, maxLength: 6 }),
        (all) => {
          const backends = fakes(all.length);
          for (const [index, [, fit]] of all.entries()) backends[index]!.fit = fit;
          const usable = all.some(([weight, fit]) => weight > 0 && fit)
            ? (i: number) => all[i]![1]
            : () => true;
          const total = all.reduce((sum, [weight], i) => sum + (usable(i) ? weight : 0), 0);
          const counts = tally(
            draw(
              over(
                { kind: "weighted" },
                backends,
                all.map(([weight]) => weight),
              ),
              total * 10,
            ),
          );
          for (const [i, [weight]] of all.entries()) {
            const expected = usable(i) ? weight * 10 : 0;
            assert.ok(
              Math.abs((counts[`b${i}`] ?? 0) - expected) <= 1,
              `b${i}: ${counts[`b${i}`]} of ${expected}`,
            );
          }
        },
      ),
    );
  });

  test("least connections and two choices follow the load and the weights", () => {
    const backends = fakes(3);
    backends[0]!.inFlight = 5;
    backends[1]!.inFlight = 1;
    backends[2]!.inFlight = 5;
    assert.deepEqual(tally(draw(over({ kind: "least-connections" }, backends), 9)), { b1: 9 });
    assert.equal(draw(over({ kind: "least-connections" }, backends, [1, 1, 10]), 1)[0], "b2");
    assert.equal(draw(over({ kind: "two-choices" }, backends.slice(0, 2)), 1)[0], "b1");
  });

  test("IP hash keeps a client at its backend; when one goes, only its own clients move", () => {
    const backends = fakes(5);
    const balancer = over({ kind: "ip-hash" }, backends);
    const at = () =>
      Array.from({ length: 500 }, (_, i) => balancer.choose(0, asker(`10.0.${i >> 8}.${i & 255}`), [])!.id);
    const before = at();
    for (const count of Object.values(tally(before))) assert.ok(count > 50 && count < 150);
    backends[2]!.fit = false;
    for (const [i, id] of at().entries()) assert.ok(id !== "b2" && (before[i] === "b2" || before[i] === id));
    backends[2]!.fit = true;
    assert.deepEqual(at(), before);
  });

  test("by header, with a default; sticky while the backend is usable", () => {
    const backends = fakes(3);
    const byHeader = over(
      { kind: "header", header: "x-v", byValue: { beta: "b1" }, otherwise: "b2" },
      backends,
    );
    assert.deepEqual(
      [draw(byHeader, 1, asker("", { "x-v": "beta" }))[0], draw(byHeader, 1)[0]],
      ["b1", "b2"],
    );
    assert.equal(draw(byHeader, 1, asker("", { "x-v": "constructor" }))[0], "b2", "no name of every object");
    backends[1]!.fit = false;
    assert.deepEqual(tally(draw(byHeader, 4, asker("", { "x-v": "beta" }))), { b2: 4 }, "the default first");
    backends[2]!.fit = false;
    assert.equal(draw(byHeader, 1, asker("", { "x-v": "beta" }))[0], "b0");
  });

  test("an unfit one is used when no other is; an open breaker never", () => {
    const backends = fakes(2);
    for (const backend of backends) backend.fit = false;
    assert.deepEqual(tally(draw(over({ kind: "round-robin" }, backends), 10)), { b0: 5, b1: 5 });
    backends[0]!.open = false;
    assert.deepEqual(tally(draw(over({ kind: "round-robin" }, backends), 10)), { b1: 10 });
    backends[1]!.open = false;
    assert.deepEqual(tally(draw(over({ kind: "round-robin" }, backends), 2)), { none: 2 });
    const [alone] = fakes(1);
    alone!.fit = false;
    assert.equal(draw(over({ kind: "least-connections" }, [alone!]), 1)[0], "b0");
  });

  test("one that starts slowly gets its share by and by; another is chosen for a retry", () => {
    const backends = fakes(2);
    backends[0]!.warm = 0.1;
    const counts = tally(draw(over({ kind: "round-robin" }, backends), 110));
    assert.deepEqual(counts, { b0: 10, b1: 100 });
    assert.equal(over({ kind: "round-robin" }, backends).choose(0, asker(), [backends[1]!])?.id, "b0");
  });
});

describe("rate limits", () => {
  test("allow the burst at once and then the rate, per key", () => {
    const limits = new RateLimits(new SharedArrayBuffer(LIMIT_BYTES));
    const take = (now: number, key = "a") => limits.take(key, 3, 10, now);
    assert.deepEqual(
      [0, 0, 0, 0].map((now) => take(now).allowed),
      [true, true, true, false],
    );
    assert.deepEqual(take(0, "b"), { allowed: true, remaining: 2, retryAfterMs: 0, resetMs: 100 });
    assert.equal(take(50).retryAfterMs, 50);
    assert.deepEqual(
      [100, 100].map((now) => take(now).allowed),
      [true, false],
    );
  });

  test("never allow more than burst and rate together, in any rhythm", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 200 }), { maxLength: 200 }), (gaps) => {
        const limits = new RateLimits(new SharedArrayBuffer(LIMIT_BYTES));
        let now = 1000;
        let allowed = 0;
        for (const gap of gaps) {
          now += gap;
          if (limits.take("k", 5, 20, now).allowed) allowed++;
        }
        assert.ok(allowed <= 5 + Math.ceil(((now - 1000) / 1000) * 20));
      }),
      { numRuns: 30 },
    );
  });
});
