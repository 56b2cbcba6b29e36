/**
 * A dashboard as a list of rows of panels, and its Grafana JSON. What all panels have in common (the data
 * source, the layout from left to right, colours, ids) is decided here once, so that a dashboard is a table of
 * questions.
 */
export interface Query {
  expr: string;
  legend?: string;
}

export interface Panel {
  title: string;
  /** What the numbers mean and when to worry; shown at the corner of the panel. */
  help?: string;
  kind?: "timeseries" | "stat" | "table";
  /** Grafana's name of a unit: s, bytes, ops, percentunit, short. */
  unit: string;
  queries: readonly Query[];
  /** Of 24 columns; by default two panels side by side, and six numbers. */
  width?: number;
  /** Value from which it is orange, and from which red. */
  thresholds?: readonly [number, number];
  /** Words for values, such as 0: closed. */
  words?: Readonly<Record<number, string>>;
}

export interface Dashboard {
  uid: string;
  title: string;
  tags: readonly string[];
  /** Label and the metric whose values are offered, in the order of their dependence. */
  variables: readonly { label: string; metric: string }[];
  rows: readonly { title: string; panels: readonly Panel[] }[];
}

const source = { type: "prometheus", uid: "$datasource" } as const;
const heights = { timeseries: 8, stat: 4, table: 9 } as const;
const widths = { timeseries: 12, stat: 4, table: 24 } as const;
const columns = 24;

export function grafanaJson(dashboard: Dashboard): object {
  return {
    uid: dashboard.uid,
    title: dashboard.title,
    tags: dashboard.tags,
    editable: true,
    schemaVersion: 39,
    timezone: "browser",
    refresh: "30s",
    time: { from: "now-1h", to: "now" },
    graphTooltip: 1,
    templating: { list: [dataSource, ...variablesOf(dashboard)] },
    links: [{ type: "dashboards", tags: ["hotswap"], title: "HotSwap", asDropdown: true, includeVars: true }],
    panels: layOut(dashboard.rows),
  };
}

/** The panels of all dashboards that carry a query, for tests: every expression with its variables. */
export const expressionsOf = ({ rows }: Dashboard): string[] =>
  rows.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries.map(({ expr }) => expr)));

const dataSource = { name: "datasource", label: "Data source", type: "datasource", query: "prometheus" };

function variablesOf({ variables }: Dashboard): object[] {
  return variables.map(({ label, metric }, index) => {
    const before = variables.slice(0, index).map((other) => `${other.label}=~"$${other.label}"`);
    const query = `label_values(${metric}{${before.join(",")}}, ${label})`;
    return {
      name: label,
      label: label[0]!.toUpperCase() + label.slice(1),
      type: "query",
      datasource: source,
      query: { query, refId: label },
      refresh: 2,
      sort: 1,
      multi: true,
      includeAll: true,
      allValue: ".*",
      current: { text: "All", value: "$__all" },
    };
  });
}

function layOut(rows: Dashboard["rows"]): object[] {
  const placed: object[] = [];
  let y = 0;
  const add = (panel: object, gridPos: object) => placed.push({ id: placed.length + 1, gridPos, ...panel });
  for (const { title, panels } of rows) {
    add({ type: "row", title, collapsed: false, panels: [] }, { x: 0, y, w: columns, h: 1 });
    y += 1;
    let x = 0;
    let lineHeight = 0;
    for (const panel of panels) {
      const kind = panel.kind ?? "timeseries";
      const width = panel.width ?? widths[kind];
      if (x + width > columns) {
        x = 0;
        y += lineHeight;
        lineHeight = 0;
      }
      add(panelJson(panel, kind), { x, y, w: width, h: heights[kind] });
      x += width;
      lineHeight = Math.max(lineHeight, heights[kind]);
    }
    y += lineHeight;
  }
  return placed;
}

function panelJson(panel: Panel, kind: keyof typeof heights): object {
  const { title, help, unit, queries, thresholds, words } = panel;
  const steps = [
    { color: thresholds ? "green" : "blue", value: null },
    ...(thresholds ? [{ color: "orange", value: thresholds[0] }] : []),
    ...(thresholds ? [{ color: "red", value: thresholds[1] }] : []),
  ];
  const mappings = Object.entries(words ?? {}).map(([value, text]) => ({
    type: "value",
    options: { [value]: { text } },
  }));
  const lines = { drawStyle: "line", lineWidth: 1, fillOpacity: 10, showPoints: "never", spanNulls: false };
  return {
    type: kind,
    title,
    ...(help && { description: help }),
    datasource: source,
    targets: queries.map((query, index) => targetOf(query, index, kind)),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        mappings,
        thresholds: { mode: "absolute", steps },
        ...(kind === "timeseries" && { custom: lines, color: { mode: "palette-classic" } }),
      },
      overrides: [],
    },
    ...optionsOf(kind, queries),
  };
}

function targetOf({ expr, legend }: Query, index: number, kind: keyof typeof heights): object {
  return {
    refId: String.fromCharCode(65 + index),
    datasource: source,
    expr,
    ...(legend && { legendFormat: legend }),
    ...(kind === "timeseries" ? { range: true } : { instant: true }),
    ...(kind === "table" && { format: "table" }),
  };
}

function optionsOf(kind: keyof typeof heights, queries: readonly Query[]): object {
  if (kind === "stat") {
    const reduceOptions = { calcs: ["lastNotNull"], fields: "", values: false };
    return { options: { reduceOptions, colorMode: "value", graphMode: "area", textMode: "auto" } };
  }
  if (kind === "table") return tableOptions(queries);
  const legend = {
    displayMode: "table",
    placement: "bottom",
    calcs: ["lastNotNull", "max"],
    showLegend: true,
  };
  return { options: { legend, tooltip: { mode: "multi", sort: "desc" } } };
}

/** One row per label set, one column per query under its legend. */
function tableOptions(queries: readonly Query[]): object {
  const names = queries.map(({ legend }, index) => [`Value #${String.fromCharCode(65 + index)}`, legend]);
  const organize = { excludeByName: { Time: true }, renameByName: Object.fromEntries(names) };
  return {
    transformations: [
      { id: "merge", options: {} },
      { id: "organize", options: organize },
    ],
    options: { showHeader: true, footer: { show: false } },
  };
}
