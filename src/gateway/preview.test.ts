import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { preview } from "./preview.ts";
import type { RequestRecord } from "./proxy/records.ts";
import type { RouteSpec } from "./routes.schema.ts";

const toA = [{ url: "http://a:80" }];
const route = (id: string, match: RouteSpec["match"], more: Partial<RouteSpec> = {}) => ({
  id,
  spec: { name: id, match, backends: toA, ...more } as RouteSpec,
});
let requests = 0;
const record = (path: string, over: Partial<RequestRecord> = {}): RequestRecord => ({
  ...{ id: `r${++requests}`, traceId: "", spanId: "", at: 0, worker: 0, revision: 1, method: "GET" },
  ...{
    host: "shop.example",
    path,
    protocol: "1.1",
    client: "10.0.0.1",
    status: 200,
    flags: [],
    attempts: [],
  },
  ...{ requestBytes: 0, responseBytes: 0, totalMs: 1, decidedMs: 1 },
  ...over,
});

const shop = route("shop", { path: { prefix: "/" } });
const cart = route("cart", { path: { prefix: "/cart" } });

describe("a preview", () => {
  it("counts requests that another route, or none, would take, with examples of different places", () => {
    const records = [
      ...["/cart", "/cart/1", "/cart/1"].map((path) => record(path, { route: "shop" })),
      record("/other", { route: "shop" }),
    ];
    const added = preview([shop], [shop, cart], records);
    assert.deepEqual([added.requests, added.unchanged, added.undecided], [4, 1, 0]);
    assert.deepEqual(
      added.groups.map(({ from, to, effects, count }) => [from, to, effects, count]),
      [["shop", "cart", ["route"], 3]],
    );
    assert.deepEqual(
      added.groups[0]!.examples.map(({ path }) => path),
      ["/cart", "/cart/1"],
    );
    const [gone] = preview([shop], [cart], [record("/other", { route: "shop" })]).groups;
    assert.deepEqual([gone?.from, gone?.to], ["shop", null]);
    const [found] = preview([cart], [cart, shop], [record("/other")]).groups;
    assert.deepEqual([found?.from, found?.to], [null, "shop"]);
  });

  it("says what is different for requests that stay with their route", () => {
    const effects = (more: Partial<RouteSpec>) =>
      preview([shop], [route("shop", shop.spec.match, more)], [record("/", { route: "shop" })]).groups[0]
        ?.effects;
    assert.deepEqual(effects({ backends: [{ url: "http://b:80" }] }), ["backends"]);
    assert.deepEqual(effects({ auth: { apiKey: {} }, timeouts: { totalMs: 1 } }), ["policies", "handling"]);
    assert.equal(effects({ description: "as it was" }), undefined);
    const off = preview([shop], [route("shop", {}, { enabled: false })], [record("/", { route: "shop" })]);
    assert.equal(off.groups[0]?.to, null);
  });

  it("knows that the conditions of the chosen route held, and that those of today's others did not", () => {
    const beta = route("beta", { path: { prefix: "/" }, headers: { "X-Beta": "yes" } });
    const edited = route("beta", beta.spec.match, { timeouts: { totalMs: 1 } });
    const records = [record("/", { route: "beta" }), record("/", { route: "shop" })];
    const result = preview([shop, beta], [shop, edited], records);
    assert.deepEqual([result.unchanged, result.undecided], [1, 0]);
    assert.deepEqual(
      result.groups.map(({ from, to, effects }) => [from, to, effects]),
      [["beta", "beta", ["handling"]]],
    );
  });

  it("does not guess: where a new condition decides, or the route is gone by now, it says so", () => {
    const beta = route("beta", { path: { prefix: "/" }, query: { beta: "1" } });
    assert.equal(preview([shop], [shop, beta], [record("/", { route: "shop" })]).undecided, 1);
    assert.equal(preview([shop], [shop], [record("/", { route: "deleted" })]).undecided, 1);
  });
});
