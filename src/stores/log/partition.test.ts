/** When what becomes visible, and what a failing disk does to an append; on a disk that works step by step. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../core/clock.ts";
import { type HotSwapError, hasCode } from "../../core/errors.ts";
import { seededRandom } from "../../core/random.ts";
import { noFaults, SimulatedDisk } from "./disk.simulated.ts";
import { type LogLimits, openLog } from "./index.ts";
import type { LogPartition } from "./port.ts";

const random = seededRandom(1);
const tick = () => new Promise<void>((resolve) => setImmediate(resolve));
const body = (text: string) => [Buffer.from(text)];

/** Lets the disk work until the promise has settled. */
async function drive<T>(disk: SimulatedDisk, promise: Promise<T>): Promise<T> {
  let settled = false;
  const done = promise.finally(() => {
    settled = true;
  });
  done.catch(() => {}); // the caller sees it
  while (!settled) {
    disk.step();
    await tick();
  }
  return done;
}

async function begin(disk: SimulatedDisk, limits: Partial<LogLimits> = {}) {
  const clock = new ManualClock();
  const log = openLog({ disk, clock, random, limits });
  await drive(disk, log.start());
  return { log, clock, partition: await drive(disk, log.partition("p")) };
}

async function bodies(disk: SimulatedDisk, partition: LogPartition): Promise<string[]> {
  const records = await drive(disk, partition.read(partition.start, { records: 1e6, bytes: 1e9 }));
  return records.map((record) => record.body.toString());
}

/** The names of what has resolved so far, in order. */
function watch(appends: Record<string, Promise<number>>): string[] {
  const resolved: string[] = [];
  for (const [name, append] of Object.entries(appends)) {
    append.then(
      () => resolved.push(name),
      (error: HotSwapError) => resolved.push(`${name}: ${error.code}`),
    );
  }
  return resolved;
}

test("within one group each append resolves at its own level, in order", async () => {
  const disk = new SimulatedDisk({ random });
  const { partition } = await begin(disk);
  await drive(disk, partition.append(body("first"), "fsync"));
  const resolved = watch({
    memory: partition.append(body("a"), "memory"),
    os: partition.append(body("b"), "os"),
    fsync: partition.append(body("c"), "fsync"),
    late: partition.append(body("d"), "memory"),
  });
  await tick();
  assert.deepEqual([resolved, partition.end], [["memory"], 2]);
  await tick();
  disk.step(); // the write
  await tick();
  assert.deepEqual([resolved, partition.end], [["memory", "os"], 3]);
  disk.step(); // the sync
  await tick();
  assert.deepEqual([resolved, partition.end], [["memory", "os", "fsync", "late"], 5]);
});

test("a group gathers while the one before it is under way", async () => {
  const disk = new SimulatedDisk({ random });
  const { partition } = await begin(disk);
  await drive(disk, partition.append(body("first"), "fsync"));
  const one = partition.append(body("1"), "fsync");
  await tick();
  const others = Array.from({ length: 50 }, (_, i) => partition.append(body(`${i + 2}`), "fsync"));
  await drive(disk, one);
  let steps = 0;
  while (partition.end < 52) {
    if (disk.step()) steps += 1;
    await tick();
  }
  assert.equal(steps, 2);
  assert.deepEqual(
    await Promise.all(others),
    others.map((_, i) => i + 2),
  );
});

test("more than may wait is refused as overloaded, and nothing of it stays", async () => {
  const disk = new SimulatedDisk({ random });
  const { partition } = await begin(disk, { recordBytes: 100, pendingBytes: 1000, pendingTotalBytes: 2000 });
  const taken = Array.from({ length: 10 }, () => partition.append([Buffer.alloc(84)], "fsync"));
  const refused = partition.append([Buffer.alloc(84)], "memory");
  await assert.rejects(refused, (error) => hasCode(error, "overloaded") && error.retryAfterMs !== undefined);
  await drive(disk, Promise.all(taken));
  assert.equal(partition.end, 10);
  assert.equal(await drive(disk, partition.append([Buffer.alloc(84)], "memory")), 10);
});

test("a full disk rejects the append, keeps what was visible, and takes more once there is room", async () => {
  const disk = new SimulatedDisk({ random });
  const { log, clock, partition } = await begin(disk);
  await drive(disk, partition.append(body("kept"), "fsync"));
  disk.capacityBytes = 150;
  assert.equal(await partition.append(body("visible, not written"), "memory"), 1);
  const full = partition.append([Buffer.alloc(200)], "fsync");
  await assert.rejects(drive(disk, full), (error) => hasCode(error, "disk_full"));
  assert.deepEqual(await bodies(disk, partition), ["kept", "visible, not written"]);
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  assert.equal(await drive(disk, partition.append(body("next"), "fsync")), 2);
  clock.advance(1000);
  await drive(disk, log.stop());
  const { partition: again } = await begin(disk.crash());
  assert.equal(again.end, 3);
});

test("what a failed sync has left on the disk is not there after a crash", async () => {
  for (let seed = 0; seed < 200; seed++) {
    const disk = new SimulatedDisk({ random: seededRandom(seed) });
    const { partition } = await begin(disk);
    await drive(disk, partition.append(body("kept"), "fsync"));
    await drive(disk, partition.append(body("os"), "os"));
    disk.faults = { ...noFaults, sync: 1 };
    const outcome = partition.append(body("rejected"), "fsync").then(
      () => "stored",
      (error: HotSwapError) => error.code,
    );
    for (let i = 0; i < 12; i++) {
      await tick();
      disk.step();
      if (i === 6) disk.faults = noFaults;
    }
    const code = await drive(disk, outcome);
    assert.deepEqual(await bodies(disk, partition), ["kept", "os"]);
    assert.equal(await drive(disk, partition.append(body("next"), "fsync")), 2);
    const after = disk.crash();
    const { partition: again } = await begin(after);
    assert.ok(code === "log_write_failed" || code === "log_outcome_unknown", code);
    assert.deepEqual(await bodies(after, again), ["kept", "os", "next"]);
  }
});

test("a disk that stays broken is said to leave the outcome open, and appends after it are refused", async () => {
  const disk = new SimulatedDisk({ random });
  const { partition } = await begin(disk);
  await drive(disk, partition.append(body("kept"), "fsync"));
  disk.faults = { ...noFaults, sync: 1 };
  const first = drive(disk, partition.append(body("x"), "fsync"));
  await assert.rejects(first, (error) => hasCode(error, "log_outcome_unknown"));
  const second = drive(disk, partition.append(body("y"), "os"));
  await assert.rejects(second, (error) => hasCode(error, "log_write_failed"));
  await assert.rejects(drive(disk, partition.certain()), (error) => hasCode(error, "log_write_failed"));
  assert.deepEqual(await bodies(disk, partition), ["kept"]);
  disk.faults = noFaults;
  await drive(disk, partition.certain());
  const after = disk.crash();
  const { partition: again } = await begin(after);
  assert.deepEqual(await bodies(after, again), ["kept"], "it is certain that it will never be there");
});

test("os records are synced within the settling time, though nobody asks", async () => {
  const disk = new SimulatedDisk({ random });
  const { clock, partition } = await begin(disk);
  await drive(disk, partition.append(body("os"), "os"));
  clock.advance(1000);
  for (let i = 0; i < 10; i++) {
    await tick();
    disk.step();
  }
  const after = disk.crash();
  const { partition: again } = await begin(after);
  assert.deepEqual(await bodies(after, again), ["os"]);
});

test("what was cut off, and is not there after a start, does not come back with a power failure", async () => {
  for (let seed = 0; seed < 300; seed++) {
    const disk = new SimulatedDisk({ random: seededRandom(seed) });
    const { log, partition } = await begin(disk);
    await drive(disk, partition.append(body("kept"), "fsync"));
    await drive(disk, log.stop());
    const second = disk.kill();
    const { partition: again } = await begin(second);
    second.capacityBytes = 400; // the checkpoint and the first record, but not all of the next group
    again.append([Buffer.from("begun"), Buffer.alloc(400)], "fsync").catch(() => {}); // dies before it knows
    for (let i = 0; i < 3; i++) {
      await tick();
      second.step(); // open, write, truncate; the sync is under way
    }
    const third = second.kill();
    const shown = (await begin(third)).partition.end;
    const { partition: last } = await begin(third.crash());
    assert.equal(last.end, shown, `seed ${seed}`);
  }
});

test("a body that imitates a record deceives nobody", async () => {
  const disk = new SimulatedDisk({ random });
  const { log, partition } = await begin(disk);
  await drive(disk, partition.append(body("real"), "fsync"));
  // Bytes of another partition's file: valid records there.
  const other = await drive(disk, log.partition("other"));
  for (let i = 0; i < 5; i++) await drive(disk, other.append(body(`other ${i}`), "fsync"));
  const image = disk.peek("other/0000000000000000.log").subarray(64);
  await drive(disk, partition.append([Buffer.concat([image, Buffer.alloc(50)])], "fsync"));
  disk.flip("p/0000000000000000.log", 64 + 20 + 3); // the record with the image, which nothing follows
  const { partition: again } = await begin(disk.crash());
  assert.equal(again.end, 1);
});

test("a programmer's error throws", async () => {
  const { partition } = await begin(new SimulatedDisk({ random }));
  assert.throws(() => partition.append([], "fsync"), TypeError);
  assert.throws(() => partition.append([Buffer.alloc(0)], "fsync"), TypeError);
});
