/**
 * What HotSwap promises, on real text and with real kills: lines go in with `hotswap pub` and come out with
 * `hotswap sub`, and the server is killed in the middle of both. Every acknowledged line comes at least once,
 * each key in order, and without the repetitions the output is the input.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { watch, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { isFull, readCorpus } from "./corpus.ts";
import {
  finished,
  freePort,
  hotswap,
  Server,
  serverFolder,
  spawnHotswap,
  type Variables,
} from "./hotswap.ts";

const topic = "texts";
const corpus = readCorpus(24_000);
const keyFlags = ["--key-column", "2", "--separator", "\t"];

test(`${corpus.source} goes through while the server is killed twice`, async (t) => {
  await using folder = await serverFolder();
  const port = await freePort();
  const data = folder.path;
  const restart = () => Server.start({ data, port });
  const job = new Job(folder.path);

  const first = await restart();
  const created = await hotswap(["topic", "create", topic, "--partitions", "4"], first.env);
  assert.equal(created.code, 0, created.stderr);
  const producer = await clientOf(first, "producer");
  const consumer = await clientOf(first, "consumer");

  const second = await job.publish(producer, first, restart);
  const third = await job.consume(consumer, second, restart);
  const stats = JSON.parse((await hotswap(["topic", "stats", topic, "--json"], third.env)).stdout);
  assert.equal(await third.stop(), 0);

  job.check();
  assert.equal(stats.subscriptions[0].depth, 0, "messages are left that were not acknowledged");
  assert.equal(stats.messages, job.summary.acknowledged + job.storedTwice(stats.messages));
  const figures = { source: corpus.source, ...job.figures(), stored: stats.messages };
  if (isFull) console.log(JSON.stringify(figures, null, 2));
  t.diagnostic(JSON.stringify(figures));
});

/** With no more rights than the job needs. */
async function clientOf({ data, facts }: Server, role: string): Promise<Variables> {
  const { stdout, code } = await hotswap(["token", "--role", role, "--data", data]);
  assert.equal(code, 0);
  return { HOTSWAP_URL: facts.api, HOTSWAP_TOKEN: stdout.trim() };
}

const numberOf = (line: string) => Number(line.slice(0, line.indexOf("\t")));
const keyOf = (line: string) => line.split("\t", 2)[1]!;
const hashOf = (lines: readonly string[]) => createHash("sha256").update(lines.join("\n")).digest("hex");

class Job {
  readonly #receipts: string;
  readonly #delivered: string[] = [];
  readonly #times: Record<string, number> = {};
  summary = { lines: 0, acknowledged: 0, rejected: 0, unanswered: 0, interruptions: 0, perSecond: 0 };

  constructor(folder: string) {
    this.#receipts = `${folder}/receipts.ndjson`;
  }

  /** Publishes all lines; the server is killed after some of the first half is acknowledged, and started again. */
  async publish(env: Variables, server: Server, restart: () => Promise<Server>): Promise<Server> {
    const half = Math.floor(corpus.lines.length / 2);
    await writeFile(this.#receipts, "");
    const started = performance.now();
    const pub = spawnHotswap(["pub", topic, ...keyFlags, "--receipts", this.#receipts], env);
    const end = finished(pub);
    const acknowledged = this.#receiptsAtLeast(half / 10);
    pub.stdin.write(`${corpus.lines.slice(0, half).join("\n")}\n`);
    await Promise.race([acknowledged, failIfEnded(end)]);
    await server.kill();
    this.#times.acknowledgedBeforeKill = this.#receiptCount();
    assert.ok(this.#times.acknowledgedBeforeKill < corpus.lines.length, "the kill came too late");
    pub.stdin.end(`${corpus.lines.slice(half).join("\n")}\n`);
    const restarting = performance.now();
    const next = await restart();
    this.#times.restartAfterPublishKillMs = Math.round(performance.now() - restarting);
    const { code, stdout, stderr } = await end;
    assert.equal(code, 0, stderr);
    this.summary = JSON.parse(stdout);
    this.#times.publishMs = Math.round(performance.now() - started);
    return next;
  }

  /** Consumes all; the server is killed when a part has come out, and started again. */
  async consume(env: Variables, server: Server, restart: () => Promise<Server>): Promise<Server> {
    const part = corpus.lines.length / 5;
    const started = performance.now();
    const sub = spawnHotswap(["sub", topic, "--idle", "3s", "--batch", "200"], env);
    let [rest, stderr] = ["", ""];
    let onPart = () => {};
    const partCame = new Promise<void>((resolve) => (onPart = resolve));
    sub.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#delivered.push(line);
      if (this.#delivered.length >= part) onPart();
    });
    sub.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const end = once(sub, "close") as Promise<[number]>;
    await Promise.race([partCame, end]);
    sub.stdout.pause(); // so that it cannot come to its end before the server is dead
    await server.kill();
    assert.ok(this.#delivered.length < corpus.lines.length, "the kill came too late");
    this.#times.deliveredBeforeKill = this.#delivered.length;
    const restarting = performance.now();
    const [next] = await Promise.all([restart(), sub.stdout.resume()]);
    this.#times.restartAfterConsumeKillMs = Math.round(performance.now() - restarting);
    const [code] = await end;
    assert.equal(code, 0, stderr);
    assert.equal(rest, "");
    this.#times.consumeMs = Math.round(performance.now() - started);
    return next;
  }

  check(): void {
    const { lines } = corpus;
    assert.deepEqual([this.summary.lines, this.summary.acknowledged], [lines.length, lines.length]);
    assert.ok(this.summary.interruptions >= 1, "the publisher noticed no interruption");
    const receipts = readFileSync(this.#receipts, "utf8").trimEnd().split("\n");
    const numbers = new Set(receipts.map((line) => JSON.parse(line).line as number));
    assert.equal(numbers.size, lines.length, "each acknowledged line has its receipt");

    const unique = this.#firstDeliveries();
    const lost = [...numbers].filter((number) => !unique.has(number));
    assert.deepEqual(lost.slice(0, 10), [], `${lost.length} acknowledged lines were lost`);
    const last = new Map<string, number>();
    for (const [number, line] of unique) {
      const before = last.get(keyOf(line)) ?? 0;
      assert.ok(before < number, `line ${number} came after line ${before} of the same key`);
      last.set(keyOf(line), number);
    }
    const sorted = [...unique].sort(([a], [b]) => a - b).map(([, line]) => line);
    assert.equal(hashOf(sorted), hashOf(lines));
  }

  /** Messages that are in the topic more than once: sent again because their receipt was lost. */
  storedTwice(stored: number): number {
    const twice = stored - corpus.lines.length;
    assert.ok(twice >= 0, `only ${stored} messages are stored`);
    return twice;
  }

  figures() {
    const { publishMs, consumeMs, ...times } = this.#times as Record<string, number>;
    const lines = corpus.lines.length;
    return {
      lines,
      bytes: corpus.lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0),
      keys: new Set(corpus.lines.map(keyOf)).size,
      ...times,
      publishMs,
      publishPerSecond: this.summary.perSecond,
      interruptions: this.summary.interruptions,
      delivered: this.#delivered.length,
      repeated: this.#delivered.length - this.#firstDeliveries().size,
      consumeMs,
    };
  }

  /** In the order of their delivery. */
  #firstDeliveries(): Map<number, string> {
    const unique = new Map<number, string>();
    for (const line of this.#delivered) {
      const number = numberOf(line);
      const before = unique.get(number);
      if (before === undefined) unique.set(number, line);
      else assert.equal(line, before, "a repetition differs");
    }
    return unique;
  }

  #receiptCount(): number {
    return readFileSync(this.#receipts, "utf8").split("\n").length - 1;
  }

  async #receiptsAtLeast(count: number): Promise<void> {
    for await (const _ of watch(this.#receipts)) if (this.#receiptCount() >= count) return;
  }
}

async function failIfEnded(end: ReturnType<typeof finished>): Promise<never> {
  const { code, stderr } = await end;
  throw new Error(`the publisher ended with ${code} before its time: ${stderr}`);
}
