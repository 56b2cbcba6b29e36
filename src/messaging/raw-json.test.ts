import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { rawElements, rawMembers } from "./raw-json.ts";

describe("raw JSON", () => {
  it("finds each member's own bytes, in whatever way the text is written", () => {
    const text = Buffer.from(` { "a" : 1.50 ,"b\\"":[1, {"c":"]}"}] , "payload":"x\\\\\\"y" } `);
    const members = rawMembers(text);
    assert.deepEqual(
      [...members].map(([name, bytes]) => [name, bytes.toString()]),
      [
        ["a", "1.50"],
        [`b"`, `[1, {"c":"]}"}]`],
        ["payload", `"x\\\\\\"y"`],
      ],
    );
  });

  it("takes the last of two members of one name, as JSON.parse does", () => {
    assert.equal(rawMembers(Buffer.from(`{"a":1,"a":2}`)).get("a")?.toString(), "2");
  });

  it("agrees with JSON.parse for any object, however it is indented", () => {
    const indent = fc.constantFrom(undefined, 1, "\t", "\r\n  ");
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue()), indent, (object, space) => {
        const text = Buffer.from(JSON.stringify(object, null, space));
        const parsed = JSON.parse(text.toString()) as Record<string, unknown>;
        const members = rawMembers(text);
        assert.deepEqual(new Set(members.keys()), new Set(Object.keys(parsed)));
        for (const [name, bytes] of members) assert.deepEqual(JSON.parse(bytes.toString()), parsed[name]);
      }),
      { numRuns: 2000 },
    );
  });

  it("agrees with JSON.parse for any array", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), (array) => {
        const text = Buffer.from(JSON.stringify(array, null, 2));
        const elements = rawElements(text).map((bytes) => JSON.parse(bytes.toString()) as unknown);
        assert.deepEqual(elements, JSON.parse(text.toString()));
      }),
    );
  });
});
