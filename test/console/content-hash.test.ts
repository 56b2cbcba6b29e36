import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { canonical, contentHash } from "../../console/src/approvals/content-hash.ts";
import { canonicalJson } from "../../src/core/json.ts";

test("the console computes the hash of a content as the server does", () =>
  fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (value) => {
      const text = canonicalJson(value);
      assert.equal(canonical(value), text);
      assert.equal(await contentHash(value), createHash("sha256").update(text).digest("hex"));
    }),
  ));
