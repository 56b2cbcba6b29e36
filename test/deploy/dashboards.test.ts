/** deploy/grafana: the dashboards are fresh, and each of their questions is one that Prometheus can answer. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { expressionsOf } from "../../scripts/dashboards/panels.ts";
import { dashboardFiles, dashboards } from "../../scripts/generate-dashboards.ts";
import { knownMetrics } from "./metrics.ts";
import { unknownNames } from "./promql.ts";
import { promtool, withoutPromtool } from "./promtool.ts";

/** An expression as Grafana sends it. */
const filled = (expr: string) => expr.replaceAll("$__rate_interval", "1m").replaceAll(/\$\w+/g, ".*");
const all = dashboards.flatMap((dashboard) =>
  expressionsOf(dashboard).map((expr) => ({ title: dashboard.title, expr: filled(expr) })),
);

describe("deploy/grafana", () => {
  it("has the dashboards that scripts/dashboards describes", async () => {
    for (const [name, content] of dashboardFiles()) {
      const committed = await readFile(new URL(`../../${name}`, import.meta.url), "utf8");
      assert.equal(committed, content, `${name} is stale; run: npm run generate`);
    }
  });

  it("asks for metrics and labels that exist", async () => {
    const known = await knownMetrics();
    const found = all.flatMap(({ title, expr }) =>
      unknownNames(expr, known).map((name) => `${title}: ${name}`),
    );
    for (const { title, variables } of dashboards) {
      for (const { label, metric } of variables) {
        if (!known.get(metric)?.includes(label)) found.push(`${title}: variable ${label} of ${metric}`);
      }
    }
    assert.deepEqual(found, []);
  });

  it("asks what Prometheus understands", { skip: withoutPromtool }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "hotswap-dashboards-"));
    try {
      const file = join(folder, "questions.json"); // JSON is YAML
      const rules = all.map(({ expr }, index) => ({ record: `question:${index}`, expr }));
      await writeFile(file, JSON.stringify({ groups: [{ name: "questions", rules }] }));
      const { code, output } = await promtool("check", "rules", file);
      assert.equal(code, 0, output);
      assert.match(output, new RegExp(`${all.length} rules found`));
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("lays panels side by side, each once, within the page", () => {
    for (const [name, content] of dashboardFiles()) {
      const taken = new Set<string>();
      for (const { id, gridPos } of JSON.parse(content).panels) {
        assert.ok(gridPos.x + gridPos.w <= 24, `${name}: panel ${id} stands out`);
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
            assert.ok(!taken.has(`${x} ${y}`), `${name}: panel ${id} lies over another`);
            taken.add(`${x} ${y}`);
          }
        }
      }
    }
  });
});
