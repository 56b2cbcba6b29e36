import assert from "node:assert/strict";
import { test } from "node:test";
import { Hearing } from "./hearing.ts";

const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));

test("what is said while others are told is heard afterwards, in its order, with turns in between", async () => {
  let isTelling = false;
  const hearing = new Hearing(() => isTelling);
  assert.equal(hearing.isOpen, true);
  isTelling = true;
  const heard: number[] = [];
  for (let n = 0; n < 1_200; n++) {
    assert.equal(hearing.isOpen, false);
    hearing.wait(10, () => heard.push(n));
  }
  for (let n = 0; n < 5; n++) await turn();
  assert.deepEqual(heard, []);
  isTelling = false;
  assert.equal(hearing.isOpen, false, "who says more now comes behind what waits");
  const sizes: number[] = [];
  while (!hearing.isOpen) {
    await turn();
    sizes.push(heard.length);
  }
  assert.deepEqual(heard, [...heard.keys()]);
  assert.ok(sizes.length >= 3, `other work had ${sizes.length} turns`);
});

test("neither too many nor too much wait: then all of it is heard at once", () => {
  const hearing = new Hearing(() => true);
  let heard = 0;
  const hear = () => void heard++;
  for (let n = 0; n < 99_999; n++) hearing.wait(0, hear);
  assert.equal(heard, 0);
  hearing.wait(0, hear);
  assert.equal(heard, 100_000);
  for (let n = 0; n < 64; n++) hearing.wait(256 * 1024, hear);
  assert.equal(heard, 100_000);
  hearing.wait(1, hear);
  assert.equal(heard, 100_065);
});
