/** `hotswap demo` does what it says, on a server of its own, and leaves nothing behind. */
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { hotswap, temporaryFolder } from "./hotswap.ts";

const leftovers = async () => (await readdir(tmpdir())).filter((name) => name.startsWith("hotswap-demo-"));

test("the demo takes a bad version back and lets a good one take over, and no request is lost by it", async () => {
  await using folder = await temporaryFolder();
  const before = await leftovers();
  // Nobody's server: the folder is empty.
  const { code, stdout, stderr } = await hotswap(["demo", "--json", "--rate", "200"], {
    HOTSWAP_DATA: folder.path,
  });
  assert.equal(code, 0, stderr + stdout);
  const { bad, good, customers } = JSON.parse(stdout);
  assert.deepEqual([bad.status, good.status], ["rolled_back", "succeeded"]);
  assert.match(bad.reason, /errors: /);
  assert.match(bad.console, /#\/deployments\//);
  assert.ok(customers.errors > 0 && customers.requests > customers.errors);
  assert.equal(customers.lost, 0);
  assert.deepEqual(await leftovers(), before);
});
