import assert from "node:assert/strict";
import { test } from "node:test";
import { type MetricEntry, metricTable } from "./metric-table.ts";
import { Metrics } from "./metrics.ts";

/** Reads the text format 0.0.4 strictly; the value of a series by its name and labels. */
function parse(text: string): { series: Map<string, number>; types: Map<string, string> } {
  const series = new Map<string, number>();
  const types = new Map<string, string>();
  assert(text.endsWith("\n"));
  for (const line of text.split("\n").filter((candidate) => candidate !== "")) {
    const comment = /^# (HELP|TYPE) ([a-z_]\w*) (.+)$/.exec(line);
    if (comment) {
      if (comment[1] === "TYPE") types.set(comment[2]!, comment[3]!);
      continue;
    }
    const sample =
      /^([a-z_]\w*)(\{(?:[a-z_]\w*="(?:[^"\\]|\\["\\n])*",?)*\})? (-?[\d.e+-]+|[+-]Inf|Nan)$/.exec(line);
    assert(sample, `not a sample: ${line}`);
    const key = sample[1]! + (sample[2] ?? "");
    assert(!series.has(key), `twice: ${key}`);
    series.set(key, Number(sample[3]));
  }
  return { series, types };
}

const read = async (metrics: Metrics) => parse(await metrics.text()).series;
const topic = { tenant: "t1", topic: "orders" };
const published = 'messages_published_total{tenant="t1",topic="orders"}';

test("counters and gauges show what was counted, by label set", async () => {
  const metrics = new Metrics();
  const counter = metrics.counter("messages_published_total").labels(topic);
  counter.inc();
  counter.inc(41);
  metrics.counter("messages_published_total").labels({ topic: "other", tenant: "t1" }).inc();
  const gauge = metrics.gauge("queue_depth").labels({ ...topic, subscription: "default" });
  gauge.set(5);
  gauge.dec();
  gauge.inc(2);
  const series = await read(metrics);
  assert.equal(series.get(published), 42);
  assert.equal(series.get('messages_published_total{tenant="t1",topic="other"}'), 1);
  assert.equal(series.get('queue_depth{tenant="t1",topic="orders",subscription="default"}'), 6);
  assert.equal(series.get("metrics_collect_failures_total"), 0, "without labels: there from the start");
});

test("a histogram's buckets are cumulative and end in +Inf, with sum and count", async () => {
  const metrics = new Metrics();
  const histogram = metrics.histogram("message_publish_duration_seconds").labels(topic);
  for (const value of [0.00025, 0.0003, 0.02, 99]) histogram.observe(value);
  const series = await read(metrics);
  const name = "message_publish_duration_seconds";
  const bucket = (le: string) => series.get(`${name}_bucket{tenant="t1",topic="orders",le="${le}"}`);
  assert.deepEqual(["0.00025", "0.0005", "0.01", "0.025", "2.5", "+Inf"].map(bucket), [1, 2, 2, 3, 3, 4]);
  assert.equal(series.get(`${name}_count{tenant="t1",topic="orders"}`), 4);
  assert.equal(series.get(`${name}_sum{tenant="t1",topic="orders"}`), 0.00025 + 0.0003 + 0.02 + 99);
});

test("the same labels give the same cell; label values are escaped", async () => {
  const metrics = new Metrics();
  const family = metrics.counter("messages_published_total");
  assert.equal(family.labels(topic), family.labels({ topic: "orders", tenant: "t1" }));
  family.labels({ tenant: 'a"b\\c\nd', topic: "" }).inc();
  const series = await read(metrics);
  assert.equal(series.get('messages_published_total{tenant="a\\"b\\\\c\\nd"}'), 1);
});

test("label sets beyond the cap are counted together, and the cap is told", async () => {
  const metrics = new Metrics({ seriesMax: 3 });
  for (let i = 0; i < 10; i++) {
    metrics
      .counter("messages_published_total")
      .labels({ tenant: "t", topic: `topic-${i}` })
      .inc();
    metrics
      .gauge("queue_depth")
      .labels({ tenant: "t", topic: `topic-${i}`, subscription: "s" })
      .set(1);
  }
  const series = await read(metrics);
  const shown = (name: string) => [...series.keys()].filter((key) => key.startsWith(`${name}{`));
  assert.equal(shown("messages_published_total").length, 4);
  assert.equal(series.get('messages_published_total{tenant="_other",topic="_other"}'), 7, "no event is lost");
  assert.equal(shown("queue_depth").length, 3, "a gauge of many things says nothing");
  assert.equal(series.get('metrics_overflow_total{metric="queue_depth"}'), 7);
});

test("the smallest cap holds for every metric and still counts what overflowed", async () => {
  const metrics = new Metrics({ seriesMax: 1 });
  const counters = ["delivered", "acked", "redelivered", "failed"].map(
    (what) => `messages_${what}_total` as const,
  );
  for (const name of counters as "messages_acked_total"[]) {
    for (const subscription of ["a", "b"])
      metrics
        .counter(name)
        .labels({ ...topic, subscription })
        .inc();
  }
  const series = await read(metrics);
  for (const name of counters) assert.equal(series.get(`metrics_overflow_total{metric="${name}"}`), 1);
});

test("what is forgotten is gone from every metric that names it, and makes room", async () => {
  const metrics = new Metrics({ seriesMax: 2 });
  const counter = metrics.counter("messages_published_total");
  const old = counter.labels(topic);
  old.inc();
  counter.labels({ tenant: "t2", topic: "orders" }).inc();
  metrics
    .gauge("queue_depth")
    .labels({ ...topic, subscription: "a" })
    .set(1);
  metrics.counter("metrics_overflow_total").labels({ metric: "orders" }).inc();
  metrics.forget(topic);
  old.inc();
  const series = await read(metrics);
  assert.equal(series.has(published), false);
  assert.equal(
    series.get('messages_published_total{tenant="t2",topic="orders"}'),
    1,
    "another tenant's stays",
  );
  assert.equal(
    [...series.keys()].some((key) => key.startsWith("queue_depth{")),
    false,
  );
  assert.equal(series.get('metrics_overflow_total{metric="orders"}'), 1, "has no such label");
  counter.labels(topic).inc();
  assert.equal((await read(metrics)).get(published), 1, "begins anew");
});

test("collectors run before a scrape; one that fails does not stop the others", async () => {
  const metrics = new Metrics();
  const gauge = metrics.gauge("health_check_up").labels({ check: "sql" });
  const end = metrics.onCollect(() => assert.fail("broken"));
  metrics.onCollect(() => gauge.inc());
  let series = await read(metrics);
  assert.equal(series.get('health_check_up{check="sql"}'), 1);
  assert.equal(series.get("metrics_collect_failures_total"), 1);
  end();
  series = await read(metrics);
  assert.equal(series.get("metrics_collect_failures_total"), 1);
});

test("the metrics of the process are there when asked for", async () => {
  assert.equal((await read(new Metrics())).has("process_resident_memory_bytes"), false);
  const metrics = new Metrics({ process: true });
  const { series, types } = parse(await metrics.text());
  assert(series.get("process_resident_memory_bytes")! > 1e6);
  assert(series.has("nodejs_eventloop_lag_p99_seconds"));
  assert(series.has("process_cpu_seconds_total"));
  assert.equal(types.get("process_resident_memory_bytes"), "gauge");
  for (const [name, { type }] of Object.entries(metricTable)) assert.equal(types.get(name), type);
});

test("the table keeps to the naming of Prometheus", () => {
  for (const [name, entry] of Object.entries(metricTable) as [string, MetricEntry][]) {
    assert.match(name, /^[a-z]+(_[a-z]+)+$/);
    assert.equal(entry.type === "counter", name.endsWith("_total"), name);
    assert.equal(entry.type === "histogram", entry.buckets !== undefined, name);
    assert.match(entry.help, /^[A-Z0-9].*\.$/, name);
    const sorted = entry.buckets?.toSorted((a, b) => a - b);
    assert.deepEqual(entry.buckets, sorted, name);
    assert.equal(new Set(entry.labels).size, entry.labels.length);
    assert(!entry.labels.includes("le"));
  }
});

test("names and labels are checked by the compiler", () => {
  const metrics = new Metrics();
  // @ts-expect-error there is no such metric
  assert.throws(() => metrics.counter("messages_lost_total").labels({}));
  // @ts-expect-error a label is missing
  assert.throws(() => metrics.counter("messages_published_total").labels({ topic: "a" }));
  // @ts-expect-error a gauge is not a counter
  metrics.counter("queue_depth");
});
