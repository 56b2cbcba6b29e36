/** deploy/prometheus: the configuration is one, rules name what exists, fire when they should and not before. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { anchorsOf, readPage } from "../docs/pages.ts";
import { knownMetrics } from "./metrics.ts";
import { namesIn, unknownNames } from "./promql.ts";
import { promtool, withoutPromtool } from "./promtool.ts";

const folder = fileURLToPath(new URL("../../deploy/prometheus/", import.meta.url));
const files = (pattern: string) =>
  globSync(pattern, { cwd: folder })
    .sort()
    .map((file) => join(folder, file));
const read = (file: string) => parse(readFileSync(file, "utf8"));

interface Rule {
  alert: string;
  expr: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}
interface RuleTest {
  tests: { alert_rule_test?: { alertname: string; exp_alerts?: unknown[] }[] }[];
}

const rules: Rule[] = files("rules/*.yml").flatMap((file) =>
  read(file).groups.flatMap(({ rules }: { rules: Rule[] }) => rules),
);

describe("deploy/prometheus", () => {
  it("is a configuration that Prometheus takes", { skip: withoutPromtool }, async () => {
    const copy = await mkdtemp(join(tmpdir(), "hotswap-prometheus-"));
    try {
      await cp(folder, copy, { recursive: true });
      await writeFile(join(copy, "hotswap.token"), "token");
      const { code, output } = await promtool("check", "config", join(copy, "prometheus.yml"));
      assert.equal(code, 0, output);
      assert.match(output, /rule files? found/);
    } finally {
      await rm(copy, { recursive: true });
    }
  });

  it("names only metrics and labels that exist", async () => {
    const known = await knownMetrics();
    const found = rules.flatMap(({ alert, expr }) =>
      unknownNames(expr, known).map((name) => `${alert}: ${name}`),
    );
    assert.deepEqual(found, []);
  });

  it("says in each alert how bad it is, what happens, and where it is written what to do", () => {
    const anchors = anchorsOf(readPage("docs/how-to/answer-alerts.md"));
    for (const { alert, labels, annotations } of rules) {
      assert.match(labels.severity ?? "", /^(critical|warning)$/, alert);
      assert.ok(annotations.summary && annotations.description, alert);
      assert.equal(annotations.runbook, `docs/how-to/answer-alerts.md#${alert.toLowerCase()}`);
      assert.ok(anchors.has(alert.toLowerCase()), `${alert} has no section in docs/how-to/answer-alerts.md`);
    }
  });

  it("fires when it should and not before", { skip: withoutPromtool }, async () => {
    const { code, output } = await promtool("test", "rules", ...files("tests/*.yml"));
    assert.equal(code, 0, output);
  });

  it("has for each alert a case in which it fires, and one in which it does not", () => {
    const cases = files("tests/*.yml").flatMap((file) =>
      (read(file) as RuleTest).tests.flatMap(({ alert_rule_test = [] }) => alert_rule_test),
    );
    const tested = (fires: boolean) =>
      new Set(
        cases.filter((one) => (one.exp_alerts ?? []).length > 0 === fires).map(({ alertname }) => alertname),
      );
    const names = rules.map(({ alert }) => alert).sort();
    assert.deepEqual([...tested(true)].sort(), names);
    assert.deepEqual([...tested(false)].sort(), names);
  });
});

describe("names in PromQL", () => {
  it("tells metrics, labels, functions and grouping apart", () => {
    const expr =
      'sum by (tenant, le) (rate(a_bucket{topic=~"x, y{}", code!="5.."}[5m])) / on (job) group_left (node) b > 1 and c';
    assert.deepEqual(namesIn(expr), {
      selectors: [
        { metric: "a_bucket", labels: ["topic", "code"] },
        { metric: "b", labels: [] },
        { metric: "c", labels: [] },
      ],
      grouped: ["tenant", "le", "job", "node"],
    });
  });

  it("finds what does not exist", () => {
    const known = new Map([["queue_depth", ["topic", "job"]]]);
    assert.deepEqual(unknownNames('sum by (topic) (queue_depth{topic="a"})', known), []);
    assert.deepEqual(unknownNames('sum by (node) (rate(queue_dept[1m]) + queue_depth{queue="a"})', known), [
      "queue_dept",
      "queue_depth{queue}",
      "by (node)",
    ]);
  });
});
