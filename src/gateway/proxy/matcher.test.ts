import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Matcher, queryValue, type Subject, templateValues } from "./matcher.ts";
import { compareRanks, rankOf } from "./order.ts";
import { matchedPath } from "./path.ts";
import type { Match } from "./snapshot.route.ts";

interface Entry {
  id: string;
  priority: number;
  match: Match;
}

const subject = (
  over: Partial<Subject> & { headers?: Record<string, string>; search?: string } = {},
): Subject => ({
  method: "GET",
  host: "a.example",
  path: "/",
  header: (name) => over.headers?.[name],
  query: (name) => queryValue(over.search ?? "", name),
  ...over,
});

const table = (...entries: [id: string, match: Match, priority?: number][]) => {
  const matcher = new Matcher<Entry>();
  for (const [id, match, priority = 0] of entries) matcher.put({ id, match, priority });
  return matcher;
};

describe("the matcher", () => {
  test("takes prefixes by whole segments, the longest first", () => {
    const matcher = table(
      ["root", {}],
      ["a", { path: { prefix: "/a" } }],
      ["ab", { path: { prefix: "/a/b" } }],
    );
    const at = (path: string) => matcher.find(subject({ path }))?.id;
    assert.deepEqual(["/", "/ab", "/a", "/a/", "/a/c", "/a/b", "/a/b/c", "/a/bc"].map(at), [
      "root",
      "root",
      "a",
      "a",
      "a",
      "ab",
      "ab",
      "a",
    ]);
  });

  test("prefers exact to template to prefix", () => {
    const matcher = table(
      ["prefix", { path: { prefix: "/o" } }],
      ["template", { path: { template: "/o/{id}" } }],
      ["exact", { path: { exact: "/o/1" } }],
      ["rest", { path: { template: "/f/{name}/{rest*}" } }],
    );
    const at = (path: string) => matcher.find(subject({ path }))?.id;
    assert.deepEqual(["/o", "/o/1", "/o/2", "/o/2/x", "/f/a/b/c", "/f", "/x"].map(at), [
      "prefix",
      "exact",
      "template",
      "prefix",
      "rest",
      undefined,
      undefined,
    ]);
  });

  test("prefers an exact host to a wildcard, and the longer wildcard", () => {
    const matcher = table(
      ["any", {}],
      ["wild", { host: "*.example" }],
      ["wilder", { host: "*.b.example" }],
      ["exact", { host: "a.b.example" }],
    );
    const at = (host: string) => matcher.find(subject({ host }))?.id;
    assert.deepEqual(["a.b.example", "c.b.example", "b.example", "x.y.example", "example", "other"].map(at), [
      "exact",
      "wilder",
      "wild",
      "wild",
      "any",
      "any",
    ]);
  });

  test("a higher priority wins over everything more specific", () => {
    const matcher = table(["exact", { host: "a.example", path: { exact: "/x" } }], ["all", {}, 1]);
    assert.equal(matcher.find(subject({ path: "/x" }))?.id, "all");
  });

  test("more conditions win in the same place; what does not hold falls through", () => {
    const path = { prefix: "/a" };
    const matcher = table(
      ["plain", { path }],
      ["post", { path, methods: ["POST"] }],
      ["beta", { path, headers: [{ name: "x-beta", equals: "1" }] }],
      [
        "absent",
        {
          path,
          headers: [
            { name: "x-old", present: false },
            { name: "x-new", prefix: "v" },
          ],
        },
      ],
      ["page", { path, query: [{ name: "page", oneOf: ["1", "2"] }] }],
    );
    const find = (over: Parameters<typeof subject>[0]) => matcher.find(subject({ path: "/a", ...over }))?.id;
    assert.equal(find({}), "plain");
    assert.equal(find({ method: "POST" }), "post");
    assert.equal(find({ headers: { "x-beta": "1" } }), "beta");
    assert.equal(find({ headers: { "x-new": "v2" } }), "absent");
    assert.equal(find({ headers: { "x-new": "v2", "x-old": "1" } }), "plain");
    assert.equal(find({ search: "?page=2" }), "page");
    assert.equal(find({ search: "?page=3" }), "plain");
  });

  test("HEAD is served where GET is", () => {
    assert.equal(table(["get", { methods: ["GET"] }]).find(subject({ method: "HEAD" }))?.id, "get");
  });

  const path = fc
    .array(fc.constantFrom("a", "b", "c"), { maxLength: 3 })
    .map((parts) => `/${parts.join("/")}`);
  const match: fc.Arbitrary<Match> = fc.record(
    {
      host: fc.constantFrom("a.x", "*.x", "b.a.x", "*.a.x"),
      path: fc.oneof(
        path.map((exact) => ({ exact })),
        path.map((prefix) => ({ prefix })),
        fc
          .array(fc.constantFrom("a", "b", "{n}"), { minLength: 1, maxLength: 3 })
          .map((parts) => ({ template: `/${parts.join("/")}` })),
        fc
          .array(fc.constantFrom("a", "b", "{n}"), { maxLength: 2 })
          .map((parts) => ({ template: `/${[...parts, "{rest*}"].join("/")}` })),
      ),
      methods: fc.constantFrom(["GET"], ["POST"]),
    },
    { requiredKeys: [] },
  );
  const entries = fc.array(fc.tuple(match, fc.integer({ min: 0, max: 1 })), { maxLength: 12 });
  const asked = fc.record({
    path,
    host: fc.constantFrom("a.x", "b.a.x", "c.x", "y"),
    method: fc.constantFrom("GET", "POST"),
  });

  test("finds what a search through all routes by the written rule finds, whatever was put and removed", () => {
    fc.assert(
      fc.property(
        entries,
        fc.array(fc.nat(11)),
        fc.array(asked, { minLength: 1 }),
        (list, gone, requests) => {
          const all = list.map(([match, priority], index): Entry => ({ id: `r${index}`, match, priority }));
          const matcher = new Matcher<Entry>();
          for (const entry of all) matcher.put(entry);
          for (const index of gone) matcher.remove(`r${index}`);
          const left = all.filter((_, index) => !gone.includes(index));
          for (const request of requests) {
            const expected = left.filter((entry) => matches(entry.match, request)).sort(byRank)[0];
            assert.equal(matcher.find(subject(request))?.id, expected?.id);
          }
        },
      ),
    );
  });
});

type Request = { path: string; host: string; method: string };

function matches({ host, path, methods }: Match, request: Request): boolean {
  if (host && !(host.startsWith("*") ? request.host.endsWith(host.slice(1)) : request.host === host))
    return false;
  if (methods && !methods.includes(request.method)) return false;
  if (!path) return true;
  if ("exact" in path) return path.exact === request.path;
  if ("prefix" in path) return path.prefix === "/" || `${request.path}/`.startsWith(`${path.prefix}/`);
  const pattern = path.template.replace("{rest*}", ".*").replaceAll(/\{\w+\}/g, "[^/]+");
  return new RegExp(`^${pattern}$`).test(request.path);
}

/** By the rule alone, without the matcher's places. */
const byRank = (a: Entry, b: Entry) => compareRanks(rankOf(a), rankOf(b)) || (a.id < b.id ? -1 : 1);

test("names of a template get their values", () => {
  assert.deepEqual(templateValues("/o/{id}/{rest*}", "/o/7/a/b"), { id: "7", rest: "a/b" });
});

test("an odd path is decoded for matching, or refused when it could be read as another", () => {
  assert.equal(matchedPath("/%61dmin/%7e"), "/admin/~");
  assert.equal(matchedPath("//a///b/"), "/a/b/");
  assert.equal(matchedPath("/a%2fb;x=1"), "/a%2Fb;x=1");
  assert.equal(matchedPath("/.well-known/x"), "/.well-known/x");
  for (const bad of [
    "/a/../b",
    "/a/%2e%2E/b",
    "/./a",
    "/a/..;x/b",
    "/a/..%2fb",
    "/a\\b",
    "/a%5cb",
    "/a%00",
    "/a%zz",
    "/a%2",
    "/..",
  ]) {
    assert.equal(matchedPath(bad), undefined, bad);
  }
});
