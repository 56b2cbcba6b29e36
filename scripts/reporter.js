/**
 * A reporter for node:test that fits on a screen: one line per file, the details of what failed together with
 * what that file printed, then what was not run and why, and last the runner's own summary.
 */
import { relative, resolve } from "node:path";
import { inspect } from "node:util";

const OUTPUT_MAX = 20_000; // per file, its end: what a failing test printed last is what explains it

const context = JSON.parse(process.env.HOTSWAP_TEST_RUN ?? "{}");

export default async function* report(events) {
  const failures = [];
  const skipped = new Map();
  for (const why of context.notRun ?? []) count(skipped, why);
  const printed = new Map();
  const remarks = [];
  const closing = []; // what the runner itself says at the end belongs to no file
  for await (const { type, data } of events) {
    if (type === "test:fail") failures.push(data);
    if (type === "test:pass" && data.skip) count(skipped, reason(data.skip));
    if (type === "test:stdout" || type === "test:stderr") keep(printed, data);
    if (type === "test:diagnostic") (data.file ? remarks : closing).push(`ℹ ${data.message}\n`);
    if (type === "test:summary" && data.file) yield fileLine(data);
  }
  for (const failure of failures.filter(isCause)) yield details(failure);
  for (const file of new Set(failures.map(({ file }) => path(file)))) yield output(file, printed.get(file));
  yield* remarks;
  yield* notes(skipped);
  yield* closing;
}

const indented = (text) => text.replaceAll(/^(?=.)/gm, "    ");
// The runner names a file in full or as it was told, depending on the event.
const path = (file) => relative(process.cwd(), resolve(file ?? ""));

function fileLine({ file, success, counts, duration_ms }) {
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
  return `${success ? "✔" : "✖"} ${path(file)}  ${counts.tests} tests${skipped}  ${Math.round(duration_ms)} ms\n`;
}

// A suite or a file that fails only because something in it failed says nothing new.
function isCause({ details }) {
  return details.error?.failureType !== "subtestsFailed";
}

function details({ name, file, line, details }) {
  const error = details.error?.cause ?? details.error;
  // An assertion says it all in its message; its other properties repeat it.
  const text = error?.code === "ERR_ASSERTION" ? error.stack : inspect(error, { depth: 6 });
  const lines = text.split("\n").filter((line) => !/^\s+at .*\(node:/.test(line));
  return `\n✖ ${name}\n  ${path(file)}${line ? `:${line}` : ""}\n${indented(lines.join("\n"))}\n`;
}

function output(file, text) {
  return text ? `\nprinted by ${file}:\n${indented(text)}\n` : "";
}

function keep(printed, { file, message }) {
  printed.set(path(file), `${printed.get(path(file)) ?? ""}${message}`.slice(-OUTPUT_MAX));
}

const reason = (skip) => (typeof skip === "string" ? skip : "skipped without a reason");

function count(map, key) {
  map.set(key, (map.get(key) ?? 0) + 1);
}

function* notes(skipped) {
  yield "\n";
  for (const note of context.notes ?? []) yield `! ${note}\n`;
  const total = [...skipped.values()].reduce((sum, value) => sum + value, 0);
  yield `not run: ${total} tests or suites\n`;
  for (const [why, tests] of skipped) yield `  ${tests} × ${why}\n`;
  if (context.startedAt) yield `elapsed: ${((Date.now() - context.startedAt) / 1000).toFixed(1)} s\n`;
}
