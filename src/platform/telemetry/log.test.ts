import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { createLog, type LogOptions } from "./log.ts";
import { runInSpan, silentSpan } from "./trace-context.ts";

function collect(options: LogOptions = {}) {
  const lines: string[] = [];
  const log = createLog({ write: (line) => lines.push(line), ...options });
  return { log, lines, last: () => JSON.parse(lines.at(-1)!) };
}

test("a line is one JSON object with time, level, message and fields", () => {
  const { log, lines, last } = collect();
  log.info({ url: "http://127.0.0.1:1" }, "listening");
  log.debug("not written at level info");
  assert.equal(lines.length, 1);
  assert(lines[0]!.endsWith("}\n"));
  const { time, ...rest } = last();
  assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(rest, { level: "info", url: "http://127.0.0.1:1", message: "listening" });
});

test("lines carry the ids of the active trace, and only theirs", () => {
  const { log, last } = collect();
  const context = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7", flags: 1 };
  runInSpan(silentSpan(context), () => log.info("inside"));
  assert.equal(last().trace_id, context.traceId);
  assert.equal(last().span_id, context.spanId);
  log.info("outside");
  assert.equal("trace_id" in last(), false);
});

test("secrets are masked in fields, in a child's fields, in messages and in errors", () => {
  const { log, lines } = collect();
  log.child({ room: "sql", password: "hunter2" }).info({ a: { token: "hunter2" } }, "hello");
  log.warn(`cannot reach postgres://u:hunter2@h/d with Bearer hunter2hunter2`);
  log.error({ err: new Error("at redis://:hunter2@h", { cause: { secret: "hunter2" } }) }, "failed");
  assert.equal(lines.length, 3);
  assert.doesNotMatch(lines.join(""), /hunter2/);
  assert.match(lines[0]!, /"room":"sql"/);
  const { err } = JSON.parse(lines[2]!);
  assert.equal(err.message, "at redis://:***@h");
  assert.match(err.stack, /log\.test\.ts/);
});

test("on a terminal a line is readable, an error brings its stack, and nothing controls the terminal", () => {
  const { log, lines } = collect({ readable: true });
  log.info({ url: "http://x", counts: [1, 2] }, "listening");
  const line = stripVTControlCharacters(lines[0]!);
  assert.match(line, /^\d\d:\d\d:\d\d\.\d{3} info {2}listening {2}url=http:\/\/x {2}counts=\[1,2\]\n$/);

  log.error({ err: new Error("outer", { cause: new Error("inner") }) }, "failed");
  const failed = stripVTControlCharacters(lines[1]!);
  assert.match(failed, /error failed\n {4}Error: outer\n(.*\n)* {4}caused by\n {4}Error: inner\n/);

  log.info({ topic: "a\u001b[2J" }, "two\nlines \u001b]0;title\u0007 \u009b2J");
  const hostile = stripVTControlCharacters(lines[2]!.trimEnd());
  assert.equal(/\p{Cc}/u.test(hostile), false, JSON.stringify(hostile));
  assert.match(hostile, /two\\x0alines \\x1b\]0;title\\x07 \\x9b2J/);
});
