import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import fc from "fast-check";
import { canonicalJson } from "../../core/json.ts";
import { type KeyRing, makeKeyRing } from "../auth/key-ring.ts";
import {
  type AuditEntry,
  type Checkpoint,
  checkpointKeys,
  genesis,
  hashOf,
  signCheckpoint,
} from "./chain.ts";
import type { ExportLine } from "./export.ts";
import { verifyExport } from "./verify.ts";

const at = "2026-01-02T03:04:05.678Z";
const tenant = "acme";

/** Makes a good export of `count` entries with a checkpoint after every `every`th. */
function makeExport(ring: KeyRing, count: number, every: number): ExportLine[] {
  const lines: ExportLine[] = [];
  const sign = (seq: number, hash: string) => signCheckpoint(ring, { tenant, seq, hash, at });
  let previous = genesis;
  for (let seq = 1; seq <= count; seq++) {
    const entry = {
      ...{
        tenant,
        seq,
        at,
        actor: "ann",
        action: "topics.create",
        resource: `topics/t${seq}`,
        requestId: `r${seq}`,
      },
      ...{ outcome: "success" as const, detail: { n: seq }, before: null, after: null, previous },
    };
    previous = hashOf({ ...entry, hash: "" });
    lines.push({ entry: { ...entry, hash: previous } });
    if (seq % every === 0) lines.push({ checkpoint: sign(seq, previous) });
  }
  const header = {
    format: "hotswap-audit-1" as const,
    tenant,
    keys: checkpointKeys(ring),
    head: sign(count, previous),
  };
  return [{ header }, ...lines];
}

const textOf = (lines: readonly unknown[]) => lines.map(canonicalJson);
const check = (lines: readonly unknown[], options = {}) => verifyExport(textOf(lines), options);
const clone = <T>(value: T): T => structuredClone(value);

/** Recomputes every hash from an entry on, as a forger without the signing key would. */
function rechain(lines: ExportLine[], from: number): void {
  let previous: string | undefined;
  for (const line of lines) {
    if (!("entry" in line) || line.entry.seq < from) continue;
    if (previous !== undefined) line.entry.previous = previous;
    line.entry.hash = hashOf(line.entry);
    previous = line.entry.hash;
  }
}

describe("verification of an audit export", () => {
  let ring: KeyRing;
  let stranger: KeyRing;
  before(async () => {
    ring = await makeKeyRing();
    stranger = await makeKeyRing();
  });

  test("a good export verifies, whatever its length", async () => {
    const property = fc.asyncProperty(fc.nat(30), fc.integer({ min: 1, max: 10 }), async (count, every) => {
      const report = await check(makeExport(ring, count, every), { keys: checkpointKeys(ring) });
      assert.deepEqual(report, { ok: true, tenant, entries: count, signedUpTo: count, keyTrusted: true });
    });
    await fc.assert(property);
  });

  test("an edit of any field of any line is detected", async () => {
    const good = makeExport(ring, 12, 5);
    const someValue = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.constant(null),
      fc.constant({}),
      fc.constant([]),
    );
    const property = fc.asyncProperty(fc.nat(), fc.nat(), someValue, async (which, field, value) => {
      const lines = clone(good) as unknown as Record<string, Record<string, unknown>>[];
      const line = lines[which % lines.length]!;
      const content = Object.values(line)[0]!;
      const name = Object.keys(content)[field % Object.keys(content).length]!;
      if (canonicalJson(content[name]) === canonicalJson(value)) return;
      content[name] = value;
      const report = await check(lines);
      assert.equal(report.ok, false, `${Object.keys(line)[0]}.${name}`);
      if (line.entry && name !== "seq") assert.equal(report.problem?.line, (which % lines.length) + 1);
    });
    await fc.assert(property, { numRuns: 500 });
  });

  test("a change of any single byte is detected", async () => {
    const good = textOf(makeExport(ring, 6, 3));
    const property = fc.asyncProperty(
      fc.nat(),
      fc.nat(),
      fc.integer({ min: 32, max: 126 }),
      async (which, where, byte) => {
        const lines = [...good];
        const text = lines[which % lines.length]!;
        const index = where % text.length;
        const changed = text.slice(0, index) + String.fromCharCode(byte) + text.slice(index + 1);
        if (changed === text) return;
        lines[which % lines.length] = changed;
        assert.equal((await verifyExport(lines)).ok, false, changed);
      },
    );
    await fc.assert(property, { numRuns: 500 });
  });

  test("a removed, repeated or moved entry is detected and named", async () => {
    const good = makeExport(ring, 12, 5);
    const property = fc.asyncProperty(
      fc.nat(),
      fc.nat(),
      fc.constantFrom("remove", "repeat", "swap"),
      async (a, b, how) => {
        const entries = good.flatMap((line, index) => ("entry" in line ? [index] : []));
        const [from, to] = [entries[a % entries.length]!, entries[b % entries.length]!];
        if (how === "swap" && from === to) return;
        const lines = clone(good);
        if (how === "remove") lines.splice(from, 1);
        if (how === "repeat") lines.splice(to, 0, lines[from]!);
        if (how === "swap") [lines[from], lines[to]] = [lines[to]!, lines[from]!];
        const report = await check(lines);
        assert.equal(report.ok, false);
        const first = good[how === "remove" ? from : how === "swap" ? Math.min(from, to) : 0]!;
        if ("entry" in first) assert.equal(report.problem?.seq, first.entry.seq);
      },
    );
    await fc.assert(property, { numRuns: 300 });
  });

  test("an end that is cut off is detected", async () => {
    const good = makeExport(ring, 12, 5);
    for (let length = 0; length < good.length; length++) {
      const report = await check(good.slice(0, length));
      assert.equal(report.ok, false, `${length} lines`);
    }
  });

  test("a chain made anew after an edit is detected by the next checkpoint", async () => {
    for (let seq = 1; seq <= 12; seq++) {
      const lines = clone(makeExport(ring, 12, 5));
      for (const line of lines) if ("entry" in line && line.entry.seq === seq) line.entry.actor = "eve";
      rechain(lines, seq);
      const report = await check(lines);
      const next = seq <= 5 ? 5 : seq <= 10 ? 10 : 12;
      assert.match(report.problem?.reason ?? "", /chain made anew/);
      assert.equal(report.problem?.seq, next);
      assert.equal(report.signedUpTo, next === 5 ? 0 : next === 10 ? 5 : 10);
    }
  });

  test("an edit with its own hash made anew is detected by the entry after it", async () => {
    for (let seq = 1; seq < 12; seq++) {
      const lines = clone(makeExport(ring, 12, 100));
      const { entry } = lines[seq] as { entry: AuditEntry };
      entry.actor = "eve";
      entry.hash = hashOf(entry);
      assert.equal((await check(lines)).problem?.seq, seq + 1);
    }
  });

  test("another spelling of the same JSON is refused, as another reader may read it otherwise", async () => {
    const good = textOf(makeExport(ring, 1, 5));
    const entry = good[1]!;
    for (const other of [
      entry.replace('{"action"', '{"actor":"eve","action"'),
      entry.replace('"actor":"ann"', '"actor":"eve","actor":"ann"'),
      entry.replace("ann", "\\u0061nn"),
      ` ${entry}`,
    ]) {
      assert.notEqual(other, entry);
      assert.equal((await verifyExport([good[0]!, other])).problem?.line, 2, other);
    }
  });

  test("a key counts in one spelling only, and under its own thumbprint", async () => {
    const lines = makeExport(ring, 1, 5) as [
      { header: { keys: { x: string; kid: string }[] } },
      ...ExportLine[],
    ];
    const [key] = checkpointKeys(ring);
    const bytes = Buffer.from(key!.x, "base64url");
    for (const last of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
      const x = key!.x.slice(0, -1) + last;
      if (x === key!.x || !Buffer.from(x, "base64url").equals(bytes)) continue;
      lines[0].header.keys = [{ ...key!, x }];
      assert.equal((await check(lines)).ok, false, x);
    }
  });

  test("a forgery that is consistent and brings its own key fails with the true key only", async () => {
    const forged = makeExport(stranger, 12, 5);
    const alone = await check(forged);
    assert.deepEqual(
      [alone.ok, alone.keyTrusted],
      [true, false],
      "the report says that the key proves nothing",
    );
    assert.equal((await check(forged, { keys: checkpointKeys(ring) })).ok, false);
  });

  test("a checkpoint kept elsewhere detects an end taken off, and a history that differs", async () => {
    const known = (makeExport(ring, 12, 5)[0] as { header: { head: Checkpoint } }).header.head;
    assert.equal((await check(makeExport(ring, 15, 5), { known: [known] })).ok, true);
    const shorter = await check(makeExport(ring, 10, 5), { known: [known] });
    assert.match(shorter.problem?.reason ?? "", /missing at the end/);
    const other = signCheckpoint(ring, { tenant, seq: 7, hash: "f".repeat(64), at });
    const different = await check(makeExport(ring, 15, 5), { known: [other] });
    assert.equal(different.problem?.seq, 7);
  });

  test("signatures of another tenant, or made for another purpose, do not count", async () => {
    const lines = makeExport(ring, 3, 5) as [{ header: { head: Checkpoint } }, ...{ entry: AuditEntry }[]];
    lines[0].header.head = signCheckpoint(ring, { ...lines[0].header.head, tenant: "other" });
    assert.match((await check(lines)).problem?.reason ?? "", /another tenant/);
  });

  test("no input at all makes it throw", async () => {
    const good = textOf(makeExport(ring, 2, 1));
    const someObject = fc.dictionary(fc.string(), fc.jsonValue());
    const someLine = fc.oneof(
      fc.constantFrom(...good),
      fc.string(),
      fc.json(),
      fc
        .record({
          header: fc.record({
            format: fc.constant("hotswap-audit-1"),
            tenant: fc.string(),
            keys: fc.array(someObject),
            head: someObject,
          }),
        })
        .map(canonicalJson),
      fc.record({ entry: someObject }).map(canonicalJson),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(someLine), async (lines) => {
        assert.equal(typeof (await verifyExport(lines)).ok, "boolean");
      }),
      { numRuns: 1000 },
    );
  });
});
